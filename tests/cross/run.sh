#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [<option of cmake>...]: build all of fipc for 64-bit ARM in build-cross/, and run there, under qemu-user, the tests
# that it can serve; the others are skipped aloud. What the build needs of that machine comes from Debian's packages, unpacked
# into build-cross/sysroot: nothing of this machine changes. Exit status 77: they could not be had.
set -u
cd "$(dirname "$0")/../.." || exit 1

dir=$PWD/build-cross
sysroot=$dir/sysroot
. tests/cross/packages.sh
unpack "$sysroot" libc6-dev libcmocka-dev libsystemd-dev libjansson-dev libncurses-dev libsmartcols-dev || exit 77

cmake -S . -B "$dir" -DCMAKE_TOOLCHAIN_FILE="$PWD/tests/cross/aarch64.cmake" -DFIPC_SYSROOT="$sysroot" -DFIPC_PYTHON=OFF \
	"$@" >"$dir/build.log" 2>&1 && cmake --build "$dir" -j"$(nproc)" >>"$dir/build.log" 2>&1
status=$?
if [ "$status" != 0 ]; then
	cat "$dir/build.log"
	exit "$status"
fi
grep -A5 'warning:' "$dir/build.log"

: >"$dir/skips"
ctest --test-dir "$dir" -j"$(nproc)" --output-on-failure --no-tests=error --no-label-summary \
	--test-output-size-passed 10000000 --test-output-size-failed 10000000 --output-junit results.xml 2>&1 |
	grep -v '^ *Start \|^Internal ctest'
counts=$(awk -v title=aarch64 -v root_tests=/dev/null -v skips="$dir/skips" -v strict= -f tests/count.awk "$dir/results.xml")

# Most for one reason: "<run>: <test>: [<part>: ]<reason>"
printf '\nskipped:\n'
awk -F ': ' '{ tests[$NF] = tests[$NF] " " $2 } END { for (why in tests) print why ":" tests[why] }' "$dir/skips" | fold -s -w 120 |
	sed 's/^/	/'
echo "$counts" | awk '{ printf "aarch64: %d passed, %d failed, %d skipped\n", $1, $2, $3; exit $2 || !$1 }'
