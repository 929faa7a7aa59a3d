#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# offline.sh SOURCE BUILD: what can be said of units and message catalogue without a systemd that runs.
set -u
source=$1
build=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/fipc-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

fail()
{
	echo "FAILED: $*"
	exit 1
}

# same <what> <file> <file>
same()
{
	diff -u "$2" "$3" || fail "$1"
}

systemd-analyze security --offline=true --no-pager --threshold=15 "$build/systemd/fipcd.service" >"$work/exposure" ||
	fail "fipcd.service is exposed more than 1.5: $(grep -v ✓ "$work/exposure")"

sed -n '/^} kinds\[\]/,/^};/s/^	{"\([a-z-]*\)", .*/\1/p' "$source/fipcd/log.c" | sort >"$work/kinds"
[ -s "$work/kinds" ] || fail "no kinds of events in fipcd/log.c"
sed -n '/\.action = /s/.*"\([a-z-]*\)".*/\1/p' "$source"/fipcd/*.c | sort -u >"$work/actions"
comm -13 "$work/kinds" "$work/actions" | grep . && fail "an action without a number in fipcd/log.c"

sed -n 's/.*"\([0-9a-f]\{32\}\)".*/\1/p' "$source/fipcd/log.c" "$source/fipcd/wire/message_id.h" | sort >"$work/numbers"
sed -n 's/^-- //p' "$source/systemd/fipc.catalog" | sort >"$work/explained"
same "the numbers in fipcd/log.c, wire/message_id.h and those that the catalogue explains differ" "$work/numbers" "$work/explained"

mkdir -p "$work/root/usr/lib/systemd/catalog"
cp "$source/systemd/fipc.catalog" "$work/root/usr/lib/systemd/catalog"
journalctl --root="$work/root" --update-catalog 2>"$work/said" || fail "journalctl --update-catalog: $(cat "$work/said")"
while read -r number; do
	journalctl --root="$work/root" --dump-catalog "$number" 2>/dev/null | grep -q '^Subject: ' ||
		fail "the catalogue has no entry $number"
done <"$work/numbers"
echo "ok: $(tail -n 1 "$work/exposure")"
