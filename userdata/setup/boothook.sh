#!/bin/sh
# Lets the load balancer ask over SSH whether this server's set-up has ended, and nothing else. dropscale puts this
# before your own user data; cloud-init runs it at every boot, before sshd.
# https://cloudinit.readthedocs.io/en/latest/explanation/format.html (cloud-boothook)
set -eu
umask 022
dir=/var/lib/dropscale
# A user of its own: it works where root may not log in. Group adm reads cloud-init's log.
if ! id dropscale >/dev/null 2>&1; then
    useradd --system --home-dir "$dir" --no-create-home --shell /bin/sh --password '*' dropscale
fi
usermod --append --groups adm dropscale
mkdir -p "$dir/.ssh"
# Once ended is ended: what cloud-init does at later boots is no set-up. By instance, so that a snapshot starts anew.
ended=/var/lib/cloud/instance/dropscale-set-up-ended
[ -e "$ended" ] || install -o dropscale -m 644 /dev/null "$ended"

cat >"$dir/set-up" <<'END'
# One line, "set-up ended", "set-up runs" or "set-up failed"; after "failed" the end of the log.
ended=/var/lib/cloud/instance/dropscale-set-up-ended
result=/run/cloud-init/result.json
log=/var/log/cloud-init-output.log
if [ -s "$ended" ]; then
    echo 'set-up ended'
elif [ -e /run/systemd/shutdown/scheduled ] || [ "$(systemctl is-system-running)" = stopping ]; then
    echo 'set-up runs: a restart is under way'
# It is gone only after the restart that `power_state` asks for has begun.
elif pgrep -f '/cloud-init (modules|--all-stages)' >/dev/null; then
    echo 'set-up runs'
elif grep -q '"errors": \[\]' "$result" 2>/dev/null; then
    echo yes >"$ended"
    echo 'set-up ended'
elif [ -e "$result" ] || systemctl is-failed --quiet 'cloud-init*' cloud-config cloud-final; then
    echo 'set-up failed'
    tail -n 20 "$log" 2>&1 | tail -c 4000
else
    echo 'set-up runs'
fi
END
echo 'restrict,command="/bin/sh /var/lib/dropscale/set-up" @PUBLIC_KEY@' >"$dir/.ssh/authorized_keys"
