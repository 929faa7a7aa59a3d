#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kernel.sh: after run.sh, the tests of the library under Debian's kernel for 64-bit ARM, on a machine that qemu emulates as a
# whole. There a thread has a robust list, as under qemu-user it has none. What they print is in build-cross/kernel.log.
set -u
cd "$(dirname "$0")/../.." || exit 1

dir=$PWD/build-cross
root=$dir/root
log=$dir/kernel.log
tests="mutex mutex_death mutex_attach revoke rwlock sem sem_death sem_owned cond event wait_any mq mq_death mq_hostile mq_notify
	shm waits thread_end registry lost_wakeup race deadline word root"
patience=1800 # seconds

for tool in qemu-system-aarch64 cpio; do
	if ! command -v "$tool" >/dev/null; then
		echo "fipc: no $tool (sh tests/setup.sh cross-kernel installs it)" >&2
		exit 1
	fi
done
. tests/cross/packages.sh
unpack "$dir/kernel" linux-image-arm64 busybox-static || exit 1

rm -rf "$root"
mkdir -p "$root/bin" "$root/lib" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" || exit 1
cp "$(find "$dir/kernel" -path '*bin/busybox')" "$root/bin/" &&
	cp -L "$dir/sysroot/lib/ld-linux-aarch64.so.1" "$dir/sysroot/lib/aarch64-linux-gnu/libc.so.6" \
		"$dir/sysroot/lib/aarch64-linux-gnu/libgcc_s.so.1" "$dir/sysroot/usr/lib/aarch64-linux-gnu/libcmocka.so.0" \
		"$dir/libfipc/libfipc.so.0" "$root/lib/" || exit 1
for test in $tests; do
	aarch64-linux-gnu-strip -o "$root/bin/test_$test" "$dir/tests/test_$test" || exit 1
done

# The first process there; what it prints is read below.
cat >"$root/init" <<END
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin LD_LIBRARY_PATH=/lib
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
cd /tmp
for test in $(echo $tests); do
	timeout 300 test_\$test >out 2>&1
	echo "RESULT \$test \$? \$(grep -c '^\[       OK \]' out) \$(grep -c '^SKIP:' out)"
	grep -v '^\[ RUN\|^\[       OK' out
done
poweroff -f
END
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc 2>/dev/null) | gzip -1 >"$dir/initrd.gz"

timeout "$patience" qemu-system-aarch64 -M virt -cpu max -smp 2 -m 1024 -nographic -nic none -no-reboot \
	-kernel "$dir"/kernel/boot/vmlinuz-* -initrd "$dir/initrd.gz" -append "console=ttyAMA0 quiet panic=-1" </dev/null >"$log" 2>&1
tr -d '\r' <"$log" | awk -v wanted="$(echo $tests | wc -w)" '
	$1 == "RESULT" {
		ok = $4 || $3 ? $4 : 1 # one without cases
		printf "%-14s %3d passed, %d skipped%s\n", $2, ok, $5, $3 == 0 ? "" : "   FAILED: status " $3
		failed += $3 != 0
		passed += ok
		skipped += $5
		seen++
	}
	END {
		if (seen < wanted)
			print wanted - seen " tests did not come to an end"
		printf "aarch64, with a kernel: %d passed, %d tests failed, %d skipped\n", passed, failed + wanted - seen, skipped
		exit failed || seen < wanted
	}'
