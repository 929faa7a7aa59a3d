#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD: in-systemd.sh inside a real systemd of its own. 77 where that cannot be had, with the reason.
here=$(cd "$(dirname "$0")" && pwd)

skip()
{
	echo "SKIP: a systemd of its own: $1"
	exit 77
}

mountpoint -q / || skip "this is a chroot"
unshare --mount --propagation private --pid --fork --ipc --uts --net --cgroup mount -t tmpfs tmpfs /mnt 2>/dev/null ||
	skip "no namespaces to be had, or no mounts in them"
bash "$here/nsboot.sh" -t 240 "$here/in-systemd.sh" "$here/../.." "$1" 2>&1
status=$?
[ $status != 77 ] || skip "see above"
exit $status
