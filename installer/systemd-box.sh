#!/bin/bash
# A Debian with a really booted systemd, as a container on this machine, to install packages into.
#
#   systemd-box.sh make [PACKAGE,…]
#                              build the root file system (about 30 s, cached as $BOX.tar), with more packages
#   systemd-box.sh up [ARG…]   unpack if needed, boot it (about 1 s); ARGs go to systemd-nspawn (--bind=…)
#   systemd-box.sh run CMD…    run a command inside
#   systemd-box.sh reboot      reboot it
#   systemd-box.sh powercut    kill it as a power cut would; "up" boots what is left on the disk
#   systemd-box.sh down        shut it down
#
# Needs root and Debian's mmdebstrap and systemd-container. $BOX names the directory (default ./box).
# Host cgroups are v1 here, so MemoryMax and TasksMax can't be shown. Kill a service by its MainPID
# only after checking that the number is above 1: it is 0 while the service is down.
set -uo pipefail
BOX=${BOX:-$PWD/box}

pid1() { pgrep -P "$(pgrep -P "$(cat "$BOX.pid" 2>/dev/null)" -x systemd-nspawn | head -1)" 2>/dev/null | head -1; }
inside() {
  local p; p=$(pid1); [ -n "$p" ] || { echo "systemd-box: not running" >&2; return 99; }
  nsenter -t "$p" -m -u -i -n -p -C -- env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb "$@"
}
wait_up() {
  local state
  for _ in $(seq 600); do
    state=$(inside systemctl is-system-running 2>/dev/null)
    case $state in running|degraded) echo "$state"; return 0 ;; esac
    sleep 0.1
  done
  echo "systemd-box: did not come up; see $BOX.console" >&2; return 1
}

case ${1:-} in
  make)
    mmdebstrap --variant=minbase \
      --include=systemd,systemd-sysv,dbus,iproute2,procps,curl,netcat-openbsd,ca-certificates${2:+,$2} \
      bookworm "$BOX.tar" ;;
  up)
    shift
    [ -d "$BOX" ] || { mkdir -p "$BOX"; tar -xpf "$BOX.tar" -C "$BOX" --numeric-owner; : >"$BOX/etc/machine-id"; }
    # shellcheck disable=SC2016 # the inner shell expands it
    # nspawn ends with 133 when the box asks for a reboot
    setsid bash -c 'box=$1; shift
      while :; do
        systemd-nspawn -q -b -D "$box" --register=no --keep-unit --private-network --console=pipe "$@" \
          </dev/null >>"$box.console" 2>&1
        rc=$?; [ $rc = 133 ] || exit $rc
      done' systemd-box "$BOX" "$@" >/dev/null 2>&1 &
    echo $! >"$BOX.pid"
    wait_up ;;
  run) shift; inside "$@" ;;
  reboot)
    p=$(pid1); inside systemctl reboot
    for _ in $(seq 600); do [ -d "/proc/$p" ] || break; sleep 0.1; done
    wait_up ;;
  powercut) p=$(pid1); [ -n "$p" ] && kill -9 "$p"; sleep 0.5 ;;
  down)
    p=$(pid1); [ -n "$p" ] && kill -s RTMIN+4 "$p"
    for _ in $(seq 300); do kill -0 "$(cat "$BOX.pid")" 2>/dev/null || exit 0; sleep 0.1; done
    exit 1 ;;
  *) sed -n '2,14p' "$0" >&2; exit 2 ;;
esac
