#!/bin/sh
# up.sh [OPTION...] - Filecoin Onchain Cloud on this machine, to play with
#
# Starts a chain and storage providers on 127.0.0.1 and says where they are, how
# to give an address money and how to make a drive on it.  Ctrl-C ends it.  The
# options are those of devnet.mjs, among them
#
#   --providers N   how many storage providers (3)
#   --epoch-ms MS   how long an epoch takes (1000 here, 30000 on the real chain)
#   --dir D         where pieces are kept (a folder that goes away again)
#   --json          one line of JSON when it is ready, for programs
set -eu

here=$(CDPATH='' cd "$(dirname "$0")" && pwd)

case ${1-} in
-h | --help)
	sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0"
	exit 0 ;;
esac

if ! cmp -s "$here/package-lock.json" "$here/node_modules/.installed"; then
	echo "installing the Node packages of $here" >&2
	(cd "$here" && npm ci --no-audit --no-fund --silent &&
		cp package-lock.json node_modules/.installed) >&2
fi
exec node "$here/devnet.mjs" "$@"
