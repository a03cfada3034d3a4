# The last part of certificate.sh: what asks the authority and when, and the script's arguments; see commands.ts.
# shellcheck shell=bash disable=SC2154,SC2034

# --- when ------------------------------------------------------------------------------------------------------------

# The script itself knows when it is time.
write_units() {
    cat >/etc/systemd/system/dropscale-certificate.service <<END
[Unit]
Description=Gets and renews the certificate of the site
[Service]
Type=oneshot
ExecStart=$(realpath "$0") renew
END
    cat >/etc/systemd/system/dropscale-certificate.timer <<END
[Timer]
OnActiveSec=1min
OnBootSec=1min
OnUnitInactiveSec=1min
AccuracySec=10s
[Install]
WantedBy=timers.target
END
    chmod 644 /etc/systemd/system/dropscale-certificate.*
    systemctl daemon-reload 9>&-
}

begin() {
    prepare
    read_settings || fail "$ACME/settings is missing: run \`pulumi up --replace '**:Command::https-staged'\`."
    serve_file
}

# HAProxy gets the file where a handshake shows another one, and sends those names to HTTPS that the file is for: somebody
# may have brought it, a run may have been cut off, or HAProxy may have been silent.
serve_file() {
    local -a valid
    if ! is_served; then return; fi
    if ! is_shown "${names[0]}"; then
        cp "$PEM" "$PEM.new" && (check_new && give_to_haproxy) || return
        say "HAProxy showed another certificate than $PEM: it has this one now"
    fi
    mapfile -t valid < <(certified)
    if [[ ${valid[*]} != "$(paste -sd ' ' "$CERTIFIED" 2>/dev/null)" ]]; then certify "${valid[@]}"; fi
}

before() { # address
    local address=$1
    local -a lost=()
    begin
    systemctl enable --quiet --now dropscale-certificate.timer 9>&-
    if obtain && is_shown "${names[0]}"; then
        note ok ''
        say "certificate for ${names[*]}"
        return
    fi
    because_not_shown
    note waits "$why"
    mapfile -t lost < <(names_to_lose)
    ((${#lost[@]} == 0)) || fail "https://${lost[0]}/ works now, and this load balancer has no certificate for ${lost[*]}:" \
        "$why." "The address does not move here. Run 'pulumi up' again once that is fixed, or copy $PEM of the old load" \
        "balancer to this one, for root alone, and run it then. An old one that had a certificate of your own does not answer" \
        'the authority: undo what replaces it, and replace it in a run of its own.' \
        "A name that is to be served no more: take it out of 'domains'."
    say "no new certificate yet: $why"
}

because_not_shown() {
    if ! is_shown "${names[0]}"; then because "a handshake with HAProxy does not show $PEM"; fi
}

# Those of the names with which HTTPS works at the address now, and would not work here.
names_to_lose() {
    local -a none
    if [[ $(own_address) == "$address" ]]; then return; fi
    mapfile -t none < <(if is_shown "${names[0]}"; then uncertified; else printf '%s\n' "${names[@]}"; fi)
    those_that works_there "${none[@]}"
}

# Whether visitors who come by the address trust what it shows, wherever DNS leads them just now.
works_there() { curl --silent --head --max-time 10 --output /dev/null --resolve "$1:443:$address" "https://$1/"; } # name

after() { # seconds
    local deadline=$((SECONDS + $1)) refused='' warning=''
    begin
    until obtain; do
        note waits "$why"
        # What the authority has refused it refuses again, and counts.
        if [[ -n $refused ]] || ((SECONDS >= deadline)); then
            warning=$(warning_of "$why")
            break
        fi
        sleep 5
    done
    if [[ -z $warning ]]; then note ok ''; fi
    if [[ -n $(certified) ]]; then tell; fi
    # Last: it is what stays to be seen.
    if [[ -n $warning ]]; then say "$warning"; fi
}

warning_of() { # reason
    local none
    none=$(uncertified | paste -sd ' ')
    if [[ -z $none ]]; then
        say "warning: no new certificate yet: $1. The present one is served until it ends; the new one will come by itself" \
            'once that is fixed: see make status.'
        return
    fi
    say "warning: no certificate yet for $none: $1. They are served over HTTP; the certificate will come by itself once that" \
        'is fixed: see make status.'
}

# What is served, in one line of JSON.
tell() {
    printf '{"names":["%s"],"issuer":"%s","notAfter":"%s","fingerprint":"%s"}\n' \
        "$(certified | paste -sd ' ' | sed 's/ /","/g')" \
        "$(openssl x509 -noout -issuer -nameopt sep_multiline,utf8 -in "$PEM" | sed -n 's/^ *CN=//p' | for_json)" \
        "$(date --utc --date="@$(moment enddate)" +%FT%T.000Z)" "$(fingerprint <"$PEM")"
}

readonly LONGEST_WAIT=43200 # seconds

# After a failure it tries again in 2 minutes, then 4, …, at most 12 hours: authorities count what fails.
renew() {
    local wait=0 due=0 left
    if ! grep -qF "$PEM" "$CFG"; then # HTTPS was taken off
        systemctl disable --now dropscale-certificate.timer
        return
    fi
    exec 9<>"$LOCK"
    flock --nonblock 9 || return 0
    read_settings || return 0
    trap 'rm -f "$PEM.new" "$CERTIFIED.new"' EXIT
    serve_file
    if [[ -f $ACME/next ]]; then { read -r due && read -r wait; } <"$ACME/next"; fi
    left=$((due - $(now)))
    # A later one is of a clock that was wrong.
    if ((left > 0 && left <= LONGEST_WAIT)); then return; fi
    if obtain; then
        rm -f "$ACME/next"
        note ok ''
        return
    fi
    wait=$((wait == 0 ? 120 : 2 * wait > LONGEST_WAIT ? LONGEST_WAIT : 2 * wait))
    printf '%s\n' "$(($(now) + wait))" "$wait" >"$ACME/next"
    note failed "$why"
    say "no certificate: $why. Next try in $wait s."
}

# --- the steps -------------------------------------------------------------------------------------------------------

readonly USAGE="usage: $0 stage install NAME... | stage order EMAIL SERVER THUMBPRINT NAME... | apply WORD |
    before ADDRESS | after SECONDS | renew"
case ${1-}:${2-}:$# in
stage:install:2 | stage:order:[1-5]) fail "$USAGE" ;;
stage:install:* | stage:order:*) shift && stage "$@" ;;
apply:*:2 | before:*:2 | after:*:2 | renew::1) "$@" ;;
*) fail "$USAGE" ;;
esac
