# Part of the script: see apply.ts. HAProxy's processes, and how a new text comes to run in place of the old one.
# shellcheck shell=bash disable=SC2154,SC2034,SC2120,SC2119

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
