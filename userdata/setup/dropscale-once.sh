#!/bin/bash
# dropscale-once COMMAND...: runs it where this server is the one of the stack that does; elsewhere it is silent. For lines
# of cron. The load balancer gives that right for a minute at a time, to one server: a job that outlives it is ended.
set -u
dir=/var/lib/dropscale/once
may() { # [run]
    local boot until mode
    read -r boot until mode <"$dir/right" && [[ $until =~ ^[0-9]+$ && $boot == "$(</proc/sys/kernel/random/boot_id)" ]] &&
        (($(cut -d. -f1 /proc/uptime) < until)) && [[ ${1:-$mode} == "$mode" ]]
}
(($# > 0)) || { echo "usage: $0 COMMAND..." >&2 && exit 64; }
# First the lock: who takes the right away looks at it after that.
exec 9<"$dir/lock" && flock --shared --wait 5 9 || exit 1
may run || exit 0
# What it starts has the lock, too.
setsid "$@" &
job=$!
while kill -0 "$job" 2>/dev/null; do
    if ! may; then
        echo "dropscale-once: this server has lost the right to run '$*', which is ended" >&2
        kill -TERM -- "-$job" 2>/dev/null
        for _ in 1 2 3 4 5; do kill -0 -- "-$job" 2>/dev/null && sleep 1; done
        kill -KILL -- "-$job" 2>/dev/null
        exit 75
    fi
    sleep 1
done
wait "$job"
