#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# in-systemd.sh SOURCE BUILD: inside a throw-away systemd, install that build as README says, and see the daemon work:
# activated, sandboxed, watched, ending and coming back, its words in the journal; then a user's own; then that of the Debian packages.
set -u
source=$1
build=$2
root=/dev/shm/fastipc
user=1234
somebody=(setpriv --reuid "$user" --regid "$user" --clear-groups)
hold=$build/tests/system/fipc-hold
work=/run/fipc-test

fail()
{
	echo "FAILED: $*"
	systemctl status fipcd.socket fipcd.path fipcd --no-pager 2>&1 | head -60
	exit 1
}

ok()
{
	echo "ok: $* ($(awk '{ print $1 }' /proc/uptime))"
}

# A moment, for something that must not happen to happen all the same.
moment()
{
	read -rt "$1" <> <(:)
}

# await WHAT COMMAND...: until it succeeds, for 20 s
await()
{
	local what=$1 end=$((SECONDS + 20))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || fail "in 20 s not: $what"
		moment 0.02
	done
	ok "$what"
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

active()
{
	systemctl is-active --quiet "$@"
}

inactive()
{
	[ "$(systemctl is-active "$1")" = inactive ]
}

ask()
{
	fipcctl ps --socket /run/fipc/fipcd.sock
}

# settings KEY=VALUE...: of the service, for the test has not its patience
settings()
{
	mkdir -p /run/systemd/system/fipcd.service.d
	printf '%s\n' '[Service]' "$@" >/run/systemd/system/fipcd.service.d/test.conf
	systemctl daemon-reload
	systemctl try-restart fipcd
}

# occurred MATCH...: how often, by the journal
occurred()
{
	journalctl --sync
	journalctl -o cat "$@" | wc -l
}

# Of the unit, started: what systemd calls this.
starts()
{
	occurred _PID=1 UNIT=fipcd.service MESSAGE_ID=39f53479d3a045ac8e11786248231fbf
}

nothing_failed()
{
	[ "$(systemctl show -P Result fipcd fipcd.socket fipcd.path | sort -u | xargs)" = success ] &&
		active fipcd.socket && active fipcd.path || fail "$1"
}

# commands BEGINNING: those lines of README's section on systemd
commands()
{
	sed -n "/^## The daemon under systemd/,/^## [^T]/s/^    \($1.*\)/\1/p" "$source/README.md" | grep . ||
		fail "README.md has no such commands for systemd: $1"
}

# The build's own folder takes the place of the one that make would choose.
installed_by_readme()
{
	sudo() { "$@"; }
	make() { command make "$@" BUILD="$build"; }
	cd "$source" || exit
	while read -r command; do
		eval "$command" >"$work/log" 2>&1 </dev/null || fail "README.md: $command: $(tail "$work/log")"
	done < <(commands sudo)
	[ "$(stat -c %a:%U "$root")" = 1777:root ] || fail "mode of $root"
	[ "$(stat -c %a:%U "$root/.procs")" = 1777:root ] || fail "mode of $root/.procs"
	inactive fipcd || fail "it runs before anybody needs it"
	ok "installed as README.md says, and not running"
}

hardened()
{
	systemd-analyze verify --man=no --recursive-errors=no fipcd.service fipcd.socket fipcd.path ||
		fail "systemd-analyze verify"
	systemd-analyze security --no-pager --threshold=15 fipcd.service >"$work/log" ||
		fail "exposed more than 1.5: $(grep -v ✓ "$work/log")"
	ok "$(tail -n 1 "$work/log")"
}

starts_with_the_first_object()
{
	local pid status
	hold "${somebody[@]}" "$hold" ledger
	await "started by the first object" active fipcd
	pid=$(main_pid)
	status=$(<"/proc/$pid/status")
	[ "$(stat -c %U "/proc/$pid")" = fipc ] || fail "it does not run as fipc"
	# DAC_OVERRIDE (1), FOWNER (3) and LEASE (28), in each set; no new ones; a filter of system calls
	[ "$(grep -c '^Cap....*:.000000001000000a$' <<<"$status")" = 5 ] || fail "other capabilities: $status"
	grep -q '^NoNewPrivs:.1$' <<<"$status" && grep -q '^Seccomp:.2$' <<<"$status" || fail "$status"
	[ ! "/proc/$pid/ns/net" -ef /proc/1/ns/net ] || fail "it has the network"
	ok "as its own user, with three capabilities, in a sandbox"
}

reclaims_of_others()
{
	fipcctl list --no-headings -o NAME,STATE,OWNER,UID | grep -q "ledger *held *$holder *$user" ||
		fail "list: $(fipcctl list)"
	ok "shows another user's object"
	kill -9 "$holder"
	await "reclaimed another user's 0600 object under the sandbox" gone "$root/ledger.mutex"
	await "said so in the journal, with fields" sh -c "
		journalctl -o cat FIPC_OBJECT=ledger FIPC_TYPE=mutex FIPC_ACTION=reclaim FIPC_PID=$holder FIPC_DIR=$root \
			MESSAGE_ID=44be726f87f345f6b7f06eaec1f8fb3b | grep -q ledger"
	journalctl -x FIPC_OBJECT=ledger | grep -q "Nobody was attached to ledger (mutex) in $root any more" ||
		fail "journalctl -x: $(journalctl -x FIPC_OBJECT=ledger)"
	ok "the catalogue explains it"
	await "its status line tells" sh -c 'systemctl show -P StatusText fipcd | grep "^1 objects reclaimed, 0 clients"'
}

killed()
{
	local i
	for i in 1 2 3; do
		kill -9 "$(main_pid)"
		ask >/dev/null || fail "a client was refused after kill $i"
	done
	ok "killed three times, no client refused"
	hold "$hold" of-root
	kill -9 "$(main_pid)"
	kill -9 "$holder"
	await "found what died while it was dead itself" gone "$root/of-root.mutex"
	hold "$hold" kept
	"${somebody[@]}" fipcctl gc 2>/dev/null
	[ -e "$root/kept.mutex" ] || fail "another user's gc took a live object"
	ok "another user collects nothing of root's"
	kill -9 "$holder"
	await "the last one goes too" gone "$root/kept.mutex"
}

hung()
{
	local pid client
	settings WatchdogSec=1s
	ask >/dev/null || fail "no answer"
	pid=$(main_pid)
	kill -STOP "$pid"
	ask >"$work/answer" &
	client=$!
	await "hung, it is ended by the watchdog" gone "/proc/$pid"
	wait "$client" || fail "who had asked the hung one got no answer"
	ok "and who had asked meanwhile is answered"
}

# The unit's own idle time: a user who toggles a file starts it once, and that is all.
toggled()
{
	local before
	settings
	systemctl stop fipcd 2>/dev/null
	before=$(starts)
	timeout 1 "${somebody[@]}" bash -c "while :; do : >$root/toggled; rm $root/toggled; done"
	"${somebody[@]}" rm -f "$root/toggled"
	active fipcd || fail "not started by a visible file"
	[ "$(starts)" = $((before + 1)) ] || fail "a file that comes and goes started it $(($(starts) - before)) times"
	nothing_failed "a user who toggles a file takes a unit down"
	ok "a user who toggles a file starts it once"
}

# stays WHY: it does not end, though it would have had the time to
stays()
{
	local pid
	await "started by $1" active fipcd
	pid=$(main_pid)
	moment 1
	[ "$(main_pid)" = "$pid" ] || fail "with $1 it ends and is started again"
	nothing_failed "$1 takes a unit down"
	ok "stays while there is $1"
}

idle()
{
	local ended client clients=()
	settings Environment=FIPCD_IDLE_EXIT_MS=200
	await "ends when idle" inactive fipcd
	[ "$(occurred MESSAGE_ID=0adc7dfeab7044cbb2968ac7dd97500e)" -ge 1 ] || fail "and does not say why"
	"${somebody[@]}" touch "$root/stray"
	stays "a stray file"
	rm "$root/stray"
	await "ends without it" inactive fipcd
	hold "$hold" forever persist
	kill -9 "$holder"
	stays "a persistent object"
	rm -r "$root"/forever.*
	await "ends without that" inactive fipcd

	settings Environment=FIPCD_IDLE_EXIT_MS=20
	ended=$(occurred MESSAGE_ID=0adc7dfeab7044cbb2968ac7dd97500e)
	for client in 1 2 3; do
		{
			for _ in $(seq 15); do
				ask >/dev/null || echo refused
				moment "0.0$((RANDOM % 90 + 10))"
			done
		} >"$work/client$client" 2>&1 &
		clients+=($!)
	done
	timeout 1 "${somebody[@]}" bash -c "while :; do : >$root/toggled; rm $root/toggled; done"
	"${somebody[@]}" rm -f "$root/toggled"
	wait "${clients[@]}"
	[ -z "$(cat "$work"/client?)" ] || fail "refused while it ended: $(cat "$work"/client?)"
	nothing_failed "ending and starting again and again takes a unit down"
	ended=$(($(occurred MESSAGE_ID=0adc7dfeab7044cbb2968ac7dd97500e) - ended))
	[ "$ended" -ge 3 ] || fail "it ended only $ended times"
	ok "ended $ended times under 45 connections, none refused"
}

# Whoever does it, fipcd or an operator alone, the journal says who it was, and whom it hit.
operated()
{
	settings
	hold "$hold" stuck persist
	fipcctl revoke stuck --yes 2>"$work/said" </dev/null || fail "revoke: $(cat "$work/said")"
	await "fipcd says who revoked what, and whose it was" sh -c "
		journalctl -o cat _COMM=fipcd FIPC_ACTION=revoke FIPC_OBJECT=stuck FIPC_PID=$holder FIPC_CALLER_UID=0 | grep -q revoked"
	fipcctl unlink --direct stuck 2>"$work/said" || fail "unlink: $(cat "$work/said")"
	await "fipcctl does when it is alone" sh -c "
		journalctl -o cat _COMM=fipcctl FIPC_ACTION=unlink FIPC_OBJECT=stuck FIPC_PID=$holder FIPC_CALLER_UID=0 | grep -q unlinked"
	kill -9 "$holder"
}

figures()
{
	local file=/var/lib/prometheus/node-exporter/fipc.prom
	mkdir -p "${file%/*}"
	systemd-analyze verify --man=no --recursive-errors=no fipc-metrics.service fipc-metrics.timer ||
		fail "systemd-analyze verify fipc-metrics"
	systemctl start fipc-metrics.timer || fail "no timer"
	await "a timer writes figures for Prometheus" grep -qx 'fipc_daemon_up 1' "$file"
	[ "$(ls "${file%/*}")" = fipc.prom ] || fail "beside it: $(ls "${file%/*}")"
	systemctl stop fipc-metrics.timer
}

examined()
{
	systemd-run --quiet --unit=loser -p RemoveIPC=yes -p User=fipc "$hold" lost || fail "systemd-run"
	await "it holds" sh -c 'fipcctl list --no-headings -o NAME,STATE lost | grep -q held'
	fipcctl doctor >"$work/doctor" || fail "doctor: $(cat "$work/doctor")"
	grep -q '^warn RemoveIPC: loser.service deletes the objects' "$work/doctor" || fail "doctor: $(cat "$work/doctor")"
	grep -q '^ok   fipcd: fipcd .* answers$' "$work/doctor" || fail "doctor: $(cat "$work/doctor")"
	systemctl stop loser
	ok "doctor finds whose objects a unit would delete"
}

# No logind here, that would make the directory and set the variable.
of_a_user()
{
	local own=/run/user/$user
	local as_user=("${somebody[@]}" env HOME="$own" XDG_RUNTIME_DIR="$own" bash -c "$(commands export); exec \"\$@\"" -)
	mkdir -p /run/systemd/system/user{,-runtime-dir}@.service.d
	printf '[Service]\nPAMName=\nEnvironment=XDG_RUNTIME_DIR=/run/user/%%i\n' \
		>/run/systemd/system/user@.service.d/test.conf
	printf '[Service]\nExecStart=\nExecStart=install -d -m 700 -o %%i -g %%i /run/user/%%i\nExecStop=\n' \
		>/run/systemd/system/user-runtime-dir@.service.d/test.conf
	systemd-sysusers --inline "u somebody $user - $own" >/dev/null || fail "cannot make a user"
	systemctl daemon-reload
	systemctl start user@$user || fail "no user manager: $(journalctl -u user@$user)"
	"${as_user[@]}" bash -c "$(commands 'systemctl --user')" 2>/dev/null || fail "enable --user"
	[ "$("${as_user[@]}" systemctl --user is-active fipcd)" = inactive ] || fail "the user's runs before it is needed"
	hold "${as_user[@]}" "$hold" mine
	await "a user's own is started by his first object" "${as_user[@]}" systemctl --user is-active fipcd
	[ "$(stat -c %u "/proc/$("${as_user[@]}" systemctl --user show -P MainPID fipcd)")" = $user ] || fail "it is not his"
	"${as_user[@]}" fipcctl list --no-headings -o NAME --socket "$own/fipcd.sock" | grep -qx mine ||
		fail "his does not see his object"
	kill -9 "$holder"
	await "which his own reclaims" gone "$own/fipc/mine.mutex"
	[ "$(occurred FIPC_OBJECT=mine _UID=$user)" = 1 ] || fail "and did not say so"
	systemctl stop user@$user
	! journalctl -o cat | grep 'systemd/.*/fipc.*, ignoring' || fail "a unit has what this systemd does not know"
}

by_hand()
{
	local pid
	mkdir /dev/shm/mine
	FIPC_DIR=/dev/shm/mine hold "$hold" of-mine
	bash -c "exec $(commands fipcd)" 2>/dev/null &
	pid=$!
	kill -9 "$holder"
	await "by hand it reclaims as well" gone /dev/shm/mine/of-mine.mutex
	kill "$pid"
}

packages_made()
{
	command -v dpkg-shlibdeps >/dev/null || return 0
	(cd "$build" && exec cpack) >"$work/cpack" 2>&1 &
	packer=$!
}

python_kills='
import fipc, os
m = fipc.Mutex(None, fipc.CREATE | fipc.EXCL)
if os.fork() == 0:
    m.acquire()
    os._exit(0)
os.wait()
try:
    m.acquire()
except fipc.OwnerDied:
    m.close()
else:
    raise SystemExit("nobody died")
'

# What README installed goes, the packages come, serve, and go without a trace.
# shellcheck disable=SC2086 # $packages is a list of words
packaged()
{
	local file pid packages
	if [ -z "$packer" ]; then
		echo "SKIP: Debian packages: no dpkg-shlibdeps here"
		return
	fi
	wait "$packer" || fail "cpack: $(tail "$work/cpack")"
	systemctl disable --now fipcd.path fipcd.socket fipcd 2>/dev/null
	xargs rm -f <"$build/install_manifest.txt"
	rm -rf /run/systemd/system/fipcd.service.d "$root"
	systemctl daemon-reload
	# What an image for containers has so that no package starts a service; and what takes time.
	rm -f /usr/sbin/policy-rc.d /var/lib/man-db/auto-update
	dpkg -i "$build"/packages/*.deb >"$work/dpkg" 2>&1 || fail "dpkg -i: $(tail "$work/dpkg")"
	packages=$(dpkg-query --show --showformat '${Package}\n' fipc libfipc-dev libfipc0 'python3-fip[c]')
	active fipcd.socket && active fipcd.path && inactive fipcd || fail "the packages' units do not wait"
	systemctl is-enabled --quiet fipcd.socket fipcd.path || fail "the packages' units are not enabled"
	journalctl --dump-catalog 44be726f87f345f6b7f06eaec1f8fb3b >"$work/log" || fail "the packages explain nothing"
	hold "${somebody[@]}" "$hold" packed
	await "the packages' daemon is started by the first object" active fipcd
	kill -9 "$holder"
	await "and reclaims it" gone "$root/packed.mutex"
	ask >"$work/answer" || fail "no answer from the packages' daemon"
	pid=$(main_pid)
	dpkg -i "$build"/packages/fipc_*.deb >"$work/dpkg" 2>&1 || fail "dpkg -i again: $(tail "$work/dpkg")"
	[ "$(main_pid)" != "$pid" ] || fail "after an upgrade the old one runs on"
	ask >"$work/answer" || fail "no answer after an upgrade"
	case $packages in
	*python3-fipc*) /usr/bin/python3 -Bc "$python_kills" || fail "python3-fipc does not tell of a death" ;;
	esac
	dpkg -L $packages | sort -u >"$work/files"
	dpkg --purge $packages >"$work/dpkg" 2>&1 || fail "dpkg --purge: $(tail "$work/dpkg")"
	! grep -i warning "$work/dpkg" || fail "dpkg --purge warns"
	while read -r file; do
		[ -d "$file" ] || gone "$file" || fail "left by the packages: $file"
	done <"$work/files"
	[ "$(systemctl list-unit-files --no-legend 'fipc*')$(systemctl list-units --all --no-legend 'fipc*')" = "" ] ||
		fail "units left: $(systemctl list-units --all 'fipc*'; systemctl list-unit-files 'fipc*')"
	[ -z "$(pgrep -x fipcd)" ] || fail "a daemon is left"
	ok "packages, installed, started, upgraded, removed:" $packages
}

packer=
mkdir -p "$work"
installed_by_readme
packages_made
hardened
starts_with_the_first_object
reclaims_of_others
killed
toggled
idle
hung
operated
figures
examined
of_a_user
by_hand
packaged
