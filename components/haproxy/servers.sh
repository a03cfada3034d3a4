# What the load balancer does on its servers: see apply.ts for the script that this is a part of.
# shellcheck shell=bash disable=SC2154,SC2015,SC2153
#
# It reaches them as the user that every server's user data makes (userdata/setup/answer.sh), over the VPC, by the set-up key.
# Their host keys it learns at the first contact, and expects from then on as long as haproxy.cfg names the address.

readonly CONTENT=/var/lib/dropscale/content # releases/NAME; files: current, history, first, staged, newest, pushing, missed
readonly KNOWN=/etc/dropscale/known_hosts
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

# A line for each server for which that failed: its name, and why.
failures() { # separator servers...
    local server
    for server in "${@:2}"; do
        server=${server%% *}
        if [[ -e $answers/$server.failed ]]; then printf '  %s%s%s\n' "$server" "$1" "$(paste -sd ' ' "$answers/$server.failed")"; fi
    done
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

# Sends the files of a release, and prints what the server says.
send_release() { tar -c -C "$CONTENT/releases/$2" . | on_server 900 "$1" take "$2" 2>&1; } # address name

# Brings $release to a server, which serves from it what its current release lacks.
offer() { # name address
    local found
    found=$(release_on "$2" "$release") || { echo "$found" && return 1; }
    # shellcheck disable=SC2046 # two words
    [[ $found == *has ]] || lacking "$kib" "$files" $(cut -d ' ' -f 2,3 <<<"$found") || return 1
    { [[ $found == *has ]] || found=$(send_release "$2" "$release"); } &&
        found=$(on_server 15 "$2" offer "$release" 2>&1 </dev/null) || { because <<<"$found" && return 1; }
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
        found=$(send_release "$1" "$release") || { because <<<"$found" && return 1; }
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
        begin_with_first
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
    if [[ -d $CONTENT/releases/$most ]]; then begin_with "$most"; return; fi
    for server in "$@"; do
        found=$(release_on "${server#* }" "$most") && [[ $found == "$most "* ]] || continue
        prepare_store
        if on_server 900 "${server#* }" give 2>/dev/null </dev/null | unpack "$most" tar -x; then
            begin_with "$most"
            say "release $most is served, and was got from ${server%% *}"
            return
        fi
    done
    fail "the servers serve release $most, and it could not be got from any of them: nothing was changed."
}

# Where no server serves any, they begin with what was sent.
begin_with_first() {
    local first
    first=$(cat "$CONTENT/first" 2>/dev/null)
    if [[ -z $first || -n $(current_release) || ! -d $CONTENT/releases/$first ]]; then return; fi
    begin_with "$first"
}

begin_with() { make_current "$1" || fail "the load balancer has no room in $CONTENT, nothing was changed."; } # name

say_release() { release_on "$2"; }
