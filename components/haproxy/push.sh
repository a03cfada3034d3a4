# Releases of content: the store on the load balancer, and how they come to the servers. A part of one script: see apply.ts.
# shellcheck shell=bash disable=SC2154,SC2015,SC2153

readonly AT_ONCE=4 KEPT=5 PUSH_HEALTH_SECONDS=${PUSH_HEALTH_SECONDS:-10}

# --- the store -------------------------------------------------------------------------------------------------------

prepare_store() { mkdir -p "$CONTENT/releases" && find "$CONTENT/releases" -maxdepth 1 -name '.new-*' -mmin +60 -exec rm -rf {} +; }

# Keeps what comes on stdin, whole or not at all.
unpack() { # name tar-command...
    local new
    new=$(mktemp -d "$CONTENT/releases/.new-XXXXXX") || return 1
    if "${@:2}" -C "$new" --no-same-owner --warning=no-timestamp && chmod -R u=rwX,go=rX "$new" &&
        [[ $(name_of "$new") == "$1" ]] && touch "$new" && mv -T "$new" "$CONTENT/releases/$1"; then
        sync -f "$CONTENT"
        return
    fi
    rm -rf "$new"
    [[ -d $CONTENT/releases/$1 ]] # another one was faster
}

# `history` has the newest last: what a roll-back goes by.
make_current() { # name
    local old
    printf '%s\n' "$1" >"$CONTENT/current.new" && mv "$CONTENT/current.new" "$CONTENT/current"
    { grep -vxF "$1" "$CONTENT/history" 2>/dev/null; echo "$1"; } | tail -n "$KEPT" >"$CONTENT/history.new"
    mv "$CONTENT/history.new" "$CONTENT/history"
    for old in "$CONTENT"/releases/*; do
        # One that was taken within the hour may be about to be pushed.
        if ! grep -qxF "${old##*/}" "$CONTENT/history" && [[ -n $(find "$old" -maxdepth 0 -mmin +60) ]]; then rm -rf "$old"; fi
    done
}

# The next word for this release.
word_for() { # name
    local number=0 newest=0
    exec 7<>"$CONTENT/words.lock" && flock --wait 30 7 || fail 'another run has been staging a release for 30 s.'
    number=$(cat "$CONTENT/staged" 2>/dev/null) newest=$(cat "$CONTENT/newest" 2>/dev/null)
    number=$(((${number:-0} > ${newest:-0} ? ${number:-0} : ${newest:-0}) + 1))
    printf '%s\n' "$number" >"$CONTENT/staged"
    printf '%s-%s-%s\n' "$number" "$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')" "$1"
    exec 7>&-
}

is_name() { [[ $1 =~ ^[0-9a-f]{16}$ ]] || fail "a release's name should be 16 hexadecimal digits, got $1"; }

check() { # name kib files
    local -a servers=() problems=()
    local server found kib inodes has release=$1
    is_name "$1" && prepare_store
    answers=$(mktemp -d) && trap 'rm -rf "$answers"' EXIT
    if [[ ! -d $CONTENT/releases/$1 ]]; then
        check_room 'the load balancer' "$2" "$3" "$(df --output=avail -k "$CONTENT" | tail -n 1)" \
            "$(df --output=iavail "$CONTENT" | tail -n 1)"
    fi
    mapfile -t servers < <(all_servers)
    for_each 8 say_room "${servers[@]}"
    for server in "${servers[@]%% *}"; do
        if [[ -e $answers/$server.failed ]]; then
            problems+=("$server: $(<"$answers/$server.failed")")
        elif read -r found kib inodes has <"$answers/$server" && [[ $has == lacks ]]; then
            check_room "$server" "$2" "$3" "$kib" "$inodes"
        fi
    done
    ((${#problems[@]} == 0)) || fail 'nothing was sent:' "${problems[@]/#/  }" \
        "A server that is dead or sick is taken out by 'retired'."
    if [[ -d $CONTENT/releases/$1 ]]; then echo have; else echo send; fi
}

say_room() { release_on "$2" "$release"; }

# A tenth of a disk's room is left to what else is written there. An empty file takes a block.
check_room() { # where kib files kib-free inodes-free
    local needs=$(($2 + 4 * $3))
    if ((needs > $4 * 9 / 10)); then problems+=("$1 has no room: the release needs $((needs / 1024)) MiB, $(($4 / 1024)) MiB are free"); fi
    if (($5 > 0 && $3 * 2 > $5)); then problems+=("$1 has no room for $3 files: its file system can have $5 more"); fi
}

take() { # name
    is_name "$1" && prepare_store
    if [[ ! -d $CONTENT/releases/$1 ]]; then
        unpack "$1" tar -xz || fail "release $1 did not arrive whole, nothing was changed: the folder changed meanwhile, or" \
            'the connection broke. Run it again.'
    fi
    touch "$CONTENT/releases/$1"
    # Nothing of ours runs here: it is what the first servers get.
    if [[ -z $(current_release) && -z $(generation_of "$CFG") ]]; then make_current "$1"; fi
    word_for "$1"
}

# --- a push ----------------------------------------------------------------------------------------------------------

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
    local was failed done_count=0 release=$1 path host
    local -a request
    mapfile -t servers < <(all_servers)
    answers=$(mktemp -d) || fail 'there is no room in /run, nothing was changed.'
    export answers
    trap 'rm -rf "$answers"' EXIT
    was=$(current_release)
    printf '%s\n' "$release" >"$CONTENT/pushing"
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
    make_current "$release"
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
        fail "another release was pushed here since $name was sent, nothing was changed. Run it again if it is to be this one."
    [[ -d $CONTENT/releases/$name ]] || fail "release $name is not on this load balancer any more, nothing was changed: send it again."
    printf '%s\n' "$number" >"$CONTENT/newest"
    push_release "$name"
}

rollback() { # [name]
    local name=${1-} kept
    begin_push
    kept=$(grep -vxF "$(current_release)" "$CONTENT/history" 2>/dev/null | paste -sd ' ')
    if [[ -z $name && -e $CONTENT/pushing ]]; then name=$(current_release); fi
    name=${name:-${kept##* }}
    [[ -n $name ]] || fail 'there is no release before this one.'
    [[ $name =~ ^[0-9a-f]{16}$ && -d $CONTENT/releases/$name ]] ||
        fail "there is no release $name here; there are ${kept:-no others}."
    word_for "$name" | cut -d - -f 1 >"$CONTENT/newest"
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
