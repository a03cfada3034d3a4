# What a timer does, every TICK_SECONDS: what apply had to leave for later, and jobs that run once. A part of one script: see
# apply.ts.
# shellcheck shell=bash disable=SC2154,SC2015,SC2153,SC2034

# --- jobs that run once ----------------------------------------------------------------------------------------------
#
# One server at a time has the right to begin them: the lowest slot that answers. It is lent for LEASE_SECONDS, which the
# server counts by its own clock; what still runs ends with it. No other server gets it before the holder has said that it
# has stopped and runs nothing, or LEASE_SECONDS and MARGIN_SECONDS have passed since it was lent last. Of a stack's two load
# balancers, the one that has the address lends it, once it has had the address for that long.

readonly ONCE=/run/dropscale-once # "<address> <until> <name>" of the holder, by this machine's uptime; gone at a boot
readonly LEASE_SECONDS=60 MARGIN_SECONDS=20 TICK_SECONDS=20

up_seconds() { cut -d . -f 1 /proc/uptime; }

has_address() {
    [[ $(curl --silent --fail --max-time 2 http://169.254.169.254/metadata/v1/reserved_ip/ipv4/active) == true ]]
}

# 0: the right is where it belongs, or nobody can have it. 1: its holder still runs a job. 2: it has to run out first.
tend_once() {
    local address='' name='' holder='' until=0 holders_name='' words
    has_address || { rm -f "$ONCE.since" && return 0; }
    [[ -e $ONCE.since ]] || up_seconds >"$ONCE.since"
    while read -r name address; do
        [[ $(on_server 10 "$address" once ask 2>/dev/null </dev/null) == 'once '* ]] && break
        name='' address=''
    done < <(all_servers | head -n 5)
    [[ -n $address ]] || return 0
    if read -r holder until holders_name 2>/dev/null <"$ONCE" && [[ $holder != "$address" ]] && (($(up_seconds) < until)); then
        words=$(on_server 10 "$holder" once stop 2>/dev/null </dev/null)
        if [[ $words == 'once busy' ]]; then
            lend finish "$holder" "$holders_name" >/dev/null
            return 1
        fi
        [[ $words == 'once idle' ]] || return 2
    elif [[ -z $holder ]] && (($(up_seconds) < $(<"$ONCE.since") + LEASE_SECONDS + MARGIN_SECONDS)); then
        return 2
    fi
    if [[ $holder != "$address" ]]; then say "jobs that run once: on $name${holders_name:+ (were on $holders_name)}"; fi
    lend run "$address" "$name" >/dev/null
    return 0
}

# Noted before it is lent: it may arrive, though nobody says so.
lend() { # run|finish address name
    printf '%s %s %s\n' "$2" "$(($(up_seconds) + 10 + LEASE_SECONDS + MARGIN_SECONDS))" "$3" >"$ONCE.new" && mv "$ONCE.new" "$ONCE"
    on_server 10 "$2" once "$1" "$LEASE_SECONDS" 2>/dev/null </dev/null
}

# What a new load balancer had to leave to HAProxy's checks: it may have come up by now, and not with this release.
bring_missed() {
    local name address keeping='' words
    if [[ ! -s $CONTENT/missed || -e $CONTENT/pushing ]]; then return 0; fi
    while read -r name address; do
        if ! all_servers | grep -qxF "$name $address"; then continue; fi
        if words=$(bring_release "$address"); then say "$name has the release" >&2; else echo "$name $address"; fi
    done <"$CONTENT/missed" >"$CONTENT/missed.new"
    mv "$CONTENT/missed.new" "$CONTENT/missed"
}

tick() {
    exec 8<>/run/dropscale-tick.lock
    flock --nonblock 8 || return 0
    # At the level of a notice: that it ran is none.
    { bring_missed && tend_once; } 2>&1 | sed 's/^/<5>/'
}

start_timer() {
    local unit=/etc/systemd/system/dropscale-tick script
    script=$(readlink -f "$0")
    if grep -qsF "$script" "$unit.service"; then return; fi
    printf '%s\n' '[Unit]' 'Description=dropscale: what servers get that were late, and jobs that run once' '[Service]' \
        'Type=oneshot' 'LogLevelMax=notice' "ExecStart=$script tick" >"$unit.service"
    printf '%s\n' '[Timer]' "OnActiveSec=$TICK_SECONDS" "OnUnitActiveSec=$TICK_SECONDS" 'AccuracySec=1' '[Install]' \
        'WantedBy=timers.target' >"$unit.timer"
    systemctl daemon-reload && systemctl enable --quiet --now dropscale-tick.timer 9>&-
}

# A server that leaves is deleted after this: a job on it gets as long as requests do.
after_apply() { # seconds
    local deadline=$((SECONDS + $1)) told=''
    forget_host_keys "$CFG"
    start_timer
    exec 8<>/run/dropscale-tick.lock
    flock --wait 60 8 || return 0
    while :; do
        tend_once
        (($? == 1)) || break
        if [[ -z $told ]]; then told=yes && now 'waiting for a job' && say 'a job that runs once still runs on a server that is not to run it: waiting'; fi
        if ((SECONDS >= deadline)); then say "warning: it still runs after $1 s; it ends with its server" && break; fi
        sleep 2
    done
}
