#!/bin/sh
# tools.sh ROOT cppcheck|spelling|shell|manual|unit [BINDIR] - a ready-made checker
#
# Exit 0 clean, 1 findings, 77 (skipped) where the tool is not installed.
set -u
cd "$1" || exit 1

need() {
	command -v "$1" >/dev/null 2>&1 && return
	echo "no $1 here"
	exit 77
}

case $2 in
cppcheck)
	need cppcheck
	exec cppcheck --quiet --enable=warning,performance,portability \
		--std=c11 --inline-suppr --error-exitcode=1 -j 2 \
		--library=tests/lint/cppcheck.cfg \
		--suppressions-list=tests/lint/cppcheck.suppress \
		-I . -I src src fuse cache crypto
	;;
spelling)
	need codespell
	# What is foreign to English prose is skipped: vectors, word lists,
	# seeds, and lock files.
	exec codespell --ignore-words tests/lint/codespell.ignore \
		--skip '*/vectors/*,*/corpus/*,*wordlist*,*bip39*,*.pyc,*/node_modules/*,package-lock.json,*/package-lock.json' \
		README.md docs .ci packaging src fuse cache crypto tests
	;;
shell)
	need shellcheck
	# A shell script is a file that says so in its first line.
	list=$(grep -rlE --exclude-dir=node_modules \
		'^#!/(usr/)?bin/(env )?(ba|da)?sh' \
		.ci packaging tests 2>/dev/null | while read -r f; do
		head -n 1 "$f" | grep -qE '^#!.*sh' && echo "$f"
	done)
	[ -n "$list" ] || exit 0
	# shellcheck disable=SC2086 # one word a file: the tree has no blanks
	exec shellcheck -x $list
	;;
manual)
	need mandoc
	# A date would only say when somebody thought of it; long lines are fine.
	said=$(mandoc -T lint -W warning packaging/man/*.[1-8] |
		grep -v 'WARNING: missing date')
	[ -z "$said" ] || {
		echo "$said"
		exit 1
	}
	;;
unit)
	need systemd-analyze
	run=$(mktemp -d) || exit 1
	trap 'rm -rf "$run"' EXIT
	for of in user:fildrive@ system:fildrive-lock@; do
		file=${of#*:}.service
		sed "s|@bindir@|$3|" "packaging/systemd/$file.in" >"$run/$file"
		# What it does not know it ignores, and says so.
		if ! XDG_RUNTIME_DIR=$run HOME=$run systemd-analyze "--${of%%:*}" \
			--man=no verify "$run/$file" >"$run/said" 2>&1 ||
			[ -s "$run/said" ]; then
			cat "$run/said"
			exit 1
		fi
	done
	;;
*)
	echo "usage: tools.sh ROOT cppcheck|spelling|shell|manual|unit [BINDIR]" >&2
	exit 1
	;;
esac
