#!/usr/bin/env bash
# shellcheck disable=SC2034,SC2120,SC2119
# Brings haproxy.cfg to a load balancer without losing a request; right whatever was there before.
#
#   stage                      keeps the text on stdin for later, and prints its word: a new one each time
#   apply WORD READY_SECONDS   makes that text the running one
#
# Two steps, because a run may be cut off in the second: the state then holds the staged text, and whatever config
# comes next differs from it or has not been applied. A word begins with a number that grows with each `stage`, and
# what was staged before the newest text applied is never applied again: a command that arrives late, sent by a run
# that is dead, changes nothing.
#
# Of the script this is the first part: apply.ts names the others.
#
# What runs is known by its generation marker (see markGeneration in render.ts), never by exit codes: a
# reload is a signal, and HAProxy 2.6 loses one that arrives while it is still loading.
# stdout is the word, or the log; stderr says why nothing was changed, or what to do.
set -uo pipefail
export LC_ALL=C TMPDIR=/run # /run is no disk that can be full
umask 022

readonly CFG=/etc/haproxy/haproxy.cfg
readonly STAGED=/etc/haproxy/staged # <word>.cfg, and `newest`: the number of the newest that was to be applied
readonly NEW=$CFG.new   # what is to run, until it is moved
readonly PREV=$CFG.prev # what ran before; a second name of the same file, so it needs no room
readonly MASTER=/run/haproxy-master.sock
readonly LOCK=/run/dropscale-haproxy.lock
readonly STATES=/run/dropscale-servers.state # what a new worker knows of servers; empty but during a reload
readonly RESTAGE="\`pulumi up --replace '**:Command::haproxy-staged'\` brings it anew."
export SETUP_USER=dropscale SETUP_KEY=/etc/dropscale/setup-key # to ask a server whether its set-up has ended
readonly LOCK_SECONDS=${LOCK_SECONDS:-120} ANSWER_SECONDS=10 RELOADS=3 PROGRESS_SECONDS=10

word='' ready_seconds='' # what to apply, and how long new servers may take
generation=''   # of the text to apply
serving_pid=''  # the worker that serves before the change; empty: none
running=''      # its generation; empty: no worker, or its configuration is not ours
running_file='' # the file that holds the running text; empty: lost, or not ours
lasting=''      # "<name> <address>:<port>" of the servers that stay, one a line
before=()       # <pid>:<start time> of each worker that must end before servers may be deleted
why=''          # why the new text was not loaded
answers=''      # folder with what servers have said of their set-up
declare -A asking=() # who asks them: a process for those who answer HTTP well, and one for those who don't

# Fails when nobody reads any more.
say() { printf '%s\n' "$*" 2>/dev/null; }

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# At most ten of the lines given, in one line.
in_one_line() {
    local text
    text=$(printf '%s, ' "${@:1:10}")
    printf '%s' "${text%, }"
    if (($# > 10)); then printf ' and %d more' $(($# - 10)); fi
}

# --- files -----------------------------------------------------------------------------------------------------------

# The generation of a file of ours; fails for a file that is cut short, edited by hand, or not ours.
generation_of() {
    local marker='^    description gen=\([0-9a-f]\{16\}\)$' found
    found=$(sed -n "s/$marker/\1/p" "$1" 2>/dev/null)
    [[ -n $found && $found == "$(sed "/$marker/d" "$1" | sha256sum | cut -c 1-16)" ]] && printf '%s' "$found"
}

# These lines can't be changed by a reload without risk: a worker that can't change its root or its user takes the
# master with it. `haproxy -c` does not see it.
fixed_lines() { awk '$1 ~ /^(chroot|user|group)$/ || ($1 == "stats" && $2 == "socket") { $1 = $1; print }' "$1"; }

# Where it listens, one a line: what else a bind line says may change by a reload.
listeners_of() { awk '$1 == "bind" { print $2 }' "$1" | sort -u; }

check_request() { awk '$1 == "http-check" && $2 == "send"' "$1"; }

hard_stop_seconds() { sed -n 's/^ *hard-stop-after \([0-9]*\)s$/\1/p' "$1" 2>/dev/null; }

# The text of a word, where `haproxy -c` and the reload look for it.
fetch_staged() {
    local words
    [[ -e $STAGED/$word.cfg ]] ||
        fail "there is no text $word on this load balancer, nothing was changed: $RESTAGE"
    words=$({ cat "$STAGED/$word.cfg" >"$NEW" && chmod 644 "$NEW" && sync "$NEW"; } 2>&1) ||
        fail "haproxy.cfg could not be written, nothing was changed: $words"
    generation=$(generation_of "$NEW") ||
        fail "$STAGED/$word.cfg was edited or is cut short, nothing was changed: $RESTAGE"
}

# The highest number at the beginning of these files' names; 0 without one.
highest_number() {
    (shopt -s nullglob && cd "$STAGED" && printf '%s\n' 0 [0-9]*-*.cfg) | sed 's/-.*//' | sort --numeric-sort | tail -n 1
}

newest() { cat "$STAGED/newest" 2>/dev/null || printf 0; }

expect_not_outdated() {
    ((${word%%-*} >= $(newest))) ||
        fail "text $word is older than one that was applied here since ($(newest)), nothing was changed: another run has" \
            "gone over this one, or the state is a backup. $RESTAGE"
}

# From here on nothing older is applied; what can't be applied any more goes.
remember_newest() {
    local words file
    words=$({ printf '%s\n' "${word%%-*}" >"$STAGED/newest.new" && mv -T "$STAGED/newest.new" "$STAGED/newest" &&
        sync "$STAGED"; } 2>&1) || fail "$STAGED/newest could not be written, nothing was changed: $words"
    for file in "$STAGED"/[0-9]*-*.cfg; do
        file=${file##*/}
        if ((${file%%-*} < ${word%%-*})); then rm -f "$STAGED/$file"; fi
    done
}

# The new worker gets the ports of the old one from it. One that is new has to be free: one that is taken stops all
# listeners for seconds, and `haproxy -c` does not see it. One that goes is closed by the old worker, which drains.
check_listeners() {
    local old new where holder
    old=$(listeners_of "$running_file") new=$(listeners_of "$NEW")
    for where in $(comm -13 <(printf '%s\n' "$old") <(printf '%s\n' "$new")); do
        holder=$(ss --no-header --listening --tcp --numeric --processes "sport = :${where##*:}") ||
            fail "whether $where is free can't be known, nothing was changed: ss failed."
        [[ -z $holder ]] || fail "haproxy.cfg is to listen on $where, which another process has, nothing was changed:" \
            "$(head -n 1 <<<"$holder" | tr -s ' ')" 'End it on the load balancer, and run pulumi up again.'
        say "will listen on $where, too"
    done
    for where in $(comm -23 <(printf '%s\n' "$old") <(printf '%s\n' "$new")); do say "will no longer listen on $where"; done
}

check_text() {
    local old new words
    if [[ -n $running_file ]]; then
        old=$(fixed_lines "$running_file") new=$(fixed_lines "$NEW")
        [[ $old == "$new" ]] ||
            fail 'chroot, user, group and stats socket lines of a running load balancer stay as they are:' \
                'a reload that fails on them would cut every connection. Nothing was changed.' \
                "running: $(in_one_line "${old//$'\n'/; }")" "refused: $(in_one_line "${new//$'\n'/; }")" \
                'Build a second load balancer instead, which takes the address over (pulumi up --replace URN, with' \
                'the URN of the load balancer droplet from: pulumi stack --show-urns).'
        check_listeners
    fi
    words=$(timeout 30 haproxy -c -f "$NEW" 2>&1) ||
        fail 'HAProxy refuses the new haproxy.cfg, nothing was changed:' "$(grep -v NOTICE <<<"$words")"
}

# The name that the next start reads; PREV keeps the running text, also when an earlier run ended half way.
move_into_place() {
    local words
    if [[ -e $CFG && $running_file != "$PREV" ]]; then
        words=$(ln -f "$CFG" "$PREV" 2>&1) || fail "haproxy.cfg.prev can't be made, nothing was changed: $words"
    fi
    words=$(mv -T "$NEW" "$CFG" 2>&1) || fail "haproxy.cfg can't be moved, nothing was changed: $words"
    sync "${CFG%/*}"
}

put_back() {
    if [[ -e $PREV ]]; then ln -f "$PREV" "$NEW" && mv -T "$NEW" "$CFG"; else rm -f "$CFG"; fi
    sync "${CFG%/*}"
}

# --- the steps -------------------------------------------------------------------------------------------------------

# One run at a time. One that only waits gives way to a later one, which waits for the same: after a run that was
# killed, the script here would else hold the lock for as long as the longest drain.
take_lock() { # [patient: a run that only waits is not ended]
    local deadline=$((SECONDS + LOCK_SECONDS)) holder
    exec 9<>"$LOCK" || fail "$LOCK can't be opened: this needs root."
    if flock --nonblock 9; then return; fi
    say "another run has the lock, waiting up to $LOCK_SECONDS s: $(<"$LOCK")"
    until flock --wait 1 9; do
        holder=$(<"$LOCK")
        ((SECONDS < deadline)) || fail "another run still has the lock after $LOCK_SECONDS s: $holder." \
            "Try again when it has ended, or end it on the load balancer with 'kill PID'."
        if [[ -z ${1-} && $holder =~ ^pid\ ([0-9]+),\ (asking|waiting) && $(readlink "/proc/${BASH_REMATCH[1]}/fd/9") == "$LOCK" ]]; then
            kill -TERM "${BASH_REMATCH[1]}" 2>/dev/null
        fi
    done
}

# However the script ends.
clean_up() {
    rm -f "$NEW"
    forget_states
    stop_asking_setup
}

prepare() {
    local tool
    for tool in haproxy curl socat flock systemctl ssh ss; do
        command -v "$tool" >/dev/null || fail "$tool is missing on the load balancer: see userdata/haproxy.yaml."
    done
    take_lock
    # A lost connection must not leave a step half done.
    trap '' HUP PIPE
    trap 'printf "ended by a signal: a later run has taken over, or somebody has stopped it.\n" >&2; exit 143' TERM INT
    trap clean_up EXIT
    forget_states
    # Debian makes both, at boot and when the package is installed.
    if [[ ! -d /run/haproxy ]]; then install -d -o haproxy -g haproxy -m 2775 /run/haproxy; fi
    mkdir -p /var/lib/haproxy
}

# What a second run is told that waits for the lock.
now() { printf 'pid %s, %s since %s' "$$" "$1" "$(date --utc +%TZ)" >"$LOCK"; }

stage() {
    local words
    words=$(mkdir -p "$STAGED" 2>&1) || fail "$STAGED can't be made, nothing was changed: $words"
    exec 9<>"$STAGED/lock"
    flock --wait 60 9 || fail "another run has been staging a text for 60 s, nothing was changed: run 'pulumi up' again."
    words=$({ cat >"$STAGED/incoming" && chmod 644 "$STAGED/incoming" && sync "$STAGED/incoming"; } 2>&1) ||
        fail "haproxy.cfg could not be staged, nothing was changed: $words"
    generation_of "$STAGED/incoming" >/dev/null ||
        fail "haproxy.cfg did not arrive whole, nothing was changed: run 'pulumi up' again."
    word=$(highest_number)
    if (($(newest) > word)); then word=$(newest); fi
    # Random, so that no word of another load balancer, or of one made again from nothing, is the same.
    word=$((word + 1))-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')
    words=$({ mv -T "$STAGED/incoming" "$STAGED/$word.cfg" && sync "$STAGED"; } 2>&1) ||
        fail "haproxy.cfg could not be staged, nothing was changed: $words"
    printf '%s\n' "$word"
}

apply() {
    local bound=0 seconds file began
    [[ $# == 2 && $1 =~ ^[0-9]+-[0-9a-f]+$ && $2 =~ ^[0-9]+$ ]] || fail "usage: $0 apply WORD READY_SECONDS"
    word=$1 ready_seconds=$2
    exec </dev/null
    expect_not_outdated # before an older run could end a later one
    prepare
    expect_not_outdated
    now 'reading'
    remember_newest
    fetch_staged
    look
    forget_host_keys "${running_file:-/dev/null}"
    for file in "${running_file:-$NEW}" "$PREV"; do
        seconds=$(hard_stop_seconds "$file")
        if ((${seconds:-0} + 5 > bound)); then bound=$((${seconds:-0} + 5)); fi
    done
    if [[ $running == "$generation" ]] && cmp --silent "$NEW" "$CFG"; then
        say "generation $generation is running already: nothing to do"
        mapfile -t before < <(workers | grep -v "^$serving_pid:")
        await_old_workers "$bound"
        after_apply "$bound"
        return
    fi
    check_text
    await_new_servers
    now 'applying'
    lasting=$(lasting_servers)
    mapfile -t before < <(workers)
    began=$(date +%s)
    move_into_place
    if [[ -n $running ]]; then
        reload || roll_back "$began"
        say "reloaded: generation $generation (was $running)"
    else
        start || roll_back "$began"
        say "started: generation $generation"
    fi
    await_old_workers "$bound"
    after_apply "$bound"
}
