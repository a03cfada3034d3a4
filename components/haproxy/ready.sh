# Part of the script: see apply.ts. Whether new servers are ready: they answer the health check's request, and say over SSH
# that their set-up has ended.
# shellcheck shell=bash disable=SC2154,SC2034,SC2120,SC2119,SC2004

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
