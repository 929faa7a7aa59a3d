#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# probes.sh <libfipc.so> <docs/tracing.md>: the library has the probes that the page tells of, and no others.
set -eu

if ! echo '#include <sys/sdt.h>' | cc -E - >/dev/null 2>&1; then
	echo "SKIP: probes: <sys/sdt.h> is not here (Debian: systemtap-sdt-dev), so the library has none"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
readelf -n "$1" | awk '$1 == "Provider:" { provider = $2 } $1 == "Name:" && provider == "fipc" { print $2 }' |
	sort -u >"$work/there"
sed -n 's/^| `\([a-z_]*\)` |.*/\1/p' "$2" | sort >"$work/told"
[ -s "$work/there" ] || { echo "readelf -n $1 shows no probe of fipc"; exit 1; }
diff "$work/there" "$work/told"
