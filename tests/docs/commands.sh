#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# commands.sh <C compiler> <libfipc.so> <fipcctl> <fipcd> <folder of the built pages>: the commands in README.md,
# docs/*.md, fipcctl(1) and fipcd(8) do what they say, each against the objects that hold.c has, and a fipcd that was
# started as they say; the session in docs/protocol.md prints what it says that it prints.
set -eu

cc=$1 library=$2 fipcctl=$3 fipcd=$4 pages=$5
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/fipc-test.XXXXXX")
FIPC_DIR=$(mktemp -d /dev/shm/fipc-test.XXXXXX)
FIPC_SOCKET=$work/fipcd.sock
PATH=$work/bin:$PATH
export FIPC_DIR FIPC_SOCKET PATH
unset FASTIPC_PID_DIR
daemon='' holder=''
clean_up()
{
	exec 3>&-
	for pid in $daemon $holder; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$work" "$FIPC_DIR"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

fail()
{
	echo "FAILED: $*" >&2
	[ ! -e "$work/log" ] || tail -n 20 "$work/log" >&2
	exit 1
}

mkdir "$work/bin"
ln -s "$fipcctl" "$work/bin/fipcctl"
ln -s "$fipcd" "$work/bin/fipcd"
mkfifo "$work/in" "$work/out"
"$cc" -std=gnu11 -D_GNU_SOURCE -I"$source/include" -o "$work/hold" "$here/hold.c" "$library" \
	-Wl,-rpath,"$(dirname "$library")"

# The objects are there when this returns.
hold()
{
	"$work/hold" <"$work/in" >"$work/out" &
	holder=$!
	exec 3>"$work/in"
	read -r said <"$work/out" || fail "the objects of the examples cannot be made"
	[ "$said" = held ] || fail "the objects of the examples: $said"
}

let_go()
{
	exec 3>&-
	wait "$holder" || fail "who held the objects of the examples ended with status $?"
	holder=
}

# try <command>
try()
{
	hold
	status=0 seconds=20
	case $1 in
	"fipcctl monitor"*) seconds=1 ;; # goes on for ever
	esac
	timeout $seconds sh -c "$1" >"$work/printed" 2>&1 <"/dev/null" || status=$?
	case "$status $1" in
	"0 "* | "124 fipcctl monitor"*) ;;
	"1 fipcctl doctor") ;; # what it finds here is another matter
	*)
		cat "$work/printed" >&2
		fail "$1: exit status $status"
		;;
	esac
	let_go
	echo "-- $1"
}

# The documented way to start it by hand, with paths of our own.
started=$(sed -n 's/^    \(fipcd --socket.*\)/\1/p' "$source/README.md")
grep -qxF ".Dl \$ $started" "$pages/man8/fipcd.8" || fail "README.md and fipcd(8) start fipcd in different ways"
started=$(echo "$started" | sed "s,/tmp/fipcd.sock,$FIPC_SOCKET,; s,/dev/shm/mine,$FIPC_DIR,")
# shellcheck disable=SC2086 # a command line
$started >"$work/log" 2>&1 &
daemon=$!
tries=0
until fipcctl --socket "$FIPC_SOCKET" ps >/dev/null 2>&1; do
	kill -0 "$daemon" 2>/dev/null || fail "fipcd does not start as README.md says"
	tries=$((tries + 1))
	[ $tries -lt 600 ] || fail "fipcd does not answer"
	sleep 0.05
done
echo "-- $started"

{
	sed -n 's/^    \$ \(fipcctl[^#]*[^# ]\).*/\1/p' "$source/README.md"
	sed -n 's/^    \(fipcctl .*\)/\1/p' "$source"/docs/*.md
	sed -n 's/^\.Dl \$ \(fipcctl.*\)/\1/p' "$pages/man1/fipcctl.1" "$pages/man8/fipcd.8" |
		sed "s/\\\\(aq/'/g; s/\\\\e/\\\\/g; s,/tmp/fipcd.sock,$FIPC_SOCKET,"
} >"$work/commands"
[ "$(wc -l <"$work/commands")" -gt 10 ] || fail "where are the examples?"
while read -r command <&4; do
	filter=$(echo "$command" | sed -n 's/.* | \([a-z]*\) .*/\1/p')
	if [ -n "$filter" ] && ! command -v "$filter" >/dev/null; then
		echo "SKIP: $command: no $filter here"
		continue
	fi
	try "$command"
done 4<"$work/commands"

if command -v varlinkctl >/dev/null; then
	{
		sed -n 's/^    \(varlinkctl .*\)/\1/p' "$source/README.md" "$source/docs/protocol.md" | grep -v -- --more
		sed -n "s/^\.Dl \$ \(varlinkctl .*\)/\1/p" "$pages/man7/io.fipc.Manager.7" | sed "s/\\\\(aq/'/g"
	} | sed "s,/run/fipc/fipcd.sock,$FIPC_SOCKET," >"$work/commands"
	while read -r command <&4; do
		try "$command"
	done 4<"$work/commands"
else
	echo "SKIP: examples of varlinkctl: it is not here"
fi

awk '/^```python$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$source/docs/protocol.md" >"$work/session.py"
awk '/^```text$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$source/docs/protocol.md" >"$work/expected"
if [ ! -s "$work/session.py" ] || [ ! -s "$work/expected" ]; then
	fail "docs/protocol.md has no session"
fi
hold
timeout 20 python3 "$work/session.py" >"$work/printed" || fail "the session in docs/protocol.md"
diff -u "$work/expected" "$work/printed" || fail "the session in docs/protocol.md prints something else"
let_go
echo "-- docs/protocol.md"
