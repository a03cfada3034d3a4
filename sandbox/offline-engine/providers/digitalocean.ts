/**
 * Stand-in for pulumi-resource-digitalocean 4.68.0, for machines that can't download it: the resources and
 * functions below, over DigitalOcean's API alone. The engine starts this file as a plugin.
 */
import { getSizes, sshKey, tag } from "./digitalocean/account.ts";
import { Client } from "./digitalocean/client.ts";
import { droplet } from "./digitalocean/droplet.ts";
import { firewall } from "./digitalocean/firewall.ts";
import { getVpc, reservedIp, reservedIpAssignment, vpc } from "./digitalocean/network.ts";
import { serveProvider } from "./serve.ts";

const client = new Client();

serveProvider({
    name: "digitalocean",
    version: "4.68.0",
    configure: (config) => {
        client.configure(config);
    },
    resources: {
        "digitalocean:index/droplet:Droplet": droplet(client),
        "digitalocean:index/vpc:Vpc": vpc(client),
        "digitalocean:index/firewall:Firewall": firewall(client),
        "digitalocean:index/sshKey:SshKey": sshKey(client),
        "digitalocean:index/tag:Tag": tag(client),
        "digitalocean:index/reservedIp:ReservedIp": reservedIp(client),
        "digitalocean:index/reservedIpAssignment:ReservedIpAssignment": reservedIpAssignment(client),
    },
    functions: {
        "digitalocean:index/getSizes:getSizes": (args) => getSizes(client, args),
        "digitalocean:index/getVpc:getVpc": (args) => getVpc(client, args),
    },
});
