import dnsPacket, { type Answer, type Question } from "dns-packet";
import type { Cloud, Domain, DomainRecord } from "../model.ts";
import { fullName, startOfAuthority } from "../zones.ts";

// https://www.rfc-editor.org/rfc/rfc1035#section-4.1.1
const NXDOMAIN = 3;
/** What fits into a datagram unless the client says more (EDNS). */
const DATAGRAM_BYTES = 512;
/** A chain of names that is longer goes in a circle. */
const LONGEST_CHAIN = 8;

/** Names beside those of the account's domains: name -> IPv4 address. */
export type OwnNames = Readonly<Record<string, string>>;

/**
 * The answer of the region's resolver: the records of the account's domains, as if each domain's registrar named
 * DigitalOcean's servers, and `ownNames`. To everything else it says "no such name": the sandbox has no Internet, and a
 * prompt answer spares programs five seconds of waiting for each name.
 *
 * @param options.stream The answer travels over TCP: it may be long.
 * @returns undefined for what is no query.
 */
export function dnsAnswer(
    query: Buffer,
    cloud: Pick<Cloud, "domains">,
    { ownNames = {}, stream = false }: { ownNames?: OwnNames; stream?: boolean } = {},
): Buffer | undefined {
    try {
        const { id = 0, type, flags = 0, questions = [], additionals = [] } = dnsPacket.decode(query);
        if (type !== "query") return undefined;
        const [question] = questions;
        const found = question && lookUp(question, cloud.domains, ownNames);
        const head = {
            id,
            type: "response",
            flags:
                (flags & dnsPacket.RECURSION_DESIRED) |
                dnsPacket.RECURSION_AVAILABLE |
                (found?.exists ? 0 : NXDOMAIN),
            questions,
        } as const;
        const answer = dnsPacket.encode({
            ...head,
            answers: found?.answers ?? [],
            authorities: found?.authorities ?? [],
        });
        const edns = additionals.find((one) => one.type === "OPT");
        const room = Math.max(DATAGRAM_BYTES, edns?.udpPayloadSize ?? 0);
        if (stream || answer.length <= room) return answer;
        return dnsPacket.encode({ ...head, flags: head.flags | dnsPacket.TRUNCATED_RESPONSE });
    } catch {
        return undefined;
    }
}

interface Found {
    exists: boolean;
    answers: Answer[];
    authorities: Answer[];
}

function lookUp(question: Question, domains: readonly Domain[], ownNames: OwnNames): Found {
    const name = question.name.toLowerCase();
    const own = ownNames[name];
    if (own !== undefined) {
        const answers: Answer[] = question.type === "A" ? [{ type: "A", name, ttl: 60, data: own }] : [];
        return { exists: true, answers, authorities: [] };
    }
    const answers: Answer[] = [];
    let asked = name;
    for (let links = 0; links < LONGEST_CHAIN; links++) {
        const domain = zoneOf(asked, domains);
        // What an alias outside leads to is not known here; the alias itself is.
        if (!domain) return { exists: links > 0, answers, authorities: [] };
        const { exists, records } = recordsAt(asked, domain);
        const alias = records.find(({ type }) => type === "CNAME");
        const wanted = alias ? [alias] : records.filter(({ type }) => type === question.type);
        answers.push(...wanted.map((record) => answerOf(record, asked, domain)));
        if (!alias || question.type === "CNAME") {
            const authorities = wanted.length === 0 ? [authorityOf(domain)] : [];
            return { exists, answers, authorities };
        }
        asked = target(domain, alias);
    }
    return { exists: true, answers, authorities: [] };
}

/** The closest of the zones that a name is in. */
function zoneOf(name: string, domains: readonly Domain[]): Domain | undefined {
    return domains
        .filter((domain) => name === domain.name || name.endsWith(`.${domain.name}`))
        .sort((a, b) => b.name.length - a.name.length)[0];
}

/** Those of the name itself or, if there is nothing of it, of the wildcard beside it or above. RFC 4592 */
function recordsAt(name: string, domain: Domain): { exists: boolean; records: DomainRecord[] } {
    const at = (full: string) => domain.records.filter((record) => fullName(domain, record.name) === full);
    const has = (full: string) =>
        domain.records.some((record) => `.${fullName(domain, record.name)}`.endsWith(`.${full}`));
    if (has(name)) return { exists: true, records: at(name) };
    let parent = name;
    do parent = parent.slice(parent.indexOf(".") + 1);
    while (!has(parent));
    const records = at(`*.${parent}`);
    return { exists: records.length > 0, records };
}

function authorityOf(domain: Domain): Answer {
    const data = startOfAuthority(domain);
    return { type: "SOA", name: domain.name, ttl: data.minimum, data };
}

function target(domain: Domain, { data }: DomainRecord): string {
    return data === "@" ? domain.name : data;
}

function answerOf(record: DomainRecord, name: string, domain: Domain): Answer {
    const { type, data, ttlSeconds: ttl, priority, weight, port, flags, tag } = record;
    switch (type) {
        case "A":
        case "AAAA":
            return { type, name, ttl, data };
        case "CNAME":
        case "NS":
            return { type, name, ttl, data: target(domain, record) };
        case "SOA":
            return authorityOf(domain);
        case "TXT":
            return { type, name, ttl, data: inPieces(data) };
        case "MX":
            return { type, name, ttl, data: { preference: priority ?? 0, exchange: target(domain, record) } };
        case "SRV": {
            const rest = { priority: priority ?? 0, weight: weight ?? 0, port: port ?? 0 };
            return { type, name, ttl, data: { ...rest, target: target(domain, record) } };
        }
        case "CAA":
            return { type, name, ttl, data: { flags: flags ?? 0, tag: tag ?? "issue", value: data } };
    }
}

/** A text of a record has at most 255 bytes; longer ones are several. */
function inPieces(text: string): Buffer[] {
    const bytes = Buffer.from(text);
    const count = Math.max(1, Math.ceil(bytes.length / 255));
    return Array.from({ length: count }, (_none, index) => bytes.subarray(index * 255, (index + 1) * 255));
}
