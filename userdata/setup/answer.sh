#!/bin/sh
# What the load balancer may do on this server, by SSH_ORIGINAL_COMMAND. name-of.sh stands before it.
#
# set-up                    one line, "set-up ended", "set-up runs" or "set-up failed"; after "failed" the end of the log
# release [NAME]            "release CURRENT KIB_FREE INODES_FREE has|lacks": what is served, and whether NAME is here
# take NAME                 keeps the release that is on stdin as a tar, if it is what its name says
# offer NAME                what a visitor asks for that `current` has not is served from it (`other`), and, before and after
#                           the switch, from what is served now (`before`)
# switch NAME               serves it
# settle                    nothing beside it is served any more
# give                      the release that is served, as a tar
# once ask|stop|run S|finish S
#                           "once idle|busy": whether a job runs. For S seconds jobs may begin and run, or only run on
# shellcheck disable=SC2015,SC2012,SC2086
set -uf
umask 022
export LC_ALL=C
dir=/var/lib/dropscale
site=$dir/site
once=$dir/once

set_up() {
    ended=/var/lib/cloud/instance/dropscale-set-up-ended
    result=/run/cloud-init/result.json
    log=/var/log/cloud-init-output.log
    if [ -s "$ended" ]; then
        echo 'set-up ended'
    elif [ -e /run/systemd/shutdown/scheduled ] || [ "$(systemctl is-system-running)" = stopping ]; then
        echo 'set-up runs: a restart is under way'
    # It is gone only after the restart that `power_state` asks for has begun.
    elif pgrep -f '/cloud-init (modules|--all-stages)' >/dev/null; then
        echo 'set-up runs'
    elif grep -q '"errors": \[\]' "$result" 2>/dev/null; then
        echo yes >"$ended"
        echo 'set-up ended'
    elif [ -e "$result" ] || systemctl is-failed --quiet 'cloud-init*' cloud-config cloud-final; then
        echo 'set-up failed'
        tail -n 20 "$log" 2>&1 | tail -c 4000
    else
        echo 'set-up runs'
    fi
}

fail() {
    echo "$*" >&2
    exit 1
}

linked() { # current|other|before
    target=$(readlink "$site/$1")
    case $target in releases/*) echo "${target#releases/}" ;; *) echo none ;; esac
}

# In one step: nobody sees it missing.
link() { ln -sfn "releases/$2" "$site/$1.new" && mv -fT "$site/$1.new" "$site/$1"; }

tell() { # [name]
    here=lacks
    if [ -d "$site/releases/${1:-none}" ]; then here=has; fi
    echo "release $(linked current) $(df --output=avail -k "$site" | tail -n 1) $(df --output=iavail "$site" | tail -n 1) $here"
}

# Where it is served already, a push that stopped may go on: what was offered beside it stays so.
offer() {
    current=$(linked current)
    if [ "$current" = "$1" ]; then return; fi
    if [ "$current" != none ]; then link before "$current"; fi
    link other "$1"
}

lock() { exec 9>"$site/lock" && flock --wait 60 9 || fail 'another one is at it'; }

take() {
    new=$(mktemp -d "$site/.new-XXXXXX") && trap 'rm -rf "$new"' EXIT || fail 'there is no room'
    words=$(tar -x --warning=no-timestamp -C "$new" 2>&1) || fail "tar: $words"
    chmod -R u=rwX,go=rX "$new"
    [ "$(name_of "$new")" = "$1" ] || fail "what arrived is not $1"
    # Once it has its name it counts as whole: after a power cut, files that no disk had yet would be empty.
    mkdir -p "$site/releases" && touch "$new" && sync -f "$new" && mv -T "$new" "$site/releases/$1" ||
        fail 'it could not be kept'
    prune
}

# The newest four, and whatever is served.
prune() {
    ls -t "$site/releases" | tail -n +5 | while read -r old; do
        case $old in
        "$(linked current)" | "$(linked other)" | "$(linked before)") ;;
        *) rm -rf "$site/releases/$old" ;;
        esac
    done
}

switch() {
    touch "$site/releases/$1" && link current "$1" || fail 'the link could not be made'
    prune
}

# Of this boot alone, and by its own clock: a wrong time of day changes nothing.
once() {
    boot=$(cat /proc/sys/kernel/random/boot_id)
    now=$(cut -d. -f1 /proc/uptime)
    read -r of until mode 2>/dev/null <"$once/right" || of='' until=0 mode=none
    if [ "$of" != "$boot" ]; then until=0; fi
    case $1 in
    stop) mode=finish ;;
    run | finish) mode=$1 until=$((now + ${2:-0})) ;;
    esac
    if [ "$1" != ask ]; then echo "$boot $until $mode" >"$once/right.new" && mv -f "$once/right.new" "$once/right" || exit 1; fi
    # Whoever has begun by now has the lock.
    if flock --nonblock "$once/lock" true; then echo 'once idle'; else echo 'once busy'; fi
}

set -- ${SSH_ORIGINAL_COMMAND:-set-up} - -
case $1 in
release) tell "$2" ;;
take | offer | switch)
    expr "$2" : '[0-9a-f]\{16\}$' >/dev/null || fail "$2 is no name of a release"
    lock
    if [ "$1" = take ]; then
        find "$site" -maxdepth 1 -name '.new-*' -exec rm -rf {} +
        if [ -d "$site/releases/$2" ]; then cat >/dev/null; else take "$2"; fi
    else
        [ -d "$site/releases/$2" ] || fail "$2 is not here"
        "$1" "$2"
    fi
    tell "$2"
    ;;
settle)
    rm -f "$site/other" "$site/before" && lock && prune
    tell -
    ;;
give) [ "$(linked current)" != none ] && tar -c -C "$site/current/" . ;;
once) once "$2" "$3" ;;
*) set_up ;;
esac
