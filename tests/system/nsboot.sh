#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nsboot.sh [-b SRC:DST]... [-e VAR]... [-j DIR] [-t SECS] SCRIPT [ARGS...]
#
# Boot the machine's own systemd as PID 1 of fresh pid/mount/cgroup/ipc/uts/net
# namespaces on a throw-away tmpfs overlay of /, run SCRIPT there as a root
# oneshot unit, relay its output, and exit with its exit status.
#   -b SRC:DST  bind a host file/dir into the guest, writable (results, other mounts)
#   -e VAR      pass environment variable VAR to SCRIPT
#   -j DIR      keep the guest's journal in DIR (read it: journalctl -D DIR)
#   -r          hybrid cgroups: give the guest the host's v1 pids/memory/cpu controllers
#   -t SECS     hard limit (default 300); exit 137 when it is hit
# Needs: root with CAP_SYS_ADMIN, overlayfs, cgroup2, systemd >= 247, util-linux >= 2.36.
# Exit 77 = this machine cannot do it.  No network, no packages; nothing persists.
set -euo pipefail

if [ -z "${NSBOOT_STAGE:-}" ]; then                       # ---------- stage 0: host
  BINDS=(); VARS=(); TMO=300; JDIR=; RES=
  while getopts b:e:j:rt: o; do case $o in
    b) BINDS+=("$OPTARG");; e) VARS+=("$OPTARG");; j) JDIR=$OPTARG;; r) RES=1;; t) TMO=$OPTARG;; *) exit 64;; esac; done
  shift $((OPTIND-1)); [ $# -ge 1 ] || { sed -n '2,15s/^# \?//p' "$0" >&2; exit 64; }
  skip() { echo "nsboot: SKIP: $*" >&2; exit 77; }
  [ "$(id -u)" = 0 ] || skip "not root"
  [ -x /lib/systemd/systemd ] || skip "no systemd"
  grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || skip "no overlayfs"
  grep -qw cgroup2 /proc/filesystems || skip "no cgroup2"
  SCRIPT=$(readlink -f "$1"); shift
  W=$(mktemp -d "${TMPDIR:-/tmp}/nsboot.XXXXXX")
  # Private cgroup2 subtree; cgroup2 may be at /sys/fs/cgroup, .../unified, or unmounted.
  CG2=$(awk '$3=="cgroup2"{print $2;exit}' /proc/mounts); OWN=
  if [ -z "$CG2" ]; then CG2=$W/cg2; mkdir "$CG2"; mount -t cgroup2 cgroup2 "$CG2"; OWN=1; fi
  CG=$CG2$(awk -F: '$1==0{print $3}' /proc/self/cgroup); CG=${CG%/}/nsboot.$$
  mkdir "$CG" || skip "cannot make a cgroup"
  mkfifo "$W/out"; : >"$W/rc"
  V1=()                                                   # -r: TasksMax/MemoryMax/CPUQuota where the host
  if [ -n "$RES" ]; then for c in pids memory cpu systemd; do # keeps its controllers on cgroup v1
    p=/sys/fs/cgroup/$c; mountpoint -q "$p" || continue
    d=$p$(awk -F: -v c=$c '$2==c||$2=="name="c{print $3}' /proc/self/cgroup); d=${d%/}/nsboot.$$; mkdir "$d" && V1+=("$d"); done; fi
  cleanup() {
    [ ! -e "$CG/cgroup.kill" ] || echo 1 >"$CG/cgroup.kill" || :
    for _ in $(seq 60); do                                # rmdir is EBUSY until the dead are reaped
      find "$CG" ${V1[@]+"${V1[@]}"} -depth -type d -exec rmdir {} + 2>/dev/null || :
      [ -d "$CG" ] || break; sleep .05; done
    [ -z "$OWN" ] || umount "$CG2" || :
    rm -rf --one-file-system "$W" || :
  }
  trap cleanup EXIT; trap 'exit 143' TERM HUP; trap 'exit 130' INT
  printf '%s\n' ${BINDS[@]+"${BINDS[@]}"} >"$W/binds"
  [ -z "$JDIR" ] || { mkdir -p "$JDIR"; printf '%s:/var/log/journal\n' "$(readlink -f "$JDIR")" >>"$W/binds"; }
  { printf '#!/bin/bash\nexec >/run/nsboot.out 2>&1\nexport HOME=/root NSBOOT=1 PATH=%q LANG=C.UTF-8\n' "$PATH"
    for v in ${VARS[@]+"${VARS[@]}"}; do [ -z "${!v+x}" ] || printf 'export %s=%q\n' "$v" "${!v}"; done
    printf 'cd %q || cd /\n' "$PWD"; printf '%q ' "$SCRIPT" "$@"; printf '</dev/null\nrc=$?; echo $rc >/run/nsboot.rc; exit $rc\n'; } >"$W/cmd"
  { findmnt -nro TARGET -T "$PWD"; findmnt -nro TARGET -T "$SCRIPT"; } | sort -u >"$W/mps"
  exec 9<>"$W/out"; cat "$W/out" 9>&- & CAT=$!            # reader lives outside the namespaces
  rc=0
  ( exec 9>&-; for d in "$CG" ${V1[@]+"${V1[@]}"}; do      # enter the cgroups, THEN unshare them
      echo $BASHPID >"$d/cgroup.procs"; done
    export NSBOOT_STAGE=1 NSBOOT_W=$W NSBOOT_V1="${V1[*]+x}"
    exec timeout -k 5 -s KILL "$TMO" unshare --mount --propagation private --pid --fork \
      --kill-child=KILL --ipc --uts --net --cgroup -- /bin/bash "$0" </dev/null
  ) & PID=$!
  wait $PID 2>/dev/null || rc=$?
  exec 9>&-; wait $CAT || :
  if [ ! -s "$W/rc" ]; then
    echo "nsboot: the guest ended (rc=$rc) without a result: limit ${TMO}s hit, boot failure, or power-off" >&2
    [ $rc = 137 ] || rc=125; exit $rc
  fi
  rc=$(cat "$W/rc")
  exit $rc
fi

# ---------- stage 1: inside the namespaces; this process becomes systemd (PID 1)
W=$NSBOOT_W; CMD=$(cat "$W/cmd"); mapfile -t BINDS <"$W/binds"
mkdir "$W/fs"; mount -t tmpfs -o mode=755 nsboot "$W/fs"; mkdir "$W"/fs/{up,wk,root}; R=$W/fs/root
mount -t overlay overlay -o lowerdir=/,upperdir="$W/fs/up",workdir="$W/fs/wk" "$R"
while read -r mp; do                                      # $PWD or SCRIPT on another fs: overlay that too
  [ "$mp" != / ] || continue; i=$((${i:-0}+1)); mkdir "$W/fs/up$i" "$W/fs/wk$i"; mkdir -p "$R$mp"
  mount -t overlay overlay -o "lowerdir=$mp,upperdir=$W/fs/up$i,workdir=$W/fs/wk$i" "$R$mp"; done <"$W/mps"
mount -t proc    -o nosuid,nodev,noexec     proc    "$R/proc"
for p in sys sysrq-trigger irq bus; do                    # keep the host's sysctls out of reach
  [ ! -e "$R/proc/$p" ] || { mount --bind "$R/proc/$p" "$R/proc/$p"; mount -o remount,bind,ro "$R/proc/$p"; }; done
mount -t sysfs   -o ro,nosuid,nodev,noexec  sysfs   "$R/sys"   # ro: udev, modules... skip themselves
if [ -z "$NSBOOT_V1" ]; then mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$R/sys/fs/cgroup"
else C=$R/sys/fs/cgroup; mount -t tmpfs -o mode=755 tmpfs "$C"; mkdir "$C"/{unified,systemd,pids,memory,cpu}
  mount -t cgroup2 cgroup2 "$C/unified"; mount -t cgroup -o none,name=systemd cgroup "$C/systemd"
  for c in pids memory cpu; do mount -t cgroup -o $c cgroup "$C/$c"; done
  mount -o remount,ro "$C"; fi                            # else systemd mounts the other v1 controllers, un-namespaced
mount -t tmpfs   -o mode=755,nosuid,nodev   tmpfs   "$R/run"
mount -t tmpfs   -o mode=755,nosuid,noexec  tmpfs   "$R/dev"
mkdir "$R"/dev/{pts,shm}
for d in null zero full random urandom tty; do : >"$R/dev/$d"; mount --bind "/dev/$d" "$R/dev/$d"; done
mount -t devpts  -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$R/dev/pts"
mount -t tmpfs   -o mode=1777,nosuid,nodev  tmpfs   "$R/dev/shm"
ln -s pts/ptmx "$R/dev/ptmx"; ln -s /proc/self/fd "$R/dev/fd"
for i in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${i%%:*}" "$R/dev/${i#*:}"; done
rm -rf "$R"/var/log/journal "$R"/etc/machine-id; mkdir -p "$R"/var/tmp
for b in "${BINDS[@]}"; do [ -n "$b" ] || continue; s=${b%%:*} d=$R${b#*:}
  if [ -d "$s" ]; then mkdir -p "$d"; else mkdir -p "${d%/*}"; : >>"$d"; fi; mount --bind "$s" "$d"; done
systemd-id128 new >"$R/etc/machine-id"; echo nsboot >"$R/etc/hostname"; : >"$R/etc/fstab"
for f in out rc; do : >"$R/run/nsboot.$f"; mount --bind "$W/$f" "$R/run/nsboot.$f"; done
printf '%s\n' "$CMD" >"$R/run/nsboot.cmd"; chmod 755 "$R/run/nsboot.cmd"
mkdir "$R/run/tmpfiles.d"; : >"$R/run/tmpfiles.d/tmp.conf"     # Debian's tmp.conf would empty /tmp at boot
U=$R/run/systemd/system; mkdir -p "$U" "$R"/run/systemd/{system,journald}.conf.d
printf '[Manager]\nDefaultTimeoutStopSec=5s\n' >"$R/run/systemd/system.conf.d/nsboot.conf"
printf '[Journal]\nRateLimitBurst=0\nForwardToSyslog=no\nReadKMsg=no\nAudit=no\n' >"$R/run/systemd/journald.conf.d/nsboot.conf"
cat >"$U/nsboot.target" <<T
[Unit]
Requires=basic.target
After=basic.target
Wants=nsboot.service
T
cat >"$U/nsboot.service" <<T
[Unit]
Wants=dbus.socket
After=basic.target dbus.socket
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/run/nsboot.cmd
T
for u in systemd-{udevd,udev-trigger,timesyncd,networkd,resolved,firstboot,logind,update-utmp,modules-load} \
         systemd-{sysctl,remount-fs,binfmt,pstore,random-seed,hwdb-update,journal-catalog-update,update-done}; do
  ln -s /dev/null "$U/$u.service"; done
for u in dev-hugepages.mount dev-mqueue.mount sys-kernel-{debug,tracing,config}.mount \
         sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount systemd-udevd-{control,kernel}.socket; do
  ln -s /dev/null "$U/$u"; done
cd "$R"; mkdir -p "$R/.old"; pivot_root . .old
exec chroot . /bin/bash -c 'umount -l /.old && rmdir /.old; mount --make-rshared /
  ip link set lo up 2>/dev/null || :
  exec env -i container=nsboot PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    /lib/systemd/systemd --system --unit=nsboot.target --show-status=0 --log-target=journal'
