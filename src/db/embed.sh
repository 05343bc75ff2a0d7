#!/bin/sh
# embed.sh NAME FILE.sql - print a schema as the C string NAME, without comments
printf 'static const char %s[] =\n' "$1"
sed -e 's/--.*//' -e 's/.*/"&\\n"/' "$2"
printf ';\n'
