#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# coverage.sh [<option of cmake>...]: which lines of library, daemon and tool the suite runs; all in build-coverage/.
# What is left out under a sanitizer is left out here. A process that another one kills loses its counts, so a line
# that only such processes come to is reported as missing. Exit status 0: no test failed, and of the lines of each have
# run as many as are wanted.
set -eu
cd "$(dirname "$0")/.."

dir=build-coverage
jobs=$(nproc)
mkdir -p "$dir"
log=$dir/coverage.log
if ! { cmake -S . -B "$dir" -DFIPC_COVERAGE=ON "$@" && cmake --build "$dir" -j"$jobs"; } >"$log" 2>&1; then
	cat "$log"
	exit 1
fi
# Counts of earlier runs, perhaps of other sources.
find "$dir" -name '*.gcda' -delete
status=0
ctest --test-dir "$dir" -j"$jobs" -LE '^nosanitize$' --output-on-failure --no-tests=error >"$log" 2>&1 || status=$?
[ "$status" = 0 ] || cat "$log"
cd "$dir"

# enough_of <component> <percent wanted of its lines>: the table of its files, then what it comes to; the counts go to
# <component>.json. Some tests have parts of it built in: what they count is under tests/.
enough_of()
{
	gcovr -r .. --filter "../$1/" "$1" tests
	gcovr -r .. --filter "../$1/" --json-summary "$1.json" -s "$1" tests | awk -v component="$1" -v wanted="$2" '
		$1 == "lines:" { run = substr($3, 2); lines = $6 + 0 }
		$1 == "branches:" { branches = $2 }
		END {
			percent = lines ? 100 * run / lines : 0
			verdict = percent < wanted ? "FAILED" : "ok"
			printf "%s: %d of %d lines of %s run, %.1f %%; wanted are %d %%; of the branches %s\n", verdict,
				run, lines, component, percent, wanted, branches
			exit percent < wanted
		}'
}

enough_of libfipc 95 || status=1
enough_of fipcd 90 || status=1
enough_of fipcctl 90 || status=1
exit "$status"
