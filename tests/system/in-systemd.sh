#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# in-systemd.sh BUILD: inside a throw-away systemd, install that build as README says, and see the daemon work: activated by
# the first object, under its own user and full sandbox, restarted, watched, its words in the journal.
set -u
build=$1
root=/dev/shm/fastipc
somebody=(setpriv --reuid 1234 --regid 1234 --clear-groups)

fail()
{
	echo "FAILED: $*"
	systemctl status fipcd --no-pager 2>&1 | head -20
	exit 1
}

# await WHAT COMMAND...: until it succeeds, for 20 s
await()
{
	local what=$1 end=$((SECONDS + 20))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || fail "in 20 s not: $what"
		read -rt 0.02 <> <(:)
	done
	echo "ok: $what"
}

# hold COMMAND...: in the background, until it has the lock; its pid in $holder
hold()
{
	coproc HOLD { exec "$@" 2>&1; }
	holder=$HOLD_PID
	disown "$holder" # its death is no news to the shell
	read -rt 20 line <&"${HOLD[0]}" && [ "$line" = held ] || fail "hold: ${line-}"
}

gone()
{
	[ ! -e "$1" ]
}

main_pid()
{
	systemctl show -P MainPID fipcd
}

cmake --install "$build" >/dev/null || fail "cmake --install"
ldconfig
systemd-sysusers || fail "systemd-sysusers"
systemd-tmpfiles --create || fail "systemd-tmpfiles"
mkdir -p /run/systemd/system/fipcd.service.d # a test has not the patience of a service
printf '[Service]\nWatchdogSec=2s\n' >/run/systemd/system/fipcd.service.d/watchdog.conf
systemctl daemon-reload
systemctl enable --now fipcd.socket fipcd.path || fail "enable"
[ "$(stat -c %a:%U "$root")" = 1777:root ] || fail "mode of $root"
[ "$(stat -c %a:%U "$root/.procs")" = 1777:root ] || fail "mode of $root/.procs"
[ "$(systemctl is-active fipcd)" = inactive ] || fail "it runs before anybody needs it"
echo "ok: installed, and not running"

hold "${somebody[@]}" "$build/tests/system/fipc-hold" ledger
await "started by the first object" systemctl is-active fipcd
[ "$(stat -c %U "/proc/$(main_pid)")" = fipc ] || fail "it does not run as fipc"
fipcctl list --no-headings -o NAME,STATE,OWNER,UID | grep -q "ledger *held *$holder *1234" || fail "list: $(fipcctl list)"
echo "ok: shows another user's object"
kill -9 "$holder"
await "reclaimed another user's 0600 object under the sandbox" gone "$root/ledger.mutex"
await "said so in the journal" sh -c 'journalctl FIPC_OBJECT=ledger FIPC_ACTION=reclaim -o cat | grep -q ledger'

for i in 1 2 3; do
	before=$(main_pid)
	kill -9 "$before"
	fipcctl list --socket /run/fipc/fipcd.sock >/dev/null || fail "a client was refused after kill $i"
done
echo "ok: killed three times, no client refused"

hold "$build/tests/system/fipc-hold" of-root
kill -9 "$(main_pid)"
kill -9 "$holder"
await "found what died while it was dead itself" gone "$root/of-root.mutex"

hold "$build/tests/system/fipc-hold" kept
"${somebody[@]}" fipcctl gc 2>/dev/null
[ -e "$root/kept.mutex" ] || fail "another user's gc took a live object"
echo "ok: another user collects nothing of root's"
kill -9 "$holder"
await "the last one goes too" gone "$root/kept.mutex"

pid=$(main_pid)
kill -STOP "$pid"
await "hung, it is ended by the watchdog" gone "/proc/$pid"
fipcctl ps --socket /run/fipc/fipcd.sock >/dev/null || fail "no answer after the watchdog"
echo "ok: and answers again"
