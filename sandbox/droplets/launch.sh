#!/bin/sh
# Runs one droplet, from power on to power off. The manager starts it in a session and a mount namespace of its
# own (setsid, unshare --mount): it outlives the manager, and its disk's mount goes away with its last process.
#
#   launch.sh NETNS LOWERDIR DISK "CGROUP ..." NSPAWN-ARGUMENT...
#
# DISK has upper/, work/ and merged/. What the system writes to its console is kept in DISK/console.log, the
# first MiB since power on.
set -eu
netns=$1 lowerdir=$2 disk=$3 cgroups=$4
shift 4

for cgroup in $cgroups; do
    echo $$ >"$cgroup/cgroup.procs"
done

cd "$disk" # relative names: a comma or colon in the path would end an option of mount
run() {
    # nspawn leaves locks and folders there when it is killed.
    mkdir -p /run/systemd/nspawn
    mount -t tmpfs -o mode=755 tmpfs /run/systemd/nspawn
    mount -t overlay overlay -o "lowerdir=$lowerdir,upperdir=upper,workdir=work" merged
    while :; do
        # ifup fails on an address that is there already, as after a stop that was not clean.
        for link in eth0 eth1; do
            ip -n "$netns" address flush dev "$link"
            ip -n "$netns" link set "$link" down
        done
        # NOFILE: as on a real droplet, or as near to it as this host lets root go.
        # "network": a droplet may set net.* sysctls of its namespace. SIGRTMIN+4: poweroff, systemd(1).
        status=0
        SYSTEMD_NSPAWN_API_VFS_WRITABLE=network systemd-nspawn --quiet --boot \
            --directory=merged --network-namespace-path="/run/netns/$netns" \
            --register=no --keep-unit --console=read-only --link-journal=no --resolv-conf=off --timezone=off \
            --rlimit=NOFILE=1024:524288 --capability=CAP_NET_ADMIN --kill-signal=SIGRTMIN+4 "$@" </dev/null || status=$?
        # The system asked for a reboot: systemd-nspawn(1), "Exit status".
        [ "$status" -eq 133 ] || return "$status"
    done
}

run "$@" 2>&1 | {
    stdbuf -o0 head -c 1048576 >console.log
    exec cat >/dev/null
}
