import * as pulumi from "@pulumi/pulumi";
import { monthlyCost } from "./account/lookup";
import { BackendPool } from "./components/backend-pool";
import { DeployKey } from "./components/deploy-key";
import { HaproxyConfig } from "./components/haproxy";
import { LoadBalancer } from "./components/load-balancer";
import { Network } from "./components/network";
import { PublicAddress } from "./components/public-address";
import { readSettings } from "./config";
import { names } from "./lib/identity";
import { explainErrors } from "./refusal";

/** The whole program; what it returns are the stack's outputs. */
export = async () => {
    explainErrors();
    const { settings, account } = await readSettings();
    const { prefix, region } = settings;

    const network = new Network(names.network, { ...settings, ownVpc: account.ownVpc });

    const keys = new DeployKey(names.keys, { prefix });

    const pool = new BackendPool(names.pool, {
        ...settings,
        userData: settings.userdata,
        network,
        sshKeyId: keys.sshKeyId,
        setupKey: keys.setup.publicKey,
    });

    const loadBalancer = new LoadBalancer(names.loadBalancer, {
        region,
        image: settings.loadBalancerImage,
        size: settings.loadBalancerSize,
        userData: settings.loadBalancerUserData,
        network,
        sshKeyId: keys.sshKeyId,
        deploy: keys.deploy,
        host: keys.host,
        setup: keys.setup,
        adminCidrs: settings.adminCidrs,
    });

    const haproxy = new HaproxyConfig(names.haproxy, { ...settings, loadBalancer, pool });

    const address = new PublicAddress(names.address, {
        region,
        dropletId: loadBalancer.dropletId,
        serving: haproxy.applied,
    });

    return {
        url: pulumi.interpolate`http://${address.ip}`,
        loadBalancerIp: address.ip,
        servers: pool.servers,
        monthlyCost: pulumi
            .all([...pool.sizes, settings.loadBalancerSize])
            .apply((sizes) => monthlyCost(sizes, account)),
        deployKey: keys.deploy.privateKey,
        hostKey: keys.host.publicKey,
    };
};
