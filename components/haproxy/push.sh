# How a release of content comes to all servers. A part of one script: see apply.ts.
# shellcheck shell=bash disable=SC2154,SC2015,SC2153

readonly AT_ONCE=4 PUSH_HEALTH_SECONDS=${PUSH_HEALTH_SECONDS:-10}
readonly RESEND="\`npm run push\` with its folder sends it anew, and for \`content\` in the config
\`pulumi up --replace '**:Command::content-sent'\` does."

# Which release each server says that it serves, so that a person knows where the push stopped.
tell_releases() { # servers...
    local server
    for_each 8 say_release "$@"
    for server in "${@%% *}"; do
        if [[ -e $answers/$server ]]; then
            say "  $server serves $(cut -d ' ' -f 1 "$answers/$server")"
        else
            say "  $server: $(<"$answers/$server.failed")"
        fi
    done
    rm -f "$answers"/*
}

stopped() { # servers... -- words...
    local -a servers=()
    while [[ $1 != -- ]]; do servers+=("$1") && shift; done
    printf '%s\n' "${@:2}" >&2
    tell_releases "${servers[@]}" >&2
    fail "New servers get $(current_release || echo none). The same again goes on from there; --rollback goes back."
}

# The first one alone, then a few at a time: each has to answer its health path with the new release before the next. One
# that does not gets back what it had.
push_release() { # name
    local -a servers=() batch=()
    local was failed done_count=0 release=$1 path host kib files
    local -a request
    mapfile -t servers < <(all_servers)
    answers=$(mktemp -d) || fail 'there is no room in /run, nothing was changed.'
    export answers
    trap 'rm -rf "$answers"' EXIT
    was=$(current_release)
    note pushing "$release"
    # shellcheck disable=SC2034 # for offer
    kib=$(du -sk --apparent-size "$CONTENT/releases/$release" | cut -f 1)
    # shellcheck disable=SC2034
    files=$(find "$CONTENT/releases/$release" -type f | wc -l)
    now 'pushing a release'
    for_each 8 offer "${servers[@]}"
    failed=$(failures ': ' "${servers[@]}")
    rm -f "$answers"/*
    [[ -z $failed ]] || stopped "${servers[@]}" -- 'no server was switched, as not all could get the release:' "$failed"
    read -r path host < <(check_request "$CFG" | awk '{ print $6, $11 }')
    request=(--disable --noproxy '*' --globoff --path-as-is --http1.1 --max-time 2 --header "Host: $host"
        --header 'Connection: close' --header 'User-Agent:' --header 'Accept:')
    while ((done_count < ${#servers[@]})); do
        batch=("${servers[@]:done_count:done_count == 0 ? 1 : AT_ONCE}")
        for_each "$AT_ONCE" switch_one "${batch[@]}"
        failed=$(failures ' ' "${batch[@]}")
        rm -f "$answers"/*
        [[ -z $failed ]] || stopped "${servers[@]}" -- 'the push was stopped:' "$failed"
        ((done_count += ${#batch[@]}))
        say "$done_count of ${#servers[@]} serve $release: $(in_one_line "${batch[@]%% *}")" ||
            stopped "${servers[@]}" -- 'nobody reads any more: the push was interrupted.'
    done
    make_current "$release" || fail "release $release is served by all of ${#servers[@]}, but the load balancer has no room to" \
        "note it: new servers would get ${was:-none}. Make room in $CONTENT, and push it again."
    rm -f "$CONTENT/pushing" "$CONTENT/missed"
    for_each 8 settle "${servers[@]}"
    if [[ $was == "$release" ]]; then was=''; fi
    say "release $release is served by all of ${#servers[@]}${was:+, was $was}"
}

switch_one() { # name address
    local found before deadline=$((SECONDS + PUSH_HEALTH_SECONDS)) status=''
    found=$(release_on "$2") || { echo "$found" && return 1; }
    before=${found%% *}
    if [[ $before != "$release" ]]; then
        found=$(switch_to "$2" "$release") || { echo "could not be switched: $found" && return 1; }
    fi
    while :; do
        status=$(curl "${request[@]}" --silent --show-error --output /dev/null --write-out '%{http_code}' \
            "http://$2:$(port_of "$1")$path" 2>/dev/null)
        if [[ $status == 2?? ]]; then break; fi
        ((SECONDS < deadline)) || break
        sleep 0.5
    done
    if [[ $status == 2?? ]]; then return 0; fi
    echo "answers $path with ${status/000/nothing} for $PUSH_HEALTH_SECONDS s"
    if [[ $before != none && $before != "$release" ]]; then
        if switch_to "$2" "$before" >/dev/null; then echo "and has $before again"; else echo "and could not be switched back"; fi
    fi
    return 1
}

port_of() { awk -v name="$1" '$1 == "server" && $2 == name { sub(/.*:/, "", $3); print $3; exit }' "$CFG"; }

settle() { on_server 15 "$2" settle; }

begin_push() {
    exec </dev/null
    prepare_push
    [[ -n $(generation_of "$CFG") ]] || fail "no haproxy.cfg of ours serves on this load balancer: run 'pulumi up' first."
}

prepare_push() {
    prepare_store
    take_lock patient
    trap '' HUP PIPE
}

push() { # word
    [[ $1 =~ ^([0-9]+)-[0-9a-f]+-([0-9a-f]{16})$ ]] || fail "$USAGE"
    local number=${BASH_REMATCH[1]} name=${BASH_REMATCH[2]} newest
    begin_push
    newest=$(cat "$CONTENT/newest" 2>/dev/null)
    ((number >= ${newest:-0})) ||
        fail "another release was pushed here since $name was sent, or somebody has gone back: nothing was changed." \
            "If it is to be $name after all: $RESEND"
    [[ -d $CONTENT/releases/$name ]] ||
        fail "release $name is not on this load balancer any more, nothing was changed: $RESEND"
    note newest "$number"
    push_release "$name"
}

rollback() { # [name]
    local name=${1-} kept word
    begin_push
    kept=$(grep -vxF "$(current_release)" "$CONTENT/history" 2>/dev/null | paste -sd ' ')
    if [[ -z $name && -e $CONTENT/pushing ]]; then name=$(current_release); fi
    name=${name:-${kept##* }}
    [[ -n $name ]] || fail 'there is no release before this one.'
    [[ $name =~ ^[0-9a-f]{16}$ && -d $CONTENT/releases/$name ]] ||
        fail "there is no release $name here; there are ${kept:-no others}."
    word=$(word_for "$name") || exit 1
    note newest "${word%%-*}"
    push_release "$name"
}

# For our own commands: a line each, nothing where no release was ever pushed.
releases() {
    local -a servers=()
    local server found release
    release=$(current_release)
    if [[ -n $release ]]; then
        answers=$(mktemp -d) && trap 'rm -rf "$answers"' EXIT
        printf 'current %s\n' "$release"
        printf 'kept %s\n' "$(paste -sd ' ' "$CONTENT/history" 2>/dev/null)"
        if [[ -e $CONTENT/pushing ]]; then printf 'pushing %s\n' "$(<"$CONTENT/pushing")"; fi
        mapfile -t servers < <(all_servers)
        for_each 8 say_release "${servers[@]}"
        for server in "${servers[@]}"; do
            found=${server%% *}
            if [[ -e $answers/$found ]]; then
                printf 'server %s %s\n' "$server" "$(cut -d ' ' -f 1 "$answers/$found")"
            else
                printf 'server %s - %s\n' "$server" "$(<"$answers/$found.failed")"
            fi
        done
    fi
    if [[ -e $ONCE ]]; then printf 'once %s\n' "$(cut -d ' ' -f 1,3 "$ONCE")"; fi
    echo end
}
