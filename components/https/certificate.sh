#!/usr/bin/env bash
# Keeps the certificate that HAProxy serves; right whatever was there before.
#
#   stage STEP...     keeps a step and the secret on stdin for later, and prints its word: a new one each time
#   apply WORD        takes that step:
#       install NAME...                         the secret's certificates and key become the ones that are served, with these
#                                               host names
#       order EMAIL SERVER THUMBPRINT NAME...   keeps what to order, and from which authority (ACME); the secret is the account
#                                               key; until there is a certificate, a made-up one stands in
#   before ADDRESS    gets it before this address moves here, if the names lead to another load balancer of this stack; fails
#                     where HTTPS that works there would end
#   after SECONDS     waits for it so long; tells what it is in a line of JSON, and what is missing
#   renew             gets what is missing or due; for the timer
#
# Two steps, as in apply.sh for haproxy.cfg, and for the same reason: whatever config comes after a run that was cut off
# has another staged text or has not been applied. What was staged before the newest applied is never applied again.
#
# A challenge (HTTP-01) is answered by haproxy.cfg itself, from the thumbprint of the account key: by any load balancer of
# the stack for any other.
#
# HAProxy gets it over its socket, without a reload, and the file is what the next start reads. A handshake proves which
# one is served; what an authority is asked for begins with that, so that a file that somebody brings is served, too. Of a
# certificate that is refused nothing stays: the old one goes on.
# stdout is the log; stderr says why nothing was changed.
set -uo pipefail
export LC_ALL=C
umask 077

readonly PEM=/etc/haproxy/certs/site.pem      # certificates and key: what haproxy.cfg names
readonly CERTIFIED=/etc/haproxy/certified.lst # host names with which PEM is valid: those who are redirected to HTTPS
readonly CFG=/etc/haproxy/haproxy.cfg
readonly STAGED=/etc/haproxy/staged-certificates # <word>.step and <word>.secret; `newest`: the number of the newest applied
readonly ACME=/etc/dropscale/acme # settings, account.key, issued, status, next (when to try again)
readonly SOCKET=/run/haproxy/admin.sock
readonly LOCK=/run/dropscale-certificate.lock

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

prepare() {
    local tool
    for tool in openssl socat flock; do
        command -v "$tool" >/dev/null || fail "$tool is missing on the load balancer: apt-get install $tool."
    done
    exec 9<>"$LOCK" || fail "$LOCK can't be opened: this needs root."
    # As long as the timer may be at the authority, and more.
    flock --wait 300 9 || fail 'another run has been changing the certificate for 300 s, nothing was changed.'
    mkdir -p "${PEM%/*}"
    trap 'rm -f "$PEM.new" "$CERTIFIED.new"' EXIT
}

# --- files -----------------------------------------------------------------------------------------------------------

fingerprint() { openssl x509 -noout -fingerprint -sha256 2>/dev/null | sed 's/.*=//'; }

# That the new file holds a certificate that is valid now, and its key. The names were judged before.
check_new() {
    local key
    key=$(openssl pkey -pubout -in "$PEM.new" 2>/dev/null) || fail 'the text has no private key, nothing was changed.'
    [[ $key == "$(openssl x509 -pubkey -noout -in "$PEM.new" 2>/dev/null)" ]] ||
        fail 'the key is not that of the first certificate, nothing was changed.'
    openssl x509 -noout -checkend 0 -in "$PEM.new" >/dev/null || fail 'the certificate has ended, nothing was changed.'
}

# --- HAProxy ---------------------------------------------------------------------------------------------------------

# Commands to the worker that serves; nothing where none answers.
haproxy_says() { timeout 10 socat -t 10 - "UNIX-CONNECT:$SOCKET" 2>/dev/null; }

# Whether HAProxy serves this file, or should: silence is no reason to go without it. It need not before the haproxy.cfg
# that names it is applied, nor while it is stopped: then it reads the file as it starts.
is_served() {
    grep -qF " crt $PEM " "$CFG" && systemctl is-active haproxy >/dev/null &&
        [[ $(haproxy_says <<<"show ssl cert $PEM") != *"Can't display the certificate"* ]]
}

# An empty line would end the text.
give_to_haproxy() {
    local words
    words=$({ printf 'set ssl cert %s <<\n' "$PEM" && grep -v '^$' "$PEM.new" && echo; } | haproxy_says)
    if [[ $words == *'ransaction '* ]]; then words+=$(haproxy_says <<<"commit ssl cert $PEM"); fi
    if [[ $words == *Success!* ]]; then return; fi
    haproxy_says <<<"abort ssl cert $PEM" >/dev/null
    fail 'HAProxy refuses the certificate, the old one goes on:' "$(tr '\n' ' ' <<<"${words:-$SOCKET does not answer}")"
}

# The fingerprint of what a visitor gets who asks for this name.
shown() {
    local port
    port=$(sed -n 's/^ *bind :\([0-9]*\) ssl .*/\1/p' "$CFG" | head -n 1)
    timeout 10 openssl s_client -connect "127.0.0.1:$port" -servername "$1" </dev/null 2>/dev/null | fingerprint
}

is_shown() { [[ $(shown "$1") == "$(fingerprint <"$PEM")" ]]; } # name

# A reload that was under way may have read the old file: then once more.
expect_shown() { # name
    local want try found=''
    want=$(fingerprint <"$PEM")
    for try in 1 2 3; do
        found=$(shown "$1")
        if [[ $found == "$want" ]]; then
            say "a handshake shows it: SHA-256 $want"
            return
        fi
        sleep "$try"
        cp "$PEM" "$PEM.new" && give_to_haproxy
    done
    fail "the certificate is in $PEM, but a handshake with $1 shows another: ${found:-none}." \
        "Run 'pulumi up' again; 'systemctl status haproxy' on the load balancer tells more."
}

# Only these names are redirected to HTTPS from now on. All at once, for a worker that is asked in between.
certify() { # names
    local version name
    if (($# > 0)); then printf '%s\n' "$@"; fi >"$CERTIFIED.new" && chmod 644 "$CERTIFIED.new" && mv -T "$CERTIFIED.new" "$CERTIFIED"
    version=$(haproxy_says <<<"prepare acl $CERTIFIED" | sed -n 's/^New version created: //p')
    if [[ -z $version ]]; then return; fi # haproxy.cfg redirects nobody yet
    for name in "$@"; do haproxy_says <<<"add acl @$version $CERTIFIED $name" >/dev/null; done
    haproxy_says <<<"commit acl @$version $CERTIFIED" >/dev/null
}

# --- the steps -------------------------------------------------------------------------------------------------------

# PEM.new becomes what is served. The command keeps where it is from, once it is known to be good and before it is there.
take_new() { # command names
    local served='' words from=$1
    shift
    check_new
    if is_served; then served=yes && give_to_haproxy; fi
    words=$(sync "$PEM.new" 2>&1 && "$from" 2>&1 && mv -T "$PEM.new" "$PEM" 2>&1 && sync "${PEM%/*}" 2>&1) ||
        fail "$PEM could not be written: $words"
    certify "$@"
    say "installed: $(openssl x509 -noout -enddate -in "$PEM"), for $*"
    if [[ -n $served ]]; then expect_shown "$1"; fi
}

install_certificate() { # names
    cat >"$PEM.new" || fail "$PEM.new could not be written, nothing was changed."
    take_new ask_no_more "$@"
}

# No authority, that is.
ask_no_more() { rm -f "$ACME/settings"; }

highest_number() {
    { cat "$STAGED/newest" 2>/dev/null || echo 0; cd "$STAGED" && printf '%s\n' *.step; } | sed 's/[^0-9].*//' | sort --numeric-sort | tail -n 1
}

stage() { # step
    local word
    prepare
    mkdir -p "$STAGED"
    # Random, so that no word of another load balancer is the same.
    word=$(($(highest_number) + 1))-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')
    { cat >"$STAGED/$word.secret" && printf '%s\n' "$@" >"$STAGED/$word.step" && sync "$STAGED"/*; } ||
        fail "$STAGED could not be written, nothing was changed."
    printf '%s\n' "$word"
}

apply() { # word
    local file word=$1 restage="\`pulumi up --replace '**:Command::https-staged'\` brings it anew."
    local -a step=()
    [[ $word =~ ^[0-9]+-[0-9a-f]+$ ]] || fail "$USAGE"
    prepare
    ((${word%%-*} >= $(cat "$STAGED/newest" 2>/dev/null || echo 0))) ||
        fail "what was staged as $word is older than what was applied here since, nothing was changed: another run has gone over" \
            "this one, or the state is a backup. $restage"
    mapfile -t step < <(cat "$STAGED/$word.step" 2>/dev/null)
    ((${#step[@]} > 0)) || fail "nothing was staged as $word on this load balancer, nothing was changed: $restage"
    printf '%s\n' "${word%%-*}" >"$STAGED/newest.new" && mv -T "$STAGED/newest.new" "$STAGED/newest"
    for file in "$STAGED"/*-*.*; do
        if [[ ${file##*/} != "$word".* ]]; then rm -f "$file"; fi
    done
    "${step[0]}_certificate" "${step[@]:1}" <"$STAGED/$word.secret"
}
