/**
 * Takes out what must not be read: the engine masks what it knows to be secret, and this is for what slips by it.
 *
 * @param secrets Values of the environment; too short ones are left, since they would be found everywhere.
 */
export function maskSecrets(text: string, secrets: readonly (string | undefined)[]): string {
    const known = secrets.filter((secret) => secret !== undefined && secret.length >= 12);
    return known
        .reduce<string>((rest, secret) => rest.replaceAll(secret ?? "", "[secret]"), text)
        .replace(/-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?-----END [A-Z ]*PRIVATE KEY-----/g, "[secret]");
}
