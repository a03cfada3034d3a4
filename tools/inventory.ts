import { listAll } from "./api";
import { type Inventory, namesOf } from "./orphans";

/**
 * What the account has that may be a stack's.
 *
 * @param prefix `<namePrefix>-<stack>`.
 * @throws as {@link listAll}
 */
export async function readInventory(prefix: string): Promise<Inventory> {
    const [droplets, firewalls, keys, vpcs, reservedIps] = await Promise.all([
        Promise.all(
            namesOf(prefix).tags.map((tag) =>
                listAll<Inventory["droplets"][number]>(`droplets?tag_name=${tag}`, "droplets"),
            ),
        ),
        listAll<Inventory["firewalls"][number]>("firewalls", "firewalls"),
        listAll<Inventory["keys"][number]>("account/keys", "ssh_keys"),
        listAll<Inventory["vpcs"][number]>("vpcs", "vpcs"),
        listAll<Inventory["reservedIps"][number]>("reserved_ips", "reserved_ips"),
    ]);
    return { droplets: droplets.flat(), firewalls, keys, vpcs, reservedIps };
}
