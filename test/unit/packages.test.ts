import { readFileSync } from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";

const read = (name: string) => readFileSync(path.join(__dirname, "../..", name), "utf8");

interface LockedPackage {
    link?: boolean;
    integrity?: string;
    resolved?: string;
    hasInstallScript?: boolean;
}
const { packages } = JSON.parse(read("package-lock.json")) as { packages: Record<string, LockedPackage> };
const installed = Object.entries(packages).filter(
    ([folder, { link }]) => folder.includes("node_modules/") && !link,
);

/** Packages that would run something when they are installed, and why they work when it does not run. */
const scripts: Record<string, string> = {
    "@pulumi/command": "downloads the plugin, which the engine gets by itself",
    "cpu-features": "builds an optional part of ssh2",
    esbuild: "puts the binary of the platform's own package in another place, to start faster",
    protobufjs: "warns of version numbers that are loose",
    ssh2: "builds a faster cipher, and goes on without",
};

describe("the packages of the lock file", () => {
    it("are each known by a hash, and none comes from elsewhere than the registry", () => {
        expect(installed.length).toBeGreaterThan(100);
        const unknown = installed.filter(([, { integrity }]) => !integrity?.startsWith("sha512-"));
        expect(unknown).toEqual([]);
        expect(installed.filter(([, { resolved }]) => /^(git|http:|file:)/.test(resolved ?? ""))).toEqual([]);
    });

    it("run nothing when they are installed, and need not", () => {
        expect(read(".npmrc")).toMatch(/^ignore-scripts=true$/m);
        const withScript = installed
            .filter(([, { hasInstallScript }]) => hasInstallScript)
            .map(([folder]) => folder.replace(/^.*node_modules\//, ""));
        expect([...new Set(withScript)].sort()).toEqual(Object.keys(scripts).sort());
    });
});
