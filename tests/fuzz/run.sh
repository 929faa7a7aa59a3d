#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh <seconds> [<option of cmake>...]: build the fuzz targets in build-fuzz with clang, and let them run side by
# side for so long. Inputs that led somewhere new stay in build-fuzz/corpus; one that breaks something is
# build-fuzz/crash-*: mend it, and keep the input here, beside the seeds.
set -u
cd "$(dirname "$0")/../.." || exit 1

seconds=${1:?usage: run.sh SECONDS}
shift
if ! echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
	clang -fsanitize=fuzzer,address,undefined -x c -o /dev/null - 2>/dev/null; then
	echo "SKIP: fuzz: needs clang with libFuzzer and its sanitizers: sh tests/setup.sh fuzz"
	exit 0
fi
cmake -S . -B build-fuzz -DCMAKE_C_COMPILER=clang -DFIPC_FUZZ=ON "$@" >/dev/null &&
	cmake --build build-fuzz -j"$(nproc)" --target fuzz_frames fuzz_directories >/dev/null || exit 1

# fuzz <target>: its own words only if it fails
fuzz()
{
	mkdir -p "build-fuzz/corpus/$1"
	build-fuzz/tests/fuzz/fuzz_"$1" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=4096 \
		-artifact_prefix="build-fuzz/crash-$1-" "build-fuzz/corpus/$1" "tests/fuzz/$1" \
		>"build-fuzz/$1.log" 2>&1
	status=$?
	[ "$status" = 0 ] || tail -n 60 "build-fuzz/$1.log"
	sed -n 's/^Done \([0-9]*\) runs.*/\1 inputs of fuzzed '"$1"'/p' "build-fuzz/$1.log"
	return "$status"
}

fuzz directories &
other=$!
fuzz frames
status=$?
wait "$other" || status=$?
exit "$status"
