# The part of certificate.sh that asks a certificate authority (ACME); it stands behind it in one script on the load
# balancer, and before commands.sh: see commands.ts.
# shellcheck shell=bash disable=SC2154,SC2034,SC1003

# --- a certificate authority -------------------------------------------------------------------------------------------

now() { date +%s; }

# Seconds since 1970 of notBefore or notAfter of the file.
moment() { date --date="$(openssl x509 -noout "-$1" -in "$PEM" | cut -d = -f 2)" +%s; }

# Whether what is served is valid with this name; what was only made up has none.
is_certified() { # name
    openssl x509 -noout -checkend 0 -in "$PEM" >/dev/null 2>&1 && [[ -n $1 ]] &&
        openssl x509 -noout -checkhost "$1" -in "$PEM" | grep -q 'does match'
}

certified() {
    local name
    for name in "${names[@]}"; do if is_certified "$name"; then printf '%s\n' "$name"; fi; done
}

uncertified() {
    local name
    for name in "${names[@]}"; do if ! is_certified "$name"; then printf '%s\n' "$name"; fi; done
}

# Whether the file is this authority's, and more than a third of its time is left: for 6 days, 45 or 90.
is_fresh() {
    local from to
    [[ "$(fingerprint <"$PEM") $server" == "$(cat "$ACME/issued" 2>/dev/null)" ]] || return 1
    from=$(moment startdate) to=$(moment enddate)
    ((3 * (to - $(now)) > to - from))
}

# What is kept of the config; fails where there is none.
read_settings() {
    [[ -f $ACME/settings ]] || return 1
    { read -r email && read -r server && read -r thumbprint && mapfile -t names; } <"$ACME/settings"
}

# Whether the authority would get this stack's answer with this name, from this load balancer or the one before it. A load
# balancer that can't reach its own address may still know that the name leads to it.
leads_here() { # name
    local token answer own
    token=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
    answer=$(curl --silent --insecure --location --max-redirs 5 --max-time 5 "http://$1/.well-known/acme-challenge/$token")
    [[ $answer == "$token.$thumbprint" ]] && return
    own=$(curl --silent --fail --max-time 2 http://169.254.169.254/metadata/v1/reserved_ip/ipv4/ip_address)
    [[ -n $own ]] && getent ahostsv4 "$1" | cut -d ' ' -f 1 | grep -qxF "$own"
}

# What may stand in a string of JSON.
for_json() { tr -d '"\\[:cntrl:]'; }

# What `make status` reads, one line of JSON. `result` is of the last try.
note() { # ok|waits|failed reason
    local all
    all=$(uncertified | paste -sd ' ')
    printf '{"result":"%s","reason":"%s","triedAt":"%s","missing":"%s"}\n' "$1" "$(for_json <<<"${2//$'\n'/ }")" \
        "$(date --utc +%FT%TZ)" "$all" >"$ACME/status.new" && mv -T "$ACME/status.new" "$ACME/status"
}

# Orders one certificate for these names. `why` says why there is none.
order() { # names
    local words host name
    local -a domains=()
    for name in "$@"; do domains+=(--domains "$name"); done
    host=${server#https://} host=${host%%/*}
    rm -rf "$ACME/lego"
    install -D -m 600 "$ACME/account.key" "$ACME/lego/accounts/${host//:/_}/$email/keys/$email.key"
    words=$(timeout --kill-after=10 180 lego --accept-tos --email "$email" --server "$server" --path "$ACME/lego" \
        --key-type ec256 --http --http.webroot "$ACME/webroot" "${domains[@]}" run 2>&1 9>&-) || {
        why=$(grep -v '^[0-9/: ]*\[INFO\]' <<<"$words" | tail -n 3 | tr '\n' ' ')
        return 1
    }
    cat "$ACME/lego/certificates/$1.crt" "$ACME/lego/certificates/$1.key" | grep -v '^$' >"$PEM.new"
    rm -rf "$ACME/lego"
}

# Those of the names that do, in their order; all are asked at once.
those_that_lead_here() {
    local name
    for name in "${names[@]}"; do (leads_here "$name" && printf '%s\n' "$name") & done | grep -xFf - <(printf '%s\n' "${names[@]}")
}

# Gets what is missing, or due. `why` says what is still missing, and why; fails then.
obtain() {
    local -a here=() elsewhere=()
    why=''
    if is_fresh && [[ -z $(uncertified) ]]; then return 0; fi
    mapfile -t here < <(those_that_lead_here)
    mapfile -t elsewhere < <(printf '%s\n' "${names[@]}" | grep -vxF "$(printf '%s\n' "${here[@]-}")")
    if ((${#elsewhere[@]} > 0)); then
        why="${elsewhere[*]}: not a name of this load balancer yet: its A record has to be the reserved IP"
    fi
    if ((${#here[@]} == 0)); then return 1; fi
    # Nothing to gain from the same names again.
    if is_fresh && [[ $(printf '%s\n' "${here[@]}" | sort) == "$(certified | sort)" ]]; then return 1; fi
    if ! order "${here[@]}"; then
        refused=yes
        why="the authority gives none for ${here[*]}: $why"
        return 1
    fi
    (take_new record_issued "${here[@]}") || { why='HAProxy does not take the new certificate' && refused=yes && return 1; }
    ((${#elsewhere[@]} == 0))
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
