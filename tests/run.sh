#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [<option of cmake>...]: the whole suite plain, under ASan + UBSan, under TSan, and under valgrind's memcheck;
# then what was skipped and why, and the counts of all four as the last line. Exit status 0: nothing failed.
set -u
cd "$(dirname "$0")/.." || exit 1

jobs=$(nproc)
results=$(mktemp -d) || exit 1
trap 'rm -rf "$results"' EXIT
trap 'exit 130' INT TERM
: >"$results/counts"
: >"$results/skips"

# build <dir> <option of cmake>...: quiet, but for warnings, and for everything if it fails
build()
{
	dir=$1
	shift
	log=$results/build.log
	if cmake -S . -B "$dir" "$@" >"$log" 2>&1 && cmake --build "$dir" -j"$jobs" >>"$log" 2>&1; then
		grep -A5 'warning:' "$log"
		return 0
	fi
	cat "$log"
	return 1
}

# tests_labelled <dir> <label>: their names
tests_labelled()
{
	ctest --test-dir "$1" -N -L "^$2\$" | sed -n 's/^ *Test *#[0-9]*: *//p'
}

# suite <title> <dir> <label to leave out, or -> <why> <option of cmake>...
suite()
{
	title=$1 dir=$2 without=$3 why=$4
	shift 4
	printf '\n== %s\n' "$title"
	if ! build "$dir" "$@"; then
		echo "0 1 0" >>"$results/counts"
		return
	fi
	if [ "$without" != - ]; then
		left_out=$(tests_labelled "$dir" "$without" | tr '\n' ' ')
		[ -z "$left_out" ] || echo "left out, $why: $left_out"
	fi
	tests_labelled "$dir" root >"$results/root"
	rm -f "$dir/results.xml"
	ctest --test-dir "$dir" -j"$jobs" -LE "^$without\$" --output-on-failure --no-tests=error --no-label-summary \
		--test-output-size-passed 10000000 --test-output-size-failed 10000000 \
		--output-junit results.xml 2>&1 | grep --line-buffered -v '^ *Start \|^Internal ctest'
	counts=$(awk -v title="$title" -v root_tests="$results/root" -v skips="$results/skips" \
		-v strict="$([ "${CI:-}" = true ] && id -u)" -f tests/count.awk "$dir/results.xml") || counts="0 1 0"
	echo "$counts" >>"$results/counts"
	# shellcheck disable=SC2086 # three words
	printf '%s: %d passed, %d failed, %d skipped\n' "$title" $counts
}

# The plain run comes first: it is the quickest to tell.
suite "plain" build-test - "" "$@"
suite "ASan + UBSan" build-asan nosanitize "of no use there, or impossible" \
	-DFIPC_SANITIZE=address,undefined "$@"
suite "TSan" build-tsan nosanitize "of no use there, or impossible" \
	-DFIPC_SANITIZE=thread "$@"
suite "memcheck" build-memcheck nomemcheck "too slow there, or of no use" \
	-DFIPC_MEMCHECK=ON "$@"

printf '\n'
if [ -s "$results/skips" ]; then
	echo "skipped:"
	sed 's/^/	/' "$results/skips"
fi
awk '{ passed += $1; failed += $2; skipped += $3 }
	END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed || !passed }' "$results/counts"
