# Releases of content: the store on the load balancer. A part of one script: see apply.ts.
# shellcheck shell=bash disable=SC2154,SC2015,SC2153

readonly KEPT=5

prepare_store() {
    mkdir -p "$CONTENT/releases" &&
        find "$CONTENT/releases" -maxdepth 1 -name '.new-*' -mmin +60 -exec rm -rf {} +
}

# A file of one line, whole or not at all: a disk may be full.
put() { printf '%s\n' "$2" >"$CONTENT/$1.new" && mv -T "$CONTENT/$1.new" "$CONTENT/$1"; } # file line

note() { put "$@" || fail "the load balancer has no room in $CONTENT, nothing was changed."; } # file line

# Keeps what comes on stdin, whole or not at all; also after a power cut, which may leave files empty that no disk has yet.
unpack() { # name tar-command...
    local new
    new=$(mktemp -d "$CONTENT/releases/.new-XXXXXX") || return 1
    if "${@:2}" -C "$new" --no-same-owner --warning=no-timestamp && chmod -R u=rwX,go=rX "$new" &&
        [[ $(name_of "$new") == "$1" ]] && touch "$new" && sync -f "$new" && mv -T "$new" "$CONTENT/releases/$1"; then
        sync -f "$CONTENT"
        return
    fi
    rm -rf "$new"
    [[ -d $CONTENT/releases/$1 ]] # another one was faster
}

# `history` has the newest last: what a roll-back goes by. Nothing is deleted by a list that could not be written.
make_current() { # name
    put current "$1" &&
        { grep -vxF "$1" "$CONTENT/history" 2>/dev/null; echo "$1"; } | tail -n "$KEPT" >"$CONTENT/history.new" &&
        mv -T "$CONTENT/history.new" "$CONTENT/history" || return 1
    rm -f "$CONTENT/first"
    prune_store
    return 0
}

# Between its sending and its push a release may wait for two drains of an hour, those that haproxy.cfg leaves behind.
prune_store() {
    local old
    find "$CONTENT/releases" -mindepth 1 -maxdepth 1 ! -name '.*' -mmin +180 -printf '%f\n' | while read -r old; do
        grep -qsxF "$old" "$CONTENT"/{history,current,pushing,first} || rm -rf "$CONTENT/releases/${old:?}"
    done
}

# The next word for this release.
word_for() { # name
    local number=0 newest=0
    exec 7<>"$CONTENT/words.lock" && flock --wait 30 7 || fail 'another run has been staging a release for 30 s.'
    number=$(cat "$CONTENT/staged" 2>/dev/null) newest=$(cat "$CONTENT/newest" 2>/dev/null)
    number=$(((${number:-0} > ${newest:-0} ? ${number:-0} : ${newest:-0}) + 1))
    note staged "$number"
    printf '%s-%s-%s\n' "$number" "$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')" "$1"
    exec 7>&-
}

is_name() { [[ $1 =~ ^[0-9a-f]{16}$ ]] || fail "a release's name should be 16 hexadecimal digits, got $1"; }

check() { # name kib files
    local -a servers=() problems=()
    local server found kib inodes has release=$1
    look_at_store "$@"
    answers=$(mktemp -d) && trap 'rm -rf "$answers"' EXIT
    mapfile -t servers < <(all_servers)
    for_each 8 say_room "${servers[@]}"
    for server in "${servers[@]%% *}"; do
        if [[ -e $answers/$server.failed ]]; then
            problems+=("$server: $(<"$answers/$server.failed")")
        elif read -r found kib inodes has <"$answers/$server" && [[ $has == lacks ]]; then
            found=$(lacking "$2" "$3" "$kib" "$inodes") || problems+=("$server has no room: $found")
        fi
    done
    ((${#problems[@]} == 0)) || fail 'nothing was sent:' "${problems[@]/#/  }" \
        "A server that is dead or sick is taken out by 'retired'."
    have_or_send "$1"
}

# The same of the load balancer alone: the run that sends may be the one that takes out a server that is dead or full. Of
# those who stay, the push says it.
room() { # name kib files
    local -a problems=()
    look_at_store "$@"
    ((${#problems[@]} == 0)) || fail 'nothing was sent:' "${problems[@]/#/  }"
    have_or_send "$1"
}

have_or_send() { if [[ -d $CONTENT/releases/$1 ]]; then echo have; else echo send; fi; } # name

# Makes what room there is to make. A release that is here already is not to go before it is pushed.
look_at_store() { # name kib files
    local words
    is_name "$1" && prepare_store
    touch --no-create "$CONTENT/releases/$1"
    prune_store
    [[ ! -d $CONTENT/releases/$1 ]] || return 0
    words=$(lacking "$2" "$3" "$(df --output=avail -k "$CONTENT" | tail -n 1)" \
        "$(df --output=iavail "$CONTENT" | tail -n 1)") ||
        problems+=("the load balancer has no room: $words")
}

say_room() { release_on "$2" "$release"; }

# Fails with what a disk lacks. A tenth of its room is left to what else is written there. An empty file takes a block.
lacking() { # kib files kib-free inodes-free
    local needs=$(($1 + 4 * $2))
    if ((needs > $3 * 9 / 10)); then echo "the release needs $((needs / 1024)) MiB, $(($3 / 1024)) MiB are free" && return 1; fi
    if (($4 > 0 && $2 * 2 > $4)); then echo "the release has $2 files, its file system can have $4 more" && return 1; fi
}

take() { # name
    is_name "$1" && prepare_store
    if [[ ! -d $CONTENT/releases/$1 ]]; then
        unpack "$1" tar -xz || fail "release $1 did not arrive whole, nothing was changed: the folder changed meanwhile, or" \
            'the connection broke. Run it again.'
    fi
    touch "$CONTENT/releases/$1"
    prune_store
    # Nothing of ours runs here: it is what the first servers get, unless there are some that serve another one.
    if [[ -z $(current_release) && -z $(generation_of "$CFG") ]]; then note first "$1"; fi
    word_for "$1"
}
