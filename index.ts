import * as pulumi from "@pulumi/pulumi";
import { checkAccess } from "./account/admin-access";
import { explainErrors } from "./account/advice";
import { monthlyCost } from "./account/lookup";
import { AdminHost } from "./components/admin-host";
import { Alerts } from "./components/alerts";
import { BackendPool } from "./components/backend-pool";
import { Content } from "./components/content/content";
import { DeployKey } from "./components/deploy-key";
import { HaproxyConfig } from "./components/haproxy/haproxy-config";
import { DnsRecords } from "./components/dns-records";
import { Https } from "./components/https/https";
import { LoadBalancer } from "./components/load-balancer";
import { Network } from "./components/network";
import { PublicAddress } from "./components/public-address";
import { readSettings } from "./config/read";
import { uptimeCheckMonthlyUsd } from "./lib/alert-settings";
import { admittedVariable, names } from "./lib/identity";
import { skipTracesOfPromises } from "./lib/stack-traces";

/** The whole program; what it returns are the stack's outputs. */
export = async () => {
    skipTracesOfPromises();
    explainErrors();
    const { settings, account } = await readSettings();
    const { prefix, region, access } = settings;
    const sshCheck = checkAccess(access.adminCidrs, process.env[admittedVariable]);

    const network = new Network(names.network, {
        prefix,
        region,
        vpcId: settings.vpcId,
        ownVpc: account.ownVpc,
        listeners: settings.listeners,
        access,
    });

    const keys = new DeployKey(names.keys, { prefix });
    const place = { region, network, keys };

    const pool = new BackendPool(names.pool, {
        scale: settings.scale,
        droplet: settings.backend,
        imageIs: account.imageIs,
        ...place,
    });

    const loadBalancer = new LoadBalancer(names.loadBalancer, {
        droplet: settings.loadBalancer,
        ...place,
        checkAccess: sshCheck,
    });

    const https = settings.https && new Https(names.https, { loadBalancer, ...settings.https });

    const content =
        settings.content && new Content(names.content, { loadBalancer, release: settings.content });

    const haproxy = new HaproxyConfig(names.haproxy, {
        loadBalancer,
        pool,
        traffic: settings.traffic,
        readySeconds: settings.readySeconds,
        certificate: https,
        content,
    });

    content?.push(haproxy.applied);

    const address = new PublicAddress(names.address, {
        region,
        dropletId: loadBalancer.dropletId,
        serving: (ip) => https?.before(haproxy.applied, ip) ?? haproxy.applied,
    });

    const dns =
        settings.https &&
        settings.dns.zone !== "" &&
        new DnsRecords(names.dns, { ...settings.dns, domains: settings.https.domains, address });

    const adminHost =
        settings.adminHost && new AdminHost(names.adminHost, { droplet: settings.adminHost, ...place });

    const url = https?.url ?? pulumi.interpolate`http://${address.ip}`;
    const alerts =
        settings.alerts &&
        new Alerts(names.alerts, {
            prefix,
            settings: settings.alerts,
            network,
            url,
            isHttps: https !== undefined,
            address,
        });

    const certificate = https?.after(address.assigned, ...(dns ? dns.records : []));

    return {
        url,
        ...(certificate && { certificate }),
        loadBalancerIp: address.ip,
        ...(adminHost && { adminHostIp: adminHost.ip }),
        servers: pool.servers,
        monthlyCost: pulumi
            .all([...pool.sizes, settings.loadBalancer.size, ...(adminHost ? [adminHost.size] : [])])
            .apply((sizes) => monthlyCost(sizes, account, alerts && uptimeCheckMonthlyUsd)),
        deployKey: keys.deploy.privateKey,
        hostKey: keys.host.publicKey,
    };
};
