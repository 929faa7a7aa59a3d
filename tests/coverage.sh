#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# coverage.sh [<option of cmake>...]: which lines of library, daemon and tool the suite runs; all in build-coverage/.
# What is left out under a sanitizer is left out here. A process that another one kills loses its counts, so a line
# that only such processes come to is reported as missing. Exit status 0: no test failed, and of the library's lines
# have run as many as are wanted.
set -eu
cd "$(dirname "$0")/.."

wanted=95 # percent
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
gcovr -r .. --filter ../libfipc/ --filter ../fipcd/ --filter ../fipcctl/ libfipc fipcd fipcctl
gcovr -r .. --filter ../libfipc/ libfipc | awk -v wanted="$wanted" '
	$1 == "TOTAL" { lines = $2; run = $3 }
	END {
		percent = lines ? 100 * run / lines : 0
		verdict = percent < wanted ? "FAILED" : "ok"
		printf "%s: %d of %d lines of libfipc run, %.1f %%; wanted are %d %%\n", verdict, run, lines, percent, wanted
		exit percent < wanted
	}' || status=1
exit "$status"
