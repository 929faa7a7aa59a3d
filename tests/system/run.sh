#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD: in-systemd.sh inside a real systemd of its own. 77 where that cannot be had, with the reason.
here=$(cd "$(dirname "$0")" && pwd)
bash "$here/nsboot.sh" -t 240 "$here/in-systemd.sh" "$1" 2>&1
status=$?
[ $status != 77 ] || echo "SKIP: a systemd of its own: it cannot be booted here (see above)"
exit $status
