/** Bytes that no parser of HTTP should take, and those that two parsers may take for different requests. */

/**
 * What is sent, one character a byte, and what may come of it: the statuses that the client gets, and after a colon the
 * requests that a server gets, `METHOD(body)`, with `/hidden` for the one that stands inside the first. Where there are
 * two, releases of HAProxy differ, and both are right. `PATH` is a path of the probe's own, four characters long.
 */
export type Probes = Readonly<Record<string, readonly [bytes: string, ...outcomes: string[]]>>;

/** Each {@link Probes} key's own path. */
export const pathOf = (index: number): string => `/${100 + index}`;

const get = (headers: string): string => `GET PATH HTTP/1.1\r\nHost: a\r\n${headers}\r\n`;
const post = (headers: string, body: string): string =>
    `POST PATH HTTP/1.1\r\nHost: a\r\n${headers}\r\n${body}`;
const startLine = (line: string, headers = "Host: a\r\n"): string => `${line}\r\n${headers}\r\n`;
const mebibyte = "x".repeat(2 ** 20);

/**
 * What is wrong ends with 400 at HAProxy, or (a method, a host) reaches a server as the one request that it is.
 * https://www.rfc-editor.org/rfc/rfc9112#section-3 https://www.rfc-editor.org/rfc/rfc9110#section-5.5
 */
export const malformed: Probes = {
    "a method that is no token": [startLine("G(T PATH HTTP/1.1"), "400"],
    "an unknown method": [startLine("BREW PATH HTTP/1.1"), "400"],
    "no version": [startLine("GET PATH"), "400"],
    "HTTP/0.9": ["GET PATH\r\n", "400"],
    "a version that is none": [startLine("GET PATH HTTP/1.x"), "400"],
    "version 1.10": [startLine("GET PATH HTTP/1.10"), "400"],
    // Sent on as HTTP/1.1.
    "version 9.9": [startLine("GET PATH HTTP/9.9"), "200: GET()"],
    "HTTP/1.0 without a host": [startLine("GET PATH HTTP/1.0", ""), "200: GET()"],
    "HTTP/1.1 without a host": [startLine("GET PATH HTTP/1.1", ""), "400"],
    "two hosts": [startLine("GET PATH HTTP/1.1", "Host: a\r\nHost: b\r\n"), "400"],
    "the same host twice": [startLine("GET PATH HTTP/1.1", "Host: a\r\nHost: a\r\n"), "200: GET()"],
    "a host that is none": [startLine("GET PATH HTTP/1.1", "Host: a b/c@d\r\n"), "200: GET()", "400"],
    "a host of 40 KB": [startLine("GET PATH HTTP/1.1", `Host: ${"a".repeat(40_000)}\r\n`), "400"],
    "an absolute URI": [startLine("GET http://aPATH HTTP/1.1"), "200: GET()"],
    "an absolute URI of another host": [startLine("GET http://bPATH HTTP/1.1"), "400"],
    "NUL in the path": [startLine("GET PATH\0 HTTP/1.1"), "400"],
    "a blank in the path": [startLine("GET PATH x HTTP/1.1"), "400"],
    "a fragment": [startLine("GET PATH#x HTTP/1.1"), "400"],
    "bytes above 127 in the path": [startLine("GET PATH\xff HTTP/1.1"), "400"],
    "NUL in a value": [get("X: a\0b\r\n"), "400"],
    "a control character in a value": [get("X: a\x01b\r\n"), "400"],
    "DEL in a value": [get("X: a\x7fb\r\n"), "400"],
    "CR in a value": [get("X: a\rb\r\n"), "400"],
    "NUL in a name": [get("X\0: a\r\n"), "400"],
    "a tab in a name": [get("X\tY: a\r\n"), "400"],
    "bytes above 127 in a name": [get("X\xff: a\r\n"), "400"],
    "an empty name": [get(": a\r\n"), "400"],
    "no colon": [get("X\r\n"), "400"],
    "a blank before the colon": [get("X : a\r\n"), "400"],
    "a blank before the first name": [startLine("GET PATH HTTP/1.1", " X: a\r\nHost: a\r\n"), "400"],
    // One value with blanks. https://www.rfc-editor.org/rfc/rfc9112#section-5.2
    "a folded header": [get("X: a\r\n b\r\n"), "200: GET()"],
    // https://www.rfc-editor.org/rfc/rfc9112#section-2.2
    "lines that end with LF": ["GET PATH HTTP/1.1\nHost: a\n\n", "200: GET()"],
    "lines that end with CR": ["GET PATH HTTP/1.1\rHost: a\r\r", "400"],
    "an empty line first": [`\r\n${get("")}`, "200: GET()"],
    "200 headers": [get("X: a\r\n".repeat(200)), "400"],
    "a header of 1 MiB": [get(`X: ${mebibyte}\r\n`), "400"],
    "headers of 1 MiB": [get(`X: ${"x".repeat(100)}\r\n`.repeat(10_000)), "400"],
    "a URL of 1 MiB": [startLine(`GET PATH?${mebibyte} HTTP/1.1`), "400"],
    TLS: [`\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03${"x".repeat(200)}`, "400"],
    SSH: ["SSH-2.0-OpenSSH_9.2\r\n", "400"],
    "PROXY protocol": [`PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n${get("")}`, "400"],
    // One connection would carry a hundred requests.
    "HTTP/2": ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "400"],
    CONNECT: [startLine("CONNECT a:80 HTTP/1.1", "Host: a:80\r\n"), "405"],
    TRACE: [startLine("TRACE PATH HTTP/1.1"), "405"],
};

const hidden = "GET PATH/hidden HTTP/1.1\r\nHost: a\r\n\r\n";
const both = "200 200: POST(abc) GET/hidden()";

/** A body by its length, and another request after it. */
const lengths = (lines: string): string => post(`${lines}\r\n`, `abc${hidden}`);

/** A chunked body, and another request after it. */
const chunks = (body: string): string => post("Transfer-Encoding: chunked\r\n", `${body}${hidden}`);

/** The body is empty by Transfer-Encoding, and holds the hidden request by Content-Length. */
const bothWays = (lines: string): string => {
    const body = `0\r\n\r\n${hidden}`;
    return post(`Content-Length: ${body.length}\r\n${lines}\r\n`, body);
};

/**
 * Ambiguous ends of a request are refused, or both sides see the same end: what HAProxy does not take for a request of
 * its own, no server does. Where a request has both lengths, HAProxy goes by the chunks, sends no other length on, and
 * closes the connection. https://www.rfc-editor.org/rfc/rfc9112#section-6 https://portswigger.net/web-security/request-smuggling
 */
export const smuggling: Probes = {
    "two requests in one go": [`${get("")}${hidden}`, "200 200: GET() GET/hidden()"],
    "CL.TE": [bothWays("Transfer-Encoding: chunked"), "200: POST()"],
    "TE.CL": [
        post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", `25\r\n${hidden}\r\n0\r\n\r\n`),
        `200: POST(${hidden})`,
    ],
    "TE in capitals": [bothWays("Transfer-Encoding: Chunked"), "200: POST()"],
    "TE after a tab": [bothWays("Transfer-Encoding:\tchunked"), "200: POST()"],
    "TE after LF": [bothWays("X: x\nTransfer-Encoding: chunked"), "200: POST()"],
    "TE xchunked": [bothWays("Transfer-Encoding: xchunked"), "400"],
    "TE with a blank before the colon": [bothWays("Transfer-Encoding : chunked"), "400"],
    "TE with LF before the colon": [bothWays("Transfer-Encoding\n: chunked"), "400"],
    "TE after a vertical tab": [bothWays("Transfer-Encoding:\x0bchunked"), "400"],
    "TE with NUL": [bothWays("Transfer-Encoding: chunked\0"), "400"],
    "TE in quotes": [bothWays('Transfer-Encoding: "chunked"'), "400"],
    "TE with a parameter": [bothWays("Transfer-Encoding: chunked;x=1"), "400"],
    "TE folded": [bothWays("Transfer-Encoding: chunk\r\n ed"), "400"],
    "TE empty": [bothWays("Transfer-Encoding:"), "400"],
    "TE identity": [bothWays("Transfer-Encoding: identity"), "400"],
    "TE chunked, identity": [bothWays("Transfer-Encoding: chunked, identity"), "400"],
    "TE identity, chunked": [bothWays("Transfer-Encoding: identity, chunked"), "422"],
    "TE gzip, chunked": [bothWays("Transfer-Encoding: gzip, chunked"), "422"],
    "TE chunked and x": [bothWays("Transfer-Encoding: chunked\r\nTransfer-Encoding: x"), "400"],
    "TE x and chunked": [bothWays("Transfer-Encoding: x\r\nTransfer-Encoding: chunked"), "422"],
    "TE chunked twice": [bothWays("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), "400"],
    "TE with _, which is dropped": [bothWays("Transfer_Encoding: chunked"), `200: POST(0\r\n\r\n${hidden})`],
    // https://www.rfc-editor.org/rfc/rfc9112#section-6.1
    "TE in HTTP/1.0": [
        bothWays("Transfer-Encoding: chunked\r\nConnection: keep-alive").replace("HTTP/1.1", "HTTP/1.0"),
        "200: POST()",
    ],
    "two lengths": [lengths("Content-Length: 3\r\nContent-Length: 4"), "400"],
    "two lengths, the same": [lengths("Content-Length: 3\r\nContent-Length: 3"), both],
    "a list of lengths": [lengths("Content-Length: 3, 4"), "400"],
    "a list of the same length": [lengths("Content-Length: 3,3"), both],
    "a length with +": [lengths("Content-Length: +3"), "400"],
    "a length with -": [lengths("Content-Length: -3"), "400"],
    "a length in hexadecimal": [lengths("Content-Length: 0x3"), "400"],
    "a length with a fraction": [lengths("Content-Length: 3.0"), "400"],
    "a length with a letter": [lengths("Content-Length: 3x"), "400"],
    "a length folded": [lengths("Content-Length: 3\r\n 4"), "400"],
    "no length": [lengths("Content-Length:"), "400"],
    "a length with blanks": [lengths("Content-Length:  3\t"), both],
    "a length with 0": [lengths("Content-Length: 03"), both],
    // 2^64 + 3: HAProxy 2.6 by itself takes it for 3, and sends on what it was given.
    "a length beyond 64 bits": [lengths("Content-Length: 18446744073709551619"), "400"],
    "a length with NUL in its name": [lengths("Content-Length\0: 3"), "400"],
    // No length is left: what follows is a request of its own, of the method abcGET.
    "a length with _, which is dropped": [lengths("Content_Length: 3"), "200 400: POST()"],
    "a length that Connection names": [lengths("Connection: Content-Length\r\nContent-Length: 3"), both],
    "a GET with a body": [get(`Content-Length: ${hidden.length}\r\n`).concat(hidden), `200: GET(${hidden})`],
    "a chunk": [chunks("3\r\nabc\r\n0\r\n\r\n"), both],
    "a chunk with zeros": [chunks("0000000000003\r\nabc\r\n000\r\n\r\n"), both],
    "a chunk with an extension": [chunks("3;x=1\r\nabc\r\n0\r\n\r\n"), both],
    "a chunk with a blank after its size": [chunks("3 \r\nabc\r\n0\r\n\r\n"), both],
    "a chunk with an extension that LF ends": [chunks("3;\nabc\r\n0\r\n\r\n"), both, "400"],
    "a chunk with a line break in quotes": [chunks('3;x="\r\n"\r\nabc\r\n0\r\n\r\n'), "400"],
    "chunks that end with LF": [chunks("3\nabc\n0\n\n"), both, "400"],
    "a chunk with CR and no LF": [chunks("3\rXabc\r\n0\r\n\r\n"), "400"],
    "a chunk with a blank before its size": [chunks(" 3\r\nabc\r\n0\r\n\r\n"), "400"],
    "a chunk of 0x3": [chunks("0x3\r\nabc\r\n0\r\n\r\n"), "400"],
    "a chunk of +3": [chunks("+3\r\nabc\r\n0\r\n\r\n"), "400"],
    "a chunk of -3": [chunks("-3\r\nabc\r\n0\r\n\r\n"), "400"],
    "a chunk of zz": [chunks("zz\r\nabc\r\n0\r\n\r\n"), "400"],
    "a chunk without a size": [chunks("\r\nabc\r\n0\r\n\r\n"), "400"],
    "a chunk beyond 64 bits": [chunks("10000000000000003\r\nabc\r\n0\r\n\r\n"), "400"],
    "a chunk that is too long": [chunks("3\r\nabcd\r\n0\r\n\r\n"), "400"],
    "a chunk without its end": [chunks("3\r\nabc0\r\n\r\n"), "400"],
    "a trailer": [chunks("3\r\nabc\r\n0\r\nX-Trailer: a\r\n\r\n"), both],
    "a trailer X-Forwarded-For, which is no header": [
        chunks("3\r\nabc\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"),
        both,
    ],
    // The server says so, before or after it has read the chunk.
    "a trailer Content-Length": [
        chunks("3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n"),
        "400: POST(abc)",
        "400: POST()",
    ],
    "a trailer without a colon": [chunks("3\r\nabc\r\n0\r\nX\r\n\r\n"), "400"],
    // Not heard of by the server. https://www.rfc-editor.org/rfc/rfc9110#section-7.8
    "an upgrade to h2c": [
        get(
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
        ),
        "200: GET()",
    ],
    "an upgrade to h2c, too": [
        get(
            "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Version: 13\r\n" +
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        ),
        "101: GET()",
    ],
    "Connection names headers that HAProxy sets": [
        get("Connection: close, X-Forwarded-For, X-Forwarded-Proto\r\n"),
        "200: GET()",
    ],
};
