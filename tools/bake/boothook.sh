#!/bin/sh
# On the droplet of which an image is made, before its user data: once that has ended well, what is this droplet's own is
# taken off the disk, and it powers off, which is all that can be seen of it from outside. After an error it stays on.
# Nothing of this is on the disk; what the image keeps stands in the middle: it closes a server that is made of it.
set -eu
umask 022

cat >/run/dropscale-bake <<'END_OF_BAKE'
set -eu
export DEBIAN_FRONTEND=noninteractive
grep -q '"errors": \[\]' /run/cloud-init/result.json

apt() { apt-get --quiet --assume-yes -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@"; }
if command -v apt-get >/dev/null; then
    apt upgrade
    command -v nft >/dev/null || apt install --no-install-recommends nftables
    # The lists stay: `package_update` then asks for what is new alone.
    apt-get clean
fi

# What was baked would answer while a server is still set up by its own user data: from its first packet until that has
# ended well, it refuses every connection but SSH's. https://wiki.nftables.org/
mkdir -p /etc/dropscale-image
cat >/etc/dropscale-image/closed.nft <<'END'
table inet dropscale_image {
    chain input {
        type filter hook input priority -10; policy accept;
        iifname != "lo" tcp dport != 22 tcp flags & (syn | ack) == syn reject with tcp reset
    }
}
END
cat >/etc/dropscale-image/open <<'END'
set -eu
grep -q '"errors": \[\]' /run/cloud-init/result.json
nft delete table inet dropscale_image || true # its own user data may have deleted all tables
systemctl --quiet disable dropscale-closed dropscale-open
rm -r /etc/dropscale-image /etc/systemd/system/dropscale-closed.service /etc/systemd/system/dropscale-open.service
systemctl daemon-reload
END
cat >/etc/systemd/system/dropscale-closed.service <<'END'
[Unit]
Description=Refuse connections until the set-up of this server has ended
DefaultDependencies=no
After=local-fs.target
Before=network-pre.target
Wants=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/dropscale-image/closed.nft

[Install]
WantedBy=sysinit.target
END
cat >/etc/systemd/system/dropscale-open.service <<'END'
[Unit]
Description=Let connections in: the set-up of this server has ended
After=cloud-final.service

[Service]
Type=oneshot
ExecStart=/bin/sh /etc/dropscale-image/open

[Install]
WantedBy=cloud-init.target
END
/usr/sbin/nft --check --file /etc/dropscale-image/closed.nft
systemctl --quiet enable dropscale-closed dropscale-open

# User data, which may have secrets, results, and every sign that this disk was set up: what boots of it is new.
cloud-init clean --logs
rm -f /etc/netplan/50-cloud-init.yaml /etc/network/interfaces.d/50-cloud-init /var/lib/dhcp/*.leases
sed -i "s/\\b$(hostname)\\b/localhost/g" /etc/hosts
rm -f /etc/hostname
# Emptied, not deleted: else systemd takes it for a first boot, with questions. machine-id(5)
truncate --size 0 /etc/machine-id
if [ -e /var/lib/dbus/machine-id ]; then ln -sf /etc/machine-id /var/lib/dbus/machine-id; fi
rm -f /etc/ssh/ssh_host_* /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys /root/.*_history /home/*/.*_history
# A droplet that is made without a key gets a password, which ends at once: with an account that has ended no key works.
usermod --password '*' root
chage --lastday -1 root
# Stopped first, or it would be saved again. systemd-random-seed.service(8)
systemctl stop systemd-random-seed.service
rm -f /var/lib/systemd/random-seed
rm -rf /var/log/journal/*
find /var/log -type f \( -name '*.gz' -o -name '*.[0-9]' \) -delete
find /var/log -type f -exec truncate --size 0 {} +
find /tmp /var/tmp -mindepth 1 -delete || true
fstrim --all || true
sync
systemctl poweroff
END_OF_BAKE

systemd-run --quiet --no-block --unit=dropscale-bake --property=After=cloud-final.service /bin/sh /run/dropscale-bake
