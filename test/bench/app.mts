import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Document, parseDocument, type YAMLSeq } from "yaml";

/** The app's own port; nginx stands before it. */
export const appPort = 8000;

const unit = `\
[Unit]
Description=app of the bench
[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/bench-app.py
[Install]
WantedBy=multi-user.target
`;

/** Every answer says which server it is from; bodies go on as they come, so that a slow one keeps the app busy. */
const locations = `\
    add_header X-Server $hostname always;
    location ~ ^/(slow|work|stream|echo)$ {
        proxy_pass http://127.0.0.1:${appPort};
        proxy_http_version 1.1;
        proxy_buffering off;
        proxy_request_buffering off;
    }
`;

/**
 * Cloud-config of a backend whose site has slow parts as well: `/slow?seconds=N`, `/stream` and `/echo`, and `/work?seconds=N` by four
 * workers, by app.py.
 * Its /healthz answers only when the app does.
 *
 * @param text userdata/nginx.yaml.
 * @throws Error if that has changed so that the app has no place in it.
 */
export function withApp(text: string): string {
    const document: Document = parseDocument(text);
    const files = document.get("write_files") as YAMLSeq;
    const site = files.items.findIndex((_, index) => String(files.getIn([index, "path"])).includes("nginx"));
    const nginx = String(files.getIn([site, "content"]));
    const behindApp = nginx
        .replace(/^server \{\n/, `$&${locations}`)
        .replace(/return 200 "ok\\n";/, `proxy_pass http://127.0.0.1:${appPort};`);
    if (behindApp.split("proxy_pass").length !== 3)
        throw new Error(
            "the site in userdata/nginx.yaml is not as test/bench/app.mts expects it: adapt withApp",
        );
    files.setIn([site, "content"], behindApp);
    const app = readFileSync(path.join(import.meta.dirname, "app.py"), "utf8");
    document.addIn(["write_files"], { path: "/usr/local/lib/bench-app.py", content: app });
    document.addIn(["write_files"], { path: "/etc/systemd/system/bench-app.service", content: unit });
    const commands = document.get("runcmd") as YAMLSeq;
    commands.items.splice(-1, 0, document.createNode("systemctl enable --now bench-app"));
    return document.toString({ lineWidth: 0 });
}

/** Puts the app into a copy of the program; returns the user data. */
export function installApp(folder: string): string {
    const file = path.join(folder, "userdata/nginx.yaml");
    const text = withApp(readFileSync(file, "utf8"));
    writeFileSync(file, text);
    return text;
}
