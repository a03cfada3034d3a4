#!/bin/sh
# Lets the load balancer do over SSH what stands in `answer` below, and nothing else: ask whether this server's set-up has
# ended, bring it a release of the site's content, and say whether it is the one that runs jobs which run once. dropscale
# puts this before your own user data; cloud-init runs it at every boot, before sshd.
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
if [ ! -e "$ended" ]; then
    # What the snapshot of another server had in it is not this one's.
    rm -rf "$dir/site" "$dir/once"
    install -o dropscale -m 644 /dev/null "$ended"
fi
# Of the content `site/current` is served: a link of the user data's own until there is a release.
for folder in site site/releases once; do
    [ -e "$dir/$folder" ] || install -d -o dropscale -m 755 "$dir/$folder"
done
# Who runs a job that runs once holds the lock; `right` says whether one may begin, and until when.
for file in right lock; do [ -e "$dir/once/$file" ] || install -o dropscale -m 644 /dev/null "$dir/once/$file"; done

cat >"$dir/answer" <<'END'
@ANSWER@
END

cat >/usr/local/bin/dropscale-once <<'END'
@ONCE@
END
chmod 755 /usr/local/bin/dropscale-once
echo 'restrict,command="/bin/sh /var/lib/dropscale/answer" @PUBLIC_KEY@' >"$dir/.ssh/authorized_keys"
