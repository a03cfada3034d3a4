# The second half of apply.sh, in one script with it: see apply.ts.
# shellcheck shell=bash disable=SC2154,SC2015,SC2153

# --- what the load balancer does on its servers ----------------------------------------------------------------------
#
#   check NAME KIB FILES      whether there is room for a release, here and on every server; "send", or "have" if it is here
#   take NAME                 keeps the release that is on stdin (a compressed tar), and prints its word: a new one each time
#   push WORD                 makes it the one that every server serves, a few at a time
#   rollback [NAME]           the same with the one before, or with that one
#   releases                  which server serves which release, and which one runs the jobs that run once
#   tick                      for a timer: what apply had to leave to later, and the right to run those jobs
#
# It reaches them as the user that every server's user data makes (userdata/setup/answer.sh), over the VPC, by the set-up key.
# Their host keys it learns at the first contact, and expects from then on as long as haproxy.cfg names the address.

readonly CONTENT=/var/lib/dropscale/content # releases/NAME; files: current, history, staged, newest, pushing, missed
readonly KNOWN=/etc/dropscale/known_hosts
readonly AT_ONCE=4 KEPT=5 PUSH_HEALTH_SECONDS=${PUSH_HEALTH_SECONDS:-10}
export CONTENT KNOWN

# A command to a server, and what it says; fails with SSH's words or the server's.
on_server() { # seconds address command...
    timeout "$1" ssh -F none -T -i "$SETUP_KEY" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=5 \
        -o ServerAliveInterval=5 -o ServerAliveCountMax=3 -o StrictHostKeyChecking=accept-new -o UpdateHostKeys=no \
        -o UserKnownHostsFile="$KNOWN" -o GlobalKnownHostsFile=/dev/null -o LogLevel=ERROR \
        "$SETUP_USER@$2" "${*:3}"
}

# The last line of what went wrong: it stands in a list.
because() { tr -d '\000-\010\013-\037\177' | grep . | tail -n 1 | cut -c 1-200; }

# A new machine may get an address that another one had.
forget_host_keys() { # the haproxy.cfg whose servers stay
    if [[ ! -s $KNOWN ]]; then return; fi
    awk -v known="$KNOWN" 'FILENAME != known { if ($1 == "server") { sub(/:.*/, "", $3); stays[$3] } next } $1 in stays' \
        "$1" "$KNOWN" >"$KNOWN.new" && mv "$KNOWN.new" "$KNOWN"
}

# "<name> <address>" of the servers of haproxy.cfg, the lowest slot first.
all_servers() { awk '$1 == "server" && !told[$2]++ { sub(/:.*/, "", $3); print $2, $3 }' "$CFG" | sort --version-sort; }

# Runs a function with each of these servers ("<name> <address>"), so many at a time. What it printed is in
# $answers/<name>, and in <name>.failed if it failed.
for_each() { # at-once function servers...
    local most=$1 function=$2 server name running=0
    for server in "${@:3}"; do
        name=${server%% *}
        if ((running >= most)); then wait -n && :; ((running--)); fi
        # shellcheck disable=SC2086 # two words
        { "$function" $server >"$answers/$name" 2>&1 </dev/null 9>&- || mv "$answers/$name" "$answers/$name.failed"; } &
        ((++running))
    done
    wait
}

# --- a release on one server -----------------------------------------------------------------------------------------

current_release() { cat "$CONTENT/current" 2>/dev/null; }

# "CURRENT KIB_FREE INODES_FREE has|lacks".
release_on() { # address [name]
    local words
    words=$(on_server 15 "$1" release "${2-}" 2>&1 </dev/null)
    if [[ $words =~ (^|$'\n')release\ ([0-9a-f]{16}|none)\ +([0-9]+)\ +([0-9]+)\ (has|lacks)$ ]]; then
        printf '%s\n' "${BASH_REMATCH[*]:2}"
    elif [[ $words == 'set-up '* ]]; then
        echo 'its user data is from before there was content: replace it (another generation)' && return 1
    else
        because <<<"${words:-no answer within 15 s}" && return 1
    fi
}

# Its files are there, and served to whoever asks for what the current release has not.
offer() { # name address: $release
    local found
    found=$(release_on "$2" "$release") || { echo "$found" && return 1; }
    if [[ $found == *has ]]; then
        found=$(on_server 15 "$2" offer "$release" 2>&1 </dev/null)
    else
        found=$(tar -c -C "$CONTENT/releases/$release" . | on_server 900 "$2" take "$release" 2>&1) &&
            found=$(on_server 15 "$2" offer "$release" 2>&1 </dev/null)
    fi || { because <<<"$found" && return 1; }
}

# Serves it from now on.
switch_to() { # address name
    local words
    words=$(on_server 15 "$1" switch "$2" 2>&1 </dev/null)
    [[ $words == "release $2 "* ]] || { because <<<"${words:-no answer within 15 s}" && return 1; }
}

# --- new servers, for apply ------------------------------------------------------------------------------------------

# What a server has to have before it is asked for its health path: it may be a page of it. Of servers that another load
# balancer of the stack may send requests to right now (nothing of ours runs here yet) each keeps what it has.
bring_release() { # address
    local release found
    release=$(current_release) || return 0
    found=$(release_on "$1" "$release") || { echo "$found" && return 1; }
    if [[ $found == "$release "* || -n $keeping && $found != 'none '* ]]; then return; fi
    if [[ $found == *lacks ]]; then
        found=$(tar -c -C "$CONTENT/releases/$release" . | on_server 900 "$1" take "$release" 2>&1) ||
            { because <<<"$found" && return 1; }
    fi
    switch_to "$1" "$release"
}

# Before new servers are asked.
prepare_bringing() {
    local number
    local -a servers=()
    if [[ -z $running ]]; then
        keeping=yes
        for number in "${pending[@]}"; do servers+=("${name[number]} ${target[number]%:*}"); done
        learn_release "${servers[@]}"
    fi
    bringing=$(current_release)
    export bringing keeping
}

# Those that are not ready get it when they are: see bring_missed.
bring_later() {
    local number
    if [[ -z $bringing ]]; then return; fi
    for number in "${pending[@]}"; do printf '%s %s\n' "${name[number]}" "${target[number]%:*}"; done >"$CONTENT/missed"
}

# A new load balancer gets the release from those who serve it.
learn_release() { # servers...
    local server found most
    if [[ -n $(current_release) ]]; then return; fi
    for_each 8 say_release "$@"
    most=$(grep -hoE '^[0-9a-f]{16}' "$answers"/* 2>/dev/null | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }')
    rm -f "$answers"/*
    if [[ -z $most ]]; then return; fi
    for server in "$@"; do
        found=$(release_on "${server#* }" "$most") && [[ $found == "$most "* ]] || continue
        prepare_store
        if on_server 900 "${server#* }" give 2>/dev/null </dev/null | unpack "$most" tar -x; then
            make_current "$most"
            say "release $most is served, and was got from ${server%% *}"
            return
        fi
    done
    fail "the servers serve release $most, and it could not be got from any of them: nothing was changed."
}

say_release() { release_on "$2"; }

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

# Which server serves what, as they say themselves: for whoever has to go on from there.
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

# The first one alone, then a few at a time: each has to answer its health path with the new release before the next.
# Who does not gets back what it had.
push_release() { # name
    local -a servers=() batch=()
    local server was failed='' done_count=0 release=$1 path host
    local -a request
    mapfile -t servers < <(all_servers)
    answers=$(mktemp -d) || fail 'there is no room in /run, nothing was changed.'
    export answers
    trap 'rm -rf "$answers"' EXIT
    was=$(current_release)
    printf '%s\n' "$release" >"$CONTENT/pushing"
    now 'pushing a release'
    for_each 8 offer "${servers[@]}"
    for server in "${servers[@]%% *}"; do
        if [[ -e $answers/$server.failed ]]; then failed+="  $server: $(<"$answers/$server.failed")"$'\n'; fi
    done
    rm -f "$answers"/*
    [[ -z $failed ]] || stopped "${servers[@]}" -- 'no server was switched, as not all could get the release:' "${failed%$'\n'}"
    read -r path host < <(check_request "$CFG" | awk '{ print $6, $11 }')
    request=(--disable --noproxy '*' --globoff --path-as-is --http1.1 --max-time 2 --header "Host: $host"
        --header 'Connection: close' --header 'User-Agent:' --header 'Accept:')
    while ((done_count < ${#servers[@]})); do
        batch=("${servers[@]:done_count:done_count == 0 ? 1 : AT_ONCE}")
        for_each "$AT_ONCE" switch_one "${batch[@]}"
        for server in "${batch[@]%% *}"; do
            if [[ -e $answers/$server.failed ]]; then failed+="  $server $(paste -sd ' ' "$answers/$server.failed")"$'\n'; fi
        done
        rm -f "$answers"/*
        [[ -z $failed ]] || stopped "${servers[@]}" -- 'the push was stopped:' "${failed%$'\n'}"
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

# --- jobs that run once ----------------------------------------------------------------------------------------------
#
# One server at a time has the right to begin them: the lowest slot that answers. It is lent for LEASE_SECONDS, which the
# server counts by its own clock, and ends with it what still runs. Nobody else gets it before the one who has it has said
# that it has stopped and runs nothing, or LEASE_SECONDS and MARGIN_SECONDS have passed since it was lent last. Of two load
# balancers of a stack the one lends that has the address, once it has had it so long.

readonly ONCE=/run/dropscale-once # "<address> <until> <name>" of who has the right, by this machine's uptime; gone at a boot
readonly LEASE_SECONDS=60 MARGIN_SECONDS=20 TICK_SECONDS=20

up_seconds() { cut -d . -f 1 /proc/uptime; }

has_address() {
    [[ $(curl --silent --fail --max-time 2 http://169.254.169.254/metadata/v1/reserved_ip/ipv4/active) == true ]]
}

# 0: the right is where it belongs, or nobody can have it. 1: who has it still runs a job. 2: it has to run out first.
tend_once() {
    local server address='' name='' holder='' until=0 holders_name='' words
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

# For ask_setup, which runs in processes of its own.
export -f on_server bring_release release_on switch_to current_release because

readonly USAGE="usage: $0 stage | apply WORD READY_SECONDS | check NAME KIB FILES | take NAME | push WORD |
    rollback [NAME] | releases | tick"
case ${1-}:$# in
stage:1 | apply:3 | check:4 | take:2 | push:2 | rollback:[12] | releases:1 | tick:1) "$@" ;;
*) fail "$USAGE" ;;
esac
