#!/usr/bin/env bash
# A Debian that sysvinit has booted, with scripts in /etc/init.d, as a container on this machine.
#
#   initd-box.sh make sysv     build the root file system (cached as $BOX.tar), with SysV's own runlevels
#   initd-box.sh make openrc   the same, with OpenRC in the runlevels' place
#   initd-box.sh up [ARG…]     unpack if needed, boot it; ARGs go to systemd-nspawn (--bind=…)
#   initd-box.sh run CMD…      run a command inside
#   initd-box.sh reboot        reboot it
#   initd-box.sh powercut      kill it as a power cut would; "up" boots what is left on the disk
#   initd-box.sh down          shut it down
#
# Needs root and Debian's mmdebstrap and systemd-container. $BOX names the directory (default ./box).
set -uo pipefail
BOX=${BOX:-$PWD/box}

pid1() { pgrep -P "$(pgrep -P "$(cat "$BOX.pid" 2>/dev/null)" -x systemd-nspawn | head -1)" 2>/dev/null | head -1; }
inside() {
  local p; p=$(pid1); [ -n "$p" ] || { echo "initd-box: not running" >&2; return 99; }
  nsenter -t "$p" -m -u -i -n -p -C -- env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb "$@"
}
# The last thing that happens at a boot is that the runlevel's script ends.
wait_up() {
  for _ in $(seq 600); do
    # shellcheck disable=SC2016 # the inner shell expands it
    inside sh -c 'case "$(runlevel)" in *" 2") ! pgrep -f "init.d/rc [S2]|openrc (default|sysinit)" ;; *) false ;; esac' >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  echo "initd-box: did not come up; see $BOX.console" >&2; return 1
}

case ${1:-} in
  make)
    case ${2:-} in
      sysv) rc=sysv-rc,insserv,startpar ;;
      openrc) rc=openrc ;;
      *) echo "initd-box: make sysv, or make openrc" >&2; exit 2 ;;
    esac
    # There are no terminals to log in at, and init would complain of that for ever.
    # shellcheck disable=SC2016 # mmdebstrap's shell expands it
    mmdebstrap --variant=minbase \
      --include="sysvinit-core,initscripts,$rc,iproute2,procps,curl,netcat-openbsd,ca-certificates,libcap2-bin" \
      --customize-hook='sed -i /getty/d "$1/etc/inittab"' \
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
      done' initd-box "$BOX" "$@" >/dev/null 2>&1 &
    echo $! >"$BOX.pid"
    wait_up ;;
  run) shift; inside "$@" ;;
  reboot)
    p=$(pid1); inside shutdown -r now >/dev/null
    for _ in $(seq 600); do [ -d "/proc/$p" ] || break; sleep 0.1; done
    wait_up ;;
  powercut) p=$(pid1); [ -n "$p" ] && kill -9 "$p"; sleep 0.5 ;;
  down)
    inside shutdown -h -P now >/dev/null
    for _ in $(seq 300); do kill -0 "$(cat "$BOX.pid")" 2>/dev/null || exit 0; sleep 0.1; done
    exit 1 ;;
  *) sed -n '2,14p' "$0" >&2; exit 2 ;;
esac
