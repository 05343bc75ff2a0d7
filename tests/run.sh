#!/bin/sh
# run.sh [OPTION...] [SUITE...] - build fildrive and run its tests
#
# Without arguments everything: unit, component, fuzz (corpus replay), fs (real
# mounts), lint.  The last line is `N passed, N failed, N skipped`, in single
# cases.  The exit status is 0 only if nothing failed, and nothing was skipped
# that this machine could have run.
#
#   --sanitize LIST   build with clang and these sanitizers, in a build folder of
#                     its own: address,undefined or thread; without the lints.
#                     A report fails the run, whoever wrote it: a daemon whose
#                     test passed as well.  All are kept in reports/ there
#   --long            the long form of the tests that have one
#   --jitter SEED     delay fildrive's threads at random (tests/helper/jitter.c), to
#                     find races; not with --sanitize, and without the lints
#   --no-deps         install nothing
#   -j N              test programs at a time (default: two more than cores, for
#                     most of their time they wait; fewer where memory is short)
#   -h, --help        this text
#
# Packages that are missing are installed (packaging/deps.sh), for which one has
# to be root or to have sudo; so has one for the tests that change owners or make
# device nodes.  Everything is written to build-test*/ and to a folder of this
# run in /var/tmp, which goes away at the end, with every mount and daemon in it.
# The tests see an environment that is the same everywhere: of the caller's only
# PATH and FILDRIVE_TIDY.  The suite `calibration` runs only if it is named, and
# sees FILDRIVE_CALIBRATION_KEY too.
set -u
umask 022

root=$(CDPATH='' cd "$(dirname "$0")/.." && pwd)
. "$root/packaging/deps.sh"

usage() {
	sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0"
}

die() {
	echo "run.sh: $*" >&2
	exit 1
}

sanitize='' long='' jitter='' deps=1 jobs='' suites='' named='' calibration=''
while [ $# -gt 0 ]; do
	case $1 in
	--sanitize) [ $# -gt 1 ] || die "--sanitize needs a list, see --help"
		sanitize=$2; shift ;;
	--sanitize=*) sanitize=${1#*=} ;;
	--long) long=1 ;;
	--jitter) [ $# -gt 1 ] || die "--jitter needs a number"
		jitter=$2; shift ;;
	--jitter=*) jitter=${1#*=} ;;
	--no-deps) deps= ;;
	-j) [ $# -gt 1 ] || die "-j needs a number"
		jobs=$2; shift ;;
	-h | --help) usage; exit 0 ;;
	-*) die "unknown option $1, see --help" ;;
	*) suites="$suites --suite $1"
		named="$named $1"
		[ "$1" = calibration ] && calibration=${FILDRIVE_CALIBRATION_KEY-} ;;
	esac
	shift
done

case $jitter in
*[!0-9]*) die "--jitter needs a number" ;;
esac
[ -z "$jitter" ] || [ -z "$sanitize" ] || die "--jitter works without --sanitize"

cd "$root" || exit 1
build=build-test${sanitize:+-$(echo "$sanitize" | tr , -)}
meson=''
tmp=''
as_root=''

# No daemon and no mount of this run may outlive it.  Both are found by this
# run's own folder, never by a name that another drive could have.
clean_up() {
	trap - EXIT INT TERM HUP
	[ -n "$meson" ] && $as_root kill -TERM "$meson" 2>/dev/null &&
		wait "$meson"
	if [ -n "$tmp" ]; then
		cut -d ' ' -f 5 /proc/self/mountinfo | grep "^$tmp/" | sort -r |
			while read -r mount; do
				$as_root umount -l "$mount" 2>/dev/null ||
					fusermount3 -uz "$mount"
			done
		for env in /proc/[0-9]*/environ; do
			pid=${env#/proc/}
			pid=${pid%/environ}
			[ "$pid" = $$ ] && continue
			$as_root grep -qs "FILDRIVE_HOME=$tmp/" "$env" &&
				$as_root kill -KILL "$pid" 2>/dev/null
		done
		$as_root rm -rf "$tmp"
	fi
}

# npm tries again what it could not ask for, but not what broke off on its way.
npm_ci() {
	for try in 1 2 3; do
		npm ci --no-audit --no-fund --silent --fetch-retries 5 && return
		[ "$try" = 3 ] || sleep 10
	done
	return 1
}

if [ "$(id -u)" -ne 0 ]; then
	if command -v sudo >/dev/null 2>&1 && sudo true; then
		as_root=sudo
	else
		echo "not root and no sudo: tests that need root are skipped" >&2
	fi
fi

sets='build test'
command -v npm >/dev/null 2>&1 || sets="$sets node"
if [ -n "$deps" ]; then
	# shellcheck disable=SC2086 # a list of sets
	deps_install $sets || exit 1
	for lock in tests/*/package-lock.json; do
		packages=${lock%/*}
		cmp -s "$lock" "$packages/node_modules/.installed" && continue
		echo "installing the Node packages of $packages"
		(cd "$packages" && npm_ci &&
			cp package-lock.json node_modules/.installed) ||
			echo "npm ci failed in $packages/: is the network there?" \
				"Going on without, what needs it will fail" >&2
	done
fi

set -- --werror
if [ -n "$sanitize" ]; then
	export CC=clang
	set -- "$@" "-Db_sanitize=$sanitize" -Db_lundef=false
fi
[ -z "$sanitize$jitter" ] || suites=${suites:---no-suite lint}
[ -f "$build/build.ninja" ] && set -- "$@" --reconfigure
mkdir -p "$build" || exit 1
meson setup "$@" "$build" >"$build/setup.log" 2>&1 || {
	tail -n 30 "$build/setup.log"
	die "meson setup failed; after a change of options: rm -rf $build"
}
# All of it, unless it is known which tests will run.  The lints look at all.
echo "building in $build"
# shellcheck disable=SC2086 # a list of suites
targets=$(python3 tests/needed.py "$build" $named) || exit 1
case " $named " in
'  ' | *' lint '*) targets='' ;;
esac
[ "$sanitize" != thread ] || targets=${targets:+$targets tests/helper/libseen_close.so}
[ -z "$jitter" ] || targets=${targets:+$targets tests/helper/jitter.so}
# shellcheck disable=SC2086 # a list of files
ninja -C "$build" $targets >"$build/ninja.log" 2>&1 || {
	grep -A 30 -m 1 '^FAILED' "$build/ninja.log" || tail -n 30 "$build/ninja.log"
	die "the build failed, see $build/ninja.log"
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
tmp=$(mktemp -d /var/tmp/fd-test.XXXXXX) && chmod 711 "$tmp" || exit 1

# A daemon's stderr leads nowhere, so reports go to files; anybody may write one,
# for some tests are other users.
if [ -n "$sanitize" ]; then
	rm -rf "$build/reports"
	mkdir "$tmp/reports" && chmod 1777 "$tmp/reports" || exit 1
	to=log_path=$tmp/reports/report
	export ASAN_OPTIONS="$to:abort_on_error=1:strict_string_checks=1"
	export UBSAN_OPTIONS="$to:halt_on_error=1:print_stacktrace=1"
	export TSAN_OPTIONS="$to:halt_on_error=1:second_deadlock_stack=1"
fi
preload=''
if [ "$sanitize" = thread ]; then
	preload=$tmp/libseen_close.so # not every user may look into $build
	cp "$build/tests/helper/libseen_close.so" "$preload" || exit 1
fi
if [ -n "$jitter" ]; then
	preload=$tmp/jitter.so
	cp "$build/tests/helper/jitter.so" "$preload" || exit 1
fi

log=$build/meson-logs/testlog.json
$as_root rm -f "$log"
# Time limits are there for what hangs, not for what is slow: a busy machine, a
# sanitizer, the long form.
times=4
[ -n "$sanitize$jitter" ] && times=10
[ -n "$long" ] && times=40
mkdir "$tmp/home" || exit 1
# 512 MiB for each: what has a daemon, Node and Python takes less, sanitized too.
if [ -z "$jobs" ]; then
	jobs=$(($(nproc) + 2))
	room=$(awk '/^MemAvailable:/ { print int($2 / 524288) }' /proc/meminfo)
	[ "${room:-$jobs}" -ge "$jobs" ] || jobs=$room
	[ "$jobs" -ge 1 ] || jobs=1
fi
# shellcheck disable=SC2086 # words
$as_root env -i PATH="$PATH" TMPDIR="$tmp" HOME="$tmp/home" LC_ALL=C.UTF-8 \
	${calibration:+"FILDRIVE_CALIBRATION_KEY=$calibration"} \
	${long:+FILDRIVE_TEST_LONG=1} ${FILDRIVE_TIDY:+"FILDRIVE_TIDY=$FILDRIVE_TIDY"} \
	ASAN_OPTIONS="${ASAN_OPTIONS-}" UBSAN_OPTIONS="${UBSAN_OPTIONS-}" \
	TSAN_OPTIONS="${TSAN_OPTIONS-}" ${preload:+"LD_PRELOAD=$preload"} \
	${jitter:+"JITTER=$jitter" "JITTER_IN=$(pwd -P)/$build"} \
	meson test -C "$build" --no-rebuild --print-errorlogs -t $times \
	--num-processes "$jobs" $suites </dev/null &
meson=$!
wait "$meson"
failed=$?
meson=''

# The heads of the sanitizers' reports; fails if there are any.
tell_reports() {
	[ -d "$tmp/reports" ] || return 0
	[ -n "$(ls -A "$tmp/reports")" ] || return 0
	cp -r "$tmp/reports" "$build/"
	for report in "$build"/reports/*; do
		echo "== $report"
		head -n 30 "$report"
	done
	echo "the reports of the sanitizers are in $build/reports/"
	return 1
}

[ -f "$log" ] || die "no test ran: is there a suite named so? ($suites )"
tell_reports || failed=1
python3 tests/count.py "$log"
counted=$?
[ $failed -eq 0 ] && [ $counted -eq 0 ]
