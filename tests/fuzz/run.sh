#!/bin/sh
# run.sh [SECONDS] [TARGET...] - fuzz each target for SECONDS (60) with libFuzzer
#
# Builds with clang, ASan and UBSan into build-fuzz/.  What is new goes into
# build-fuzz/corpus/TARGET, a crash into build-fuzz/crash-TARGET-*: name it after
# what is wrong with it and add it to tests/fuzz/corpus/TARGET/ with the fix.
set -eu
case ${1:-} in
-h | --help)
	sed -n '2,6s/^# \{0,1\}//p' "$0"
	exit 0
	;;
esac

seconds=${1:-60}
[ $# -gt 0 ] && shift
root=$(CDPATH='' cd "$(dirname "$0")/../.." && pwd)
build=$root/build-fuzz
cd "$root"

if [ -f "$build/build.ninja" ]; then
	meson setup --reconfigure "$build" >"$build/setup.log"
else
	mkdir -p "$build"
	CC=clang meson setup "$build" -Dfuzz=enabled \
		-Db_sanitize=address,undefined -Db_lundef=false \
		>"$build/setup.log"
fi
ninja -C "$build" >"$build/ninja.log" || {
	tail -n 40 "$build/ninja.log"
	exit 1
}

# Targets that open databases: libFuzzer's own tables of what each of ten thousand
# edges was hit how often took half of the time.
flags_of() {
	case $1 in
	db) echo -entropic=0 -use_counters=0 -max_len=128 ;;
	segment) echo -entropic=0 -use_counters=0 -max_len=4096 ;;
	slot) echo -max_len=1537 ;;
	esac
}

if [ $# -eq 0 ]; then
	for file in tests/fuzz/fuzz_*.c; do
		name=${file##*/fuzz_}
		set -- "$@" "${name%.c}"
	done
fi
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_OPTIONS=malloc_context_size=4:quarantine_size_mb=16
failed=0
for target; do
	mkdir -p "$build/corpus/$target"
	# shellcheck disable=SC2046 # flags, by words
	if "$build/tests/fuzz/fuzz_$target" $(flags_of "$target") -max_total_time="$seconds" \
		-timeout=60 -rss_limit_mb=1024 -malloc_limit_mb=256 \
		-artifact_prefix="$build/crash-$target-" \
		-print_final_stats=1 -verbosity=1 \
		"$build/corpus/$target" "tests/fuzz/corpus/$target" \
		>"$build/fuzz-$target.log" 2>&1; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' \
			"$build/fuzz-$target.log")
		echo "$target: $runs inputs in $seconds s, nothing found"
	else
		failed=1
		echo "$target: FAILED, see $build/fuzz-$target.log"
		tail -n 30 "$build/fuzz-$target.log"
	fi
done
exit $failed
