import { createHash } from "node:crypto";

import { Type } from "@fastify/type-provider-typebox";
import ssh2 from "ssh2";

import type { Action, SshKey } from "../../model.ts";
import { regions, sizes } from "../catalog.ts";
import type { ControlPlane } from "../control-plane.ts";
import { unprocessable } from "../errors.ts";
import { type Api, Deletion, list, Params, resource } from "../http.ts";
import { One, Page } from "../answers.ts";
import { accountEmail } from "../receivers.ts";
import { actionView, regionView, sizeView, sshKeyView } from "../views.ts";

/** The account itself: its limits, keys and actions, and what it may choose from. */
export function accountRoutes(api: Api, control: ControlPlane): void {
    const { cloud } = control;
    const uuid = createHash("sha1").update(`${control.instance.id} ${control.instance.name}`).digest("hex");
    api.get("/v2/account", { schema: { response: { 200: One.account } } }, () => ({
        account: {
            droplet_limit: control.dropletLimit,
            floating_ip_limit: 100,
            volume_limit: 0,
            email: accountEmail(control.instance),
            name: `Sandbox ${control.instance.name}`,
            uuid,
            email_verified: true,
            status: "active",
            status_message: "",
            team: { uuid, name: "Sandbox" },
        },
    }));
    list(api, "/v2/regions", Page.regions, () => regions.map(regionView));
    list(api, "/v2/sizes", Page.sizes, () => sizes.map(sizeView));
    resource<Action>(
        api,
        "/v2/actions",
        { one: "action", many: Page.actions },
        {
            all: () => [...cloud.actions].reverse(),
            matches: (action, id) => String(action.id) === id,
            view: actionView,
        },
    );
    keyRoutes(api, control);
}

function keyRoutes(api: Api, control: ControlPlane): void {
    const { cloud } = control;
    const find = resource<SshKey>(
        api,
        "/v2/account/keys",
        { one: "ssh_key", many: Page.sshKeys },
        { all: () => cloud.sshKeys, matches: isKey, view: sshKeyView },
    );

    const Create = {
        body: Type.Object({ name: Type.String(), public_key: Type.String() }),
        response: { 201: One.ssh_key },
    };
    api.post("/v2/account/keys", { schema: Create }, (request, reply) => {
        const name = named(request.body.name);
        const publicKey = request.body.public_key.trim();
        const fingerprint = fingerprintOf(publicKey);
        if (!fingerprint)
            throw unprocessable("Key invalid, key should be of the format `type key [comment]`");
        if (cloud.sshKeys.some((other) => other.fingerprint === fingerprint)) {
            throw unprocessable("SSH Key is already in use on your account");
        }
        const key: SshKey = { id: control.newId(), name, publicKey, fingerprint };
        cloud.sshKeys.push(key);
        control.save();
        return reply.code(201).send({ ssh_key: sshKeyView(key) });
    });

    const Rename = {
        params: Params.Uuid,
        body: Type.Object({ name: Type.Optional(Type.String()) }),
        response: { 200: One.ssh_key },
    };
    api.put("/v2/account/keys/:id", { schema: Rename }, (request) => {
        const key = find(request.params.id);
        key.name = named(request.body.name ?? key.name);
        control.save();
        return { ssh_key: sshKeyView(key) };
    });

    api.delete("/v2/account/keys/:id", { schema: Deletion }, (request, reply) => {
        const key = find(request.params.id);
        cloud.sshKeys.splice(cloud.sshKeys.indexOf(key), 1);
        control.save();
        return reply.code(204).send();
    });
}

/** Whether `text` is the key's id or its fingerprint: the API takes either. */
export function isKey(key: SshKey, text: string): boolean {
    return text === String(key.id) || text === key.fingerprint;
}

function named(name: string): string {
    if (name.trim() === "") throw unprocessable("Name can't be blank");
    return name;
}

/** MD5 in pairs, as the API shows it; undefined if the text is no public key. */
function fingerprintOf(publicKey: string): string | undefined {
    const key = ssh2.utils.parseKey(publicKey);
    if (key instanceof Error || key.isPrivateKey() || publicKey.includes("\n")) return undefined;
    return createHash("md5")
        .update(key.getPublicSSH())
        .digest("hex")
        .replace(/..(?=.)/g, "$&:");
}
