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

# --- HAProxy's processes ---------------------------------------------------------------------------------------------

# One command to the master; socat closes its side after it, which HAProxy 2.6 waits for.
master() { timeout 5 socat -t 5 - "UNIX-CONNECT:$MASTER" <<<"$1" 2>/dev/null; }

# "<pid> <generation>" of the worker that takes connections (no generation: not our text). Fails when none answers.
serving() {
    master '@1 show info' | awk '
        $1 == "Pid:" { pid = $2 }
        $1 == "Stopping:" { stopping = $2 }
        tolower($1) == "description:" && sub(/^gen=/, "", $2) { generation = $2 }
        END { if (pid == "" || stopping != "0") exit 1; print pid, generation }'
}

# "<pid>:<start time>" of each worker: a pid alone may come to name another process.
workers() {
    local pid started
    for pid in $(master 'show proc' | awk '$2 == "worker" { print $1 }'); do
        if started=$(start_time "$pid"); then printf '%s:%s\n' "$pid" "$started"; fi
    done
}

# Field 22 of https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html; the name before it may hold blanks.
start_time() {
    local stat fields
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    read -r -a fields <<<"${stat##*) }"
    printf '%s' "${fields[19]}"
}

failed_reloads() { master 'show proc' | sed -n 's/.* master .*\[failed: \([0-9]*\)\].*/\1/p'; }

# The children of systemctl must not keep the lock.
unit() { timeout 60 systemctl "$@" 2>&1 9>&-; }

unit_is_down() { [[ $(unit is-active haproxy) != @(active|reloading|activating) ]]; }

haproxys_words() {
    journalctl --unit=haproxy --since="@$1" --output=cat --no-pager 2>/dev/null |
        grep ALERT | grep -v 'exited with code 143' | tail -n 8
}

# Which worker serves, which generation it has, and which file holds its text.
look() {
    local worker deadline=$((SECONDS + ANSWER_SECONDS)) file
    until worker=$(serving); do
        if unit_is_down; then return; fi
        # systemd starts it again and again.
        if ((SECONDS >= deadline)) && [[ $(unit is-active haproxy) == activating ]]; then return; fi
        ((SECONDS < deadline)) ||
            fail "HAProxy is running, but no worker answers on $MASTER: nothing was changed." \
                "On the load balancer, 'systemctl status haproxy' tells more; 'systemctl restart haproxy' cuts connections."
        sleep 0.5
    done
    read -r serving_pid running <<<"$worker"
    [[ -n $running ]] || return
    for file in "$CFG" "$PREV"; do
        if [[ $(generation_of "$file") == "$running" ]]; then
            running_file=$file
            return
        fi
    done
}

# Waits until a worker with this generation serves that is not among `before` (or any, given "any").
# Stops early when HAProxy has said no: given the number of failed reloads until now.
await_generation() { # generation failed-reloads [any]
    local deadline=$((SECONDS + ANSWER_SECONDS)) pid found failed
    while ((SECONDS < deadline)); do
        if read -r pid found < <(serving) && [[ $found == "$1" ]]; then
            if [[ ${3:-} == any || " ${before[*]-} " != *" $pid:"* ]]; then return 0; fi
        fi
        failed=$(failed_reloads)
        if [[ -n $failed ]] && ((failed > $2)); then why='HAProxy could not load it' && return 2; fi
        if [[ -z $failed ]] && unit_is_down; then why='HAProxy has ended' && return 2; fi
        sleep 0.2
    done
    return 1
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

# --- whether new servers are ready -----------------------------------------------------------------------------------

# "<name> <address>:<port>" of the servers that the running text doesn't have; all when it asks them another question.
new_servers() {
    if [[ -n $running_file && $(check_request "$running_file") == "$(check_request "$NEW")" ]]; then
        awk '$1 != "server" { next } NR == FNR { known[$3]; next } !($3 in known) && !told[$3]++ { print $2, $3 }' \
            "$running_file" "$NEW"
    else
        awk '$1 == "server" && !told[$3]++ { print $2, $3 }' "$NEW"
    fi
}

# Fills the lists of whom to ask. A machine that serves already has ended its set-up, whatever the question is now.
list_new_servers() {
    local line number served=''
    if [[ -n $running_file ]]; then
        served=$(awk '$1 == "server" { sub(/:.*/, "", $3); printf " %s ", $3 }' "$running_file")
    fi
    while read -r line; do
        number=${#name[@]}
        name+=("${line%% *}") target+=("${line#* }") pending+=("$number")
        http[number]='not asked' setup[number]='not known yet' due[number]=$SECONDS haste[number]=0
        if [[ $served == *" ${target[number]%:*} "* ]]; then setup[number]=ended; fi
    done < <(new_servers)
}

# Asks all targets (<address>:<port>, one a line on stdin) at once, with the request that HAProxy's check makes.
# "<line number from 0> <status> <curl's words>" each.
ask() {
    awk -v path="$path" '{ printf "url = \"http://%s%s\"\noutput = /dev/null\n", $1, path }' |
        curl "${request[@]}" --silent --parallel --parallel-immediate --parallel-max 300 \
            --write-out '%{urlnum} %{http_code} %{errormsg}\n' --config - 2>/dev/null 9>&-
}

# One question to each that is pending. Who answers well after its set-up has ended is ready: while that runs, it may be
# a package's default page that answers.
ask_pending() { # seconds since the first question
    local index status words number
    local -a asked=("${pending[@]}") targets=()
    for number in "${asked[@]}"; do targets+=("${target[number]}"); done
    while read -r index status words; do
        number=${asked[index]}
        if [[ $status == 2?? && ${setup[number]} == ended ]]; then
            say "${name[number]} answered after $1 s (HTTP $status)"
            unset "pending[index]"
            continue
        fi
        # It may be through: worth more than the question of every ten seconds.
        if [[ $status == 2?? && ${http[number]} != 'HTTP 2'* ]]; then due[number]=$SECONDS haste[number]=3; fi
        if [[ $status == 000 ]]; then http[number]=$words; else http[number]="HTTP $status"; fi
    done < <(printf '%s\n' "${targets[@]}" | ask)
    pending=("${pending[@]}")
}

# Asks one server whether its set-up has ended; what it says is in a file then. Any host key will do: nothing secret is
# sent, and whoever can answer in its place can answer the health check as well.
ask_setup() { # number address
    local words
    words=$(timeout 10 ssh -F none -T -i "$SETUP_KEY" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=3 \
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null \
        -o LogLevel=ERROR "$SETUP_USER@$2" 2>&1 </dev/null | tr -d '\000-\010\013-\037\177')
    if [[ $words == 'set-up ended' && -n $bringing ]]; then
        words=$(bring_release "$2") && words='set-up ended' || words="no release: $words"
    fi
    printf '%s\n' "${words:-no answer within 10 s}" >"$answers/$1.new" && mv "$answers/$1.new" "$answers/$1"
}

export -f ask_setup

# Asks whoever is due, in the background: eight at a time of those who answer HTTP, and eight of those who don't, so that
# nobody waits for machines that answer nothing. Three times in a row, then every ten seconds: a firewall that takes six
# connections in half a minute for an attack (`ufw limit`) never sees that many.
start_asking_setup() {
    local kind number
    local -a now_due
    for kind in good bad; do
        if [[ -n ${asking[$kind]-} ]] && kill -0 "${asking[$kind]}" 2>/dev/null; then continue; fi
        now_due=()
        for number in "${pending[@]}"; do
            if [[ ${setup[number]} == ended ]] || ((SECONDS < due[number])); then continue; fi
            if [[ ${http[number]} == 'HTTP 2'* && $kind == bad || ${http[number]} != 'HTTP 2'* && $kind == good ]]; then
                continue
            fi
            now_due+=("$number ${target[number]%:*}")
            due[number]=$((SECONDS + (--haste[number] > 0 ? 1 : 10)))
        done
        if ((${#now_due[@]} == 0)); then continue; fi
        printf '%s\n' "${now_due[@]}" |
            xargs -P 8 -L 1 bash -c 'ask_setup "$@"' ask_setup >/dev/null 2>&1 9>&- &
        asking[$kind]=$!
    done
}

# What runs now ends by itself within ten seconds, unheard.
stop_asking_setup() {
    if ((${#asking[@]} > 0)); then kill "${asking[@]}" 2>/dev/null; fi
    asking=()
    rm -rf "$answers"
}

# Takes in what they have said. A set-up that failed ends the run.
hear_setup() {
    local number words log=''
    local -a failed=()
    for number in "${pending[@]}"; do
        if [[ ! -f $answers/$number ]]; then continue; fi
        words=$(<"$answers/$number")
        rm -f "$answers/$number"
        if [[ $words == 'no release: '* ]]; then
            setup[number]="ended, $words"
        elif [[ $words =~ (^|$'\n')set-up\ (ended|runs|failed) ]]; then
            setup[number]=${BASH_REMATCH[2]}
        elif [[ ${setup[number]} != @(ended|runs) ]]; then
            setup[number]="not known, SSH says: ${words##*$'\n'}"
        fi
        if [[ ${setup[number]} == failed ]]; then failed+=("${name[number]}") log=${log:-"${words#*set-up failed}"}; fi
    done
    ((${#failed[@]} == 0)) ||
        fail "the set-up of $(in_one_line "${failed[@]}") failed, nothing was changed. The end of" \
            "/var/log/cloud-init-output.log on ${failed[0]}:$log" \
            "Fix the user data: an edit makes another server of it. Or 'retired' takes it out."
}

# What each that is pending said last to the two questions.
in_words() {
    local number
    local -a said=()
    for number in "${pending[@]}"; do said+=("${name[number]} (${http[number]}; set-up ${setup[number]})"); done
    in_one_line "${said[@]}"
}

still_in_setup() {
    local number
    for number in "${pending[@]}"; do if [[ ${setup[number]} == runs ]]; then return 0; fi; done
    return 1
}

# The whole question to a server, and what comes: status, Location, first line of the body.
question_and_answer() { # number
    printf '%s: GET http://%s%s with Host: %s gets ' "${name[$1]}" "${target[$1]}" "$path" "$host"
    curl "${request[@]}" --silent --show-error --include "http://${target[$1]}$path" 2>&1 | head -c 16384 |
        tr -d '\000-\010\013-\037\177' | awk '
            NR == 1 && !/^HTTP/ { sub(/^curl: \([0-9]+\) /, ""); print "no answer: " substr($0, 1, 200); exit }
            NR == 1 { status = $2 }
            !body && tolower($1) == "location:" { location = ", Location: " $2 }
            body && NF { line = ", first line: " substr($0, 1, 120); exit }
            $0 == "" { body = 1 }
            END { if (status) print "HTTP " status location line }'
}

not_ready() { # seconds since the first question
    local number
    local -a questions=() hints=()
    for number in "${pending[@]:0:5}"; do questions+=("$(question_and_answer "$number")"); done
    if [[ ${setup[*]} == *'SSH says'* ]]; then
        hints+=("Whether the set-up has ended, the load balancer asks over SSH as $SETUP_USER, on its servers' private addresses:"
            "allow that there (port 22 in the firewall; AllowUsers, AllowGroups and AuthorizedKeysFile in sshd's configuration).")
    fi
    fail "no good answer within $1 s, nothing was changed: $(in_words)." "${questions[@]}" "${hints[@]}" \
        "See /var/log/cloud-init-output.log on that server. 'retired' takes it out; 'readySeconds' is how long it may take."
}

# Every new server must have ended its set-up well, and answer after it, before it gets traffic. Where nothing of ours
# runs yet, one that is ready is enough, and the others get half a minute and the same time again: a sick server must not
# keep a new load balancer from serving. One that says that its set-up runs is not sick but new.
await_new_servers() {
    local -a name=() target=() http=() setup=() due=() haste=() pending=() request
    local path host bringing='' keeping='' started=$SECONDS told=$SECONDS deadline=$((SECONDS + ready_seconds)) patience=''
    list_new_servers
    ((${#pending[@]} > 0)) || return 0
    read -r path host < <(check_request "$NEW" | awk '{ print $6, $11 }')
    request=(--disable --noproxy '*' --globoff --path-as-is --http1.1 --max-time 2 --header "Host: $host"
        --header 'Connection: close' --header 'User-Agent:' --header 'Accept:')
    now 'asking new servers'
    say "asking ${#name[@]} new server(s): $(in_one_line "${name[@]}")"
    answers=$(mktemp -d) || fail 'there is no room in /run, nothing was changed.'
    export answers
    prepare_bringing
    while :; do
        start_asking_setup
        ask_pending $((SECONDS - started))
        ((${#pending[@]} > 0)) || break
        if [[ -z $running && -z $patience ]] && ((${#pending[@]} < ${#name[@]})); then
            patience=$((2 * SECONDS - started + 30))
        fi
        if [[ -n $patience ]] && ((SECONDS >= patience || SECONDS >= deadline)) && ! still_in_setup; then
            say "warning: no good answer, left to HAProxy's own check: $(in_words)"
            bring_later
            break
        fi
        ((SECONDS < deadline)) || not_ready $((SECONDS - started))
        if ((SECONDS - told >= PROGRESS_SECONDS)); then
            told=$SECONDS
            say "no good answer after $((SECONDS - started)) s: $(in_words)" ||
                fail 'the connection is gone, nothing was changed.'
        fi
        sleep 1
        hear_setup
    done
    stop_asking_setup
}

# --- the reload ------------------------------------------------------------------------------------------------------

# "<name> <address>:<port>" of the servers that stay as they are: only for them does an old state hold. By its name alone a
# new machine would get the old one's state, and its port.
lasting_servers() {
    [[ -n $running_file && $(check_request "$running_file") == "$(check_request "$NEW")" ]] || return 0
    awk '$1 != "server" { next } NR == FNR { known[$2, $3]; next } ($2, $3) in known && !told[$2]++ { print $2, $3 }' \
        "$running_file" "$NEW"
}

# A new worker begins with what this one knows, or it would send requests to servers that are DOWN. Fields:
# https://docs.haproxy.org/2.6/management.html#9.3-show%20servers%20state
save_states() {
    master '@1 show servers state pool' | awk -v lasting="$lasting" '
        BEGIN { print 1; for (n = split(lasting, servers, "\n"); n > 0; n--) stays[servers[n]] }
        ($4 " " $5 ":" $19) in stays' >"$STATES"
}

# For a start, and for a reload that is not this script's: every server begins as a new one does.
forget_states() { printf '1\n' >"$STATES"; }

# Success: the new text serves. Otherwise `why`, and haproxy.cfg is still the new one.
reload() {
    local attempt failed words
    failed=$(failed_reloads)
    for ((attempt = 1; attempt <= RELOADS; attempt++)); do
        if ((attempt > 1)); then say "no worker with the new text after $ANSWER_SECONDS s: reloading again"; fi
        save_states
        words=$(unit reload haproxy) || { why="systemctl reload: $words" && return 1; }
        await_generation "$generation" "${failed:-0}"
        case $? in 0) return 0 ;; 2) return 1 ;; esac
    done
    why="after $RELOADS reloads no worker has it"
    return 1
}

start() {
    local words
    unit reset-failed haproxy >/dev/null
    words=$(unit restart haproxy) || { why="systemctl restart: $words" && return 1; }
    await_generation "$generation" 0 && return 0
    why=${why:-"no worker has it after $ANSWER_SECONDS s"}
    return 1
}

roll_back() { # seconds since 1970 when it began
    local words reason=$why state='the old text is in place'
    words=$(haproxys_words "$1")
    put_back
    forget_states
    if [[ -n $running ]]; then
        # After a port that is taken, the old worker takes 3 s to listen again.
        await_generation "$running" 1000000 any || { unit_is_down && unit restart haproxy >/dev/null; } ||
            unit reload haproxy >/dev/null
        if await_generation "$running" 1000000 any; then
            state="generation $running serves as before"
        else
            state="THE OLD TEXT IS IN PLACE BUT DOES NOT SERVE: see 'systemctl status haproxy' on the load balancer"
        fi
    elif [[ -n $serving_pid ]]; then
        unit reset-failed haproxy >/dev/null
        unit restart haproxy >/dev/null
    fi
    fail "the new haproxy.cfg was not loaded ($reason); $state." ${words:+"$words"}
}

connections() {
    local pid
    for pid in "$@"; do master "@!$pid show info" | sed -n 's/^CurrConns: //p' | grep . || printf 'unknown\n'; done |
        paste -sd '+'
}

# Servers may be deleted only when no worker is left that knows them.
await_old_workers() { # bound in seconds
    local start=$SECONDS told=$SECONDS worker pid left
    ((${#before[@]} > 0)) || return 0
    now 'waiting for old workers'
    while :; do
        left=()
        for worker in "${before[@]}"; do
            pid=${worker%%:*}
            if [[ $(start_time "$pid") == "${worker#*:}" ]]; then left+=("$pid"); fi
        done
        if ((${#left[@]} == 0)); then
            say "old worker(s) ended after $((SECONDS - start)) s"
            return 0
        fi
        if ((SECONDS - start >= $1 || SECONDS - told >= PROGRESS_SECONDS)); then
            told=$SECONDS
            say "old worker(s) ${left[*]} still there after $((SECONDS - start)) s of at most $1 s" \
                "(connections: $(connections "${left[@]}"))"
        fi
        ((SECONDS - start < $1)) ||
            fail "generation $generation serves, but the old worker(s) ${left[*]} did not end within $1 s:" \
                "the servers that leave must not be deleted yet. Run 'pulumi up' again: it waits again."
        sleep 0.5
    done
}

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
