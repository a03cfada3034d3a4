# The part of certificate.sh that asks a certificate authority (ACME); it stands behind it in one script on the load
# balancer, and before commands.sh: see commands.ts.
# shellcheck shell=bash disable=SC2154,SC2034

# --- a certificate authority -------------------------------------------------------------------------------------------

now() { date +%s; }

# Seconds since 1970 of notBefore or notAfter of the file.
moment() { date --date="$(openssl x509 -noout "-$1" -in "$PEM" | cut -d = -f 2)" +%s; }

# Whether the file is valid with this name; what was only made up has none.
is_certified() { # name
    openssl x509 -noout -checkend 0 -in "$PEM" >/dev/null 2>&1 && [[ -n $1 ]] &&
        [[ $(openssl x509 -noout -checkhost "$1" -in "$PEM") == *'does match'* ]]
}

certified() {
    local name
    for name in "${names[@]}"; do if is_certified "$name"; then printf '%s\n' "$name"; fi; done
}

uncertified() {
    local name
    for name in "${names[@]}"; do if ! is_certified "$name"; then printf '%s\n' "$name"; fi; done
}

# Whether less than one part of so many of the file's time is left.
is_last_part() { # parts
    local from to
    from=$(moment startdate) to=$(moment enddate)
    (($1 * (to - $(now)) <= to - from))
}

# Whether the file is this authority's, and more than a third of its time is left: for 6 days, 45 or 90.
is_fresh() { [[ "$(fingerprint <"$PEM") $server" == "$(cat "$ACME/issued" 2>/dev/null)" ]] && ! is_last_part 3; }

# What is kept of the config; fails where there is none.
read_settings() {
    [[ -f $ACME/settings ]] || return 1
    { read -r email && read -r server && read -r thumbprint && mapfile -t names; } <"$ACME/settings"
}

# Those of the names with which the command ends well, in their order; all at once.
those_that() { # command names
    local name test=$1
    shift
    for name in "$@"; do ("$test" "$name" && printf '%s\n' "$name") & done | grep -xFf - <(printf '%s\n' "$@")
}

# What is on stdin but these.
all_but() { grep -vxF "$(printf '%s\n' "$@")"; } # names

# The reserved IP, where it leads to this load balancer.
own_address() { curl --silent --fail --max-time 2 http://169.254.169.254/metadata/v1/reserved_ip/ipv4/ip_address; }

# Whether DNS says that the name has this IPv4 address.
resolves_to() { # name address
    local found
    found=$(getent ahostsv4 "$1" | cut -d ' ' -f 1)
    [[ -n $2 && $'\n'$found$'\n' == *$'\n'$2$'\n'* ]]
}

# Whether the authority would get this stack's answer with this name, from this load balancer or the one before it. A load
# balancer that can't reach its own address may still know that the name leads to it.
leads_here() { # name
    local token answer
    token=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
    answer=$(curl --silent --insecure --location --max-redirs 5 --max-time 5 "http://$1/.well-known/acme-challenge/$token")
    [[ $answer == "$token.$thumbprint" ]] || resolves_to "$1" "$(own_address)"
}

# Of names that lead to the stack by themselves, not by a proxy: the droplet asks by IPv4, and an authority prefers IPv6.
# The answer is a reason, and no verdict: where nobody listens there, an authority falls back to IPv4.
warn_of_ipv6() { # names
    local name found direct=${address:-$(own_address)}
    for name in "$@"; do
        found=$(getent --no-addrconfig ahostsv6 "$name" | cut -d ' ' -f 1 | grep -v '^::ffff:' | sort -u | paste -sd ' ')
        if [[ -n $found ]] && resolves_to "$name" "$direct"; then
            because "$name has an AAAA record, $found, which is not this load balancer's, and the authority goes there first: delete it"
        fi
    done
}

# One more reason why something is missing.
because() { why+=${why:+; }$*; }

# What may stand in a string of JSON.
for_json() { tr -d '"\\[:cntrl:]'; }

# What `make status` reads, one line of JSON. `result` is of the last try.
note() { # ok|waits|failed reason
    local all
    all=$(uncertified | paste -sd ' ')
    printf '{"result":"%s","reason":"%s","triedAt":"%s","missing":"%s"}\n' "$1" "$(for_json <<<"${2//$'\n'/ }")" \
        "$(date --utc +%FT%TZ)" "$all" >"$ACME/status.new" && mv -T "$ACME/status.new" "$ACME/status"
}

# Orders one certificate for these names, within what is left until `order_until`. `answer` says why there is none.
order() { # names
    local words host name seconds=$((order_until > SECONDS ? order_until - SECONDS : 1))
    local -a domains=()
    for name in "$@"; do domains+=(--domains "$name"); done
    host=${server#https://} host=${host%%/*}
    rm -rf "$ACME/lego"
    install -D -m 600 "$ACME/account.key" "$ACME/lego/accounts/${host//:/_}/$email/keys/$email.key"
    words=$(timeout --kill-after=10 "$seconds" lego --accept-tos --email "$email" --server "$server" --path "$ACME/lego" \
        --key-type ec256 --http --http.webroot "$ACME/webroot" "${domains[@]}" run 2>&1 9>&-) || {
        answer=$(grep -v '^[0-9/: ]*\[INFO\]' <<<"$words")
        return 1
    }
    cat "$ACME/lego/certificates/$1.crt" "$ACME/lego/certificates/$1.key" | grep -v '^$' >"$PEM.new"
    rm -rf "$ACME/lego"
}

# Those of the names that `answer` is about. lego begins a line with each; where none does, they stand in the text.
refused_names() { # names
    local name form
    for form in '^[[:space:]]*\[NAME\] ' '(^|[][[:space:]"(,])NAME\.?([^a-z0-9.-]|$)'; do
        for name in "$@"; do
            if grep -qE "${form/NAME/"${name//./\\.}"}" <<<"$answer"; then printf '%s\n' "$name"; fi
        done | grep . && return
    done
}

# Whether a certificate for these names is to be ordered now: it gains something, and drops no name from one that is good
# for a while. A name that fails once may lead here again tomorrow.
is_worth_it() { # names
    local -a had dropped
    if (($# == 0)); then return 1; fi
    mapfile -t had < <(certified)
    mapfile -t dropped < <(certified | all_but "$@")
    if ((${#dropped[@]} > 0)) && ! is_last_part 6; then
        because "none is ordered without ${dropped[*]} before the one that there is for it is nearly over"
        return 1
    fi
    ! is_fresh || (($# > ${#had[@]}))
}

# Gets what is missing, or due. `why` says what is still missing, and why; fails then.
obtain() {
    local answer='' order_until=$((SECONDS + 180))
    local -a here=() elsewhere=() bad=()
    why=''
    if is_fresh && [[ -z $(uncertified) ]]; then return 0; fi
    mapfile -t here < <(those_that leads_here "${names[@]}")
    mapfile -t elsewhere < <(printf '%s\n' "${names[@]}" | all_but "${here[@]}")
    if ((${#elsewhere[@]} > 0)); then
        because "${elsewhere[*]}: not a name of this load balancer yet: its A record has to be the reserved IP"
    fi
    is_worth_it "${here[@]}" || return 1
    if ! order "${here[@]}"; then
        mapfile -t bad < <(refused_names "${here[@]}")
        if ((${#bad[@]} == 0)); then bad=("${here[@]}"); fi
        refuse "${bad[@]}"
        # The others have not to wait for them.
        mapfile -t here < <(printf '%s\n' "${here[@]}" | all_but "${bad[@]}")
        is_worth_it "${here[@]}" || return 1
        if ! order "${here[@]}"; then
            refuse "${here[@]}"
            return 1
        fi
    fi
    if ! (take_new record_issued "${here[@]}"); then
        refused=yes
        because 'HAProxy does not take the new certificate'
        return 1
    fi
    [[ -z $(uncertified) ]]
}

# Notes that the authority gives none for these, as `answer` says.
refuse() { # names
    refused=yes
    because "the authority gives none for $*: $(tail -n 3 <<<"$answer" | paste -sd ' ')"
    warn_of_ipv6 "$@"
}

# Before the file is in its place: whatever ends the run then, it is known for what it is, or another one is ordered.
record_issued() { printf '%s %s\n' "$(fingerprint <"$PEM.new")" "$server" >"$ACME/issued"; }

# What to order, in a file; nothing is asked of the authority yet.
order_certificate() { # EMAIL SERVER THUMBPRINT NAME...
    local words
    mkdir -p "$ACME/webroot"
    cat >"$ACME/account.key" || fail "$ACME/account.key could not be written, nothing was changed."
    command -v lego >/dev/null || words=$(install_lego 2>&1) ||
        fail 'lego, which asks the authority, could not be installed, nothing was changed:' "$(tail -n 5 <<<"$words")"
    printf '%s\n' "$@" >"$ACME/settings.new" && mv -T "$ACME/settings.new" "$ACME/settings"
    rm -f "$ACME/next"
    read_settings
    if [[ ! -s $PEM ]]; then
        make_up || fail "$PEM could not be written, nothing was changed."
    fi
    mapfile -t names < <(certified)
    certify "${names[@]}"
    write_units
    say "to be ordered from $2: a certificate for ${*:4}; until then HTTPS has one for: ${names[*]:-nobody}"
}

# HAProxy does not start without one. Its only name is nobody's.
make_up() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=no certificate yet' \
        -days 3650 -keyout /dev/stdout -out "$PEM.made" 2>/dev/null >"$PEM.new" &&
        cat "$PEM.made" >>"$PEM.new" && rm "$PEM.made" && mv -T "$PEM.new" "$PEM"
}

install_lego() {
    export DEBIAN_FRONTEND=noninteractive
    local try=0
    # It does not wait for the lists, which apt-daily has at times.
    until apt-get update -q; do
        ((try++ < 12)) || return 1
        sleep 10
    done
    apt-get -o DPkg::Lock::Timeout=120 install -q -y --no-install-recommends lego
}
