/**
 * Stand-in for pulumi-resource-digitalocean 4.68.0, for machines that can't download it: the resources and
 * functions below, over DigitalOcean's API alone. The engine starts this file as a plugin.
 */
import { SSH_KEY, TAG } from "./digitalocean/account.ts";
import { MONITOR_ALERT, UPTIME_CHECK, uptimeAlert } from "./digitalocean/alerts.ts";
import { Client } from "./digitalocean/client.ts";
import {
    getAccount,
    getDroplets,
    getImage,
    getImages,
    getReservedIp,
    getSizes,
    getTag,
} from "./digitalocean/data-sources.ts";
import { dnsRecord, getDomain, getRecords } from "./digitalocean/domain.ts";
import { droplet } from "./digitalocean/droplet.ts";
import { FIREWALL } from "./digitalocean/firewall.ts";
import { RESERVED_IP, reservedIpAssignment } from "./digitalocean/reserved-ip.ts";
import { restResource } from "./digitalocean/rest.ts";
import { getVpc, vpc } from "./digitalocean/vpc.ts";
import { serveProvider } from "./serve.ts";

const client = new Client();

serveProvider({
    name: "digitalocean",
    version: "4.68.0",
    configure: (config) => {
        client.configure(config);
    },
    resources: {
        "digitalocean:index/dnsRecord:DnsRecord": dnsRecord(client),
        "digitalocean:index/droplet:Droplet": droplet(client),
        "digitalocean:index/monitorAlert:MonitorAlert": restResource(client, MONITOR_ALERT),
        "digitalocean:index/uptimeCheck:UptimeCheck": restResource(client, UPTIME_CHECK),
        "digitalocean:index/uptimeAlert:UptimeAlert": uptimeAlert(client),
        "digitalocean:index/vpc:Vpc": vpc(client),
        "digitalocean:index/firewall:Firewall": restResource(client, FIREWALL),
        "digitalocean:index/sshKey:SshKey": restResource(client, SSH_KEY),
        "digitalocean:index/tag:Tag": restResource(client, TAG),
        "digitalocean:index/reservedIp:ReservedIp": restResource(client, RESERVED_IP),
        "digitalocean:index/reservedIpAssignment:ReservedIpAssignment": reservedIpAssignment(client),
    },
    functions: {
        "digitalocean:index/getAccount:getAccount": (args) => getAccount(client, args),
        "digitalocean:index/getDomain:getDomain": (args) => getDomain(client, args),
        "digitalocean:index/getDroplets:getDroplets": (args) => getDroplets(client, args),
        "digitalocean:index/getImage:getImage": (args) => getImage(client, args),
        "digitalocean:index/getImages:getImages": (args) => getImages(client, args),
        "digitalocean:index/getRecords:getRecords": (args) => getRecords(client, args),
        "digitalocean:index/getReservedIp:getReservedIp": (args) => getReservedIp(client, args),
        "digitalocean:index/getSizes:getSizes": (args) => getSizes(client, args),
        "digitalocean:index/getTag:getTag": (args) => getTag(client, args),
        "digitalocean:index/getVpc:getVpc": (args) => getVpc(client, args),
    },
});
