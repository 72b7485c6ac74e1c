// A file server that misbehaves on request. No dependencies.
//
//   const server = await startFaultServer({ root: "some/folder", isolated: true });
//   server.origin                    "http://127.0.0.1:PORT"
//   server.fault("/m.gguf", {...})   faults for a path, until changed or cleared; see Faults below. What it returns may be
//                                    changed while requests are under way
//   server.clearFaults()
//   server.log                       [{ method, path, range, authorization, status, sent, aborted, began, ended }] in order of arrival
//   server.bytesSent(path)           body bytes that left for GET requests of a path
//   server.clearLog()
//   server.setFile("/m.gguf", bytes) serve these bytes (Buffer) instead of what is in root; null: 404
//   server.setHub("owner/repo", { "file.gguf": "/m.gguf" }, { token, sha256 })  mock hub, see below
//   await server.close()
//
// It answers GET and HEAD with Accept-Ranges, byte ranges (first-last, first-, -last), If-Range, a strong ETag (from the
// content) and Last-Modified, and with CORS headers that expose all of them. `isolated` adds COOP, COEP and CORP.
// `mounts` maps URL prefixes to folders: { "/dist/": "/path/to/dist" }; `root` is mounted at "/".
//
// Faults (all may be combined; `times: n` ends them after n requests):
//   cutAfter: n         the connection breaks after n bytes of the body
//   cutAtByte: n        the connection breaks when byte n of the file would be sent
//   stallAfter: n       nothing more is sent after n bytes of the body, the connection stays open
//   stallAtByte: n      nothing more is sent from byte n of the file on, the connection stays open
//   truncate: n         the file ends at n bytes: a smaller, otherwise correct file
//   wrongRange: n       answers with the range n bytes further on, honestly labelled
//   mislabelRange: n    answers with the right Content-Range and bytes from n bytes further on
//   ignoreRange: true   200 with the whole file whatever was asked
//   etag: "\"x\""       another ETag (the file changed)
//   hide: [names]       these headers are left out
//   status: 503         this status and a short text; retryAfter: seconds adds Retry-After
//   html: true          a web page with status 200
//   gzip: true          the body compressed, with Content-Encoding (and no ranges)
//   trickle: { bytes, ms }   so many bytes, then a pause, and so on
//   rate: n             n bytes a second over all connections together, as a line has them; 0: nothing more
//   flip: [offsets]     these bytes of the file are inverted
//   delay: ms           before the answer
//
// The same faults can be set over HTTP, for pages: POST /__fault?path=/m.gguf with a JSON body, POST /__clear,
// GET /__log, POST /__log/clear.
//
// Mock hub: GET /api/models/OWNER/REPO/revision/main?blobs=true lists the repository as the Hugging Face hub does
// (sha, siblings with size and lfs.sha256), and GET /OWNER/REPO/resolve/REV/FILE answers with the file, after a redirect
// to its path here, or to a copy at another origin, as the hub does. With `token`, requests without "Authorization: Bearer TOKEN" get 401.
// `sha256` overrides the listed hash per file.

import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".gguf": "application/octet-stream",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
};
const PIECE = 64 * 1024;
/** Time between two looks whether a dead line lives again. */
const LOOK_MS = 20;
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const LAST_MODIFIED = "Mon, 05 Jan 2026 00:00:00 GMT";
const PAGE = "<!doctype html><title>Welcome</title><p>Please accept our terms to go on.</p>";
const EXPOSED = "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag, Last-Modified, Retry-After";

export async function startFaultServer({ root, mounts = {}, port = 0, isolated = false } = {}) {
  const faults = new Map();
  const files = new Map();
  const hubs = new Map();
  const log = [];
  const cache = new Map();
  const folders = Object.entries({ ...mounts, ...(root && { "/": root }) }).sort(([a], [b]) => b.length - a.length);

  async function load(path) {
    if (files.has(path)) return files.get(path);
    const mount = folders.find(([prefix]) => path.startsWith(prefix));
    if (!mount) return null;
    const relative = normalize(decodeURIComponent(path.slice(mount[0].length)));
    if (relative.startsWith("..")) return null;
    let file = join(mount[1], relative);
    if (file.endsWith(sep) || relative === ".") file = join(file, "index.html");
    const info = await stat(file).catch(() => null);
    if (!info?.isFile()) return null;
    const known = cache.get(file);
    if (known?.mtimeMs === info.mtimeMs) return known.bytes;
    const bytes = await readFile(file);
    cache.set(file, { mtimeMs: info.mtimeMs, bytes });
    return bytes;
  }

  function takeFault(path) {
    const fault = faults.get(path);
    if (!fault) return {};
    if (fault.times !== undefined && --fault.times <= 0) faults.delete(path);
    return fault;
  }

  function control(request, response, url) {
    const answer = (value) => response.end(JSON.stringify(value ?? {}));
    response.setHeader("Content-Type", "application/json");
    if (url.pathname === "/__log") return answer(log);
    if (url.pathname === "/__log/clear") return answer((log.length = 0));
    if (url.pathname === "/__clear") return answer(faults.clear());
    let body = "";
    request.on("data", (piece) => (body += piece));
    request.on("end", () => {
      faults.set(url.searchParams.get("path"), JSON.parse(body || "{}"));
      answer();
    });
  }

  async function hub(request, response, path, entry) {
    const listing = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/[^/]+$/.exec(path);
    const resolve = /^\/([^/]+\/[^/]+)\/resolve\/[^/]+\/(.+)$/.exec(path);
    const repository = hubs.get((listing ?? resolve)?.[1]);
    if (!repository) return false;
    if (repository.token && entry.authorization !== `Bearer ${repository.token}`) {
      finish(response, entry, 401, "Access to this repository is restricted.");
      return true;
    }
    if (resolve) {
      const target = repository.files[decodeURIComponent(resolve[2])];
      if (!target) return finish(response, entry, 404, "Entry not found"), true;
      response.setHeader("Location", target);
      finish(response, entry, 302, "");
      return true;
    }
    const siblings = [];
    for (const [name, target] of Object.entries(repository.files)) {
      const bytes = await load(new URL(target, "http://localhost").pathname);
      const sha256 = repository.sha256?.[name] ?? createHash("sha256").update(bytes).digest("hex");
      siblings.push({ rfilename: name, size: bytes.length, blobId: "0", lfs: { sha256, size: bytes.length, pointerSize: 135 } });
    }
    response.setHeader("Content-Type", "application/json");
    finish(response, entry, 200, JSON.stringify({ id: listing[1], sha: COMMIT, siblings }));
    return true;
  }

  function finish(response, entry, status, text) {
    entry.status = status;
    entry.sent = Buffer.byteLength(text);
    response.writeHead(status);
    response.end(text);
  }

  async function send(response, entry, bytes, fault, start) {
    const piece = fault.trickle?.bytes ?? PIECE;
    const cut = Math.min(fault.cutAfter ?? Infinity, (fault.cutAtByte ?? Infinity) - start);
    const stall = Math.min(fault.stallAfter ?? Infinity, (fault.stallAtByte ?? Infinity) - start);
    const stop = Math.max(0, Math.min(bytes.length, cut, stall));
    for (let at = 0; at < stop; at += piece) {
      const end = Math.min(at + piece, stop);
      if (fault.rate) await onTheLine(fault, end - at);
      // Dead from now on.
      while (fault.rate === 0 && !response.destroyed) await sleep(LOOK_MS);
      if (response.destroyed) return;
      const flowing = response.write(bytes.subarray(at, end));
      entry.sent = end;
      if (!flowing) await writable(response);
      if (fault.trickle) await sleep(fault.trickle.ms);
    }
    if (response.destroyed) return;
    if (stop === bytes.length) return response.end();
    if (cut <= stop) {
      // What was written reaches the client before the connection breaks.
      await sleep(20);
      response.destroy();
    }
  }

  async function handle(request, response) {
    const url = new URL(request.url, "http://localhost");
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Allow-Headers", "*, Authorization");
    response.setHeader("Access-Control-Expose-Headers", EXPOSED);
    if (isolated) {
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    }
    response.setHeader("Cross-Origin-Resource-Policy", "cross-origin");
    if (url.pathname.startsWith("/__")) return control(request, response, url);
    if (request.method === "OPTIONS") return response.writeHead(204).end();

    const { range = null, authorization = null } = request.headers;
    const entry = { method: request.method, path: url.pathname, range, authorization, status: 0, sent: 0, aborted: false, began: performance.now(), ended: 0 };
    log.push(entry);
    response.on("close", () => Object.assign(entry, { aborted: !response.writableFinished, ended: performance.now() }));
    if (await hub(request, response, url.pathname, entry)) return;

    const fault = takeFault(url.pathname);
    if (fault.delay) await sleep(fault.delay);
    if (fault.status) {
      if (fault.retryAfter !== undefined) response.setHeader("Retry-After", String(fault.retryAfter));
      return finish(response, entry, fault.status, "not now");
    }
    if (fault.html) {
      response.setHeader("Content-Type", TYPES[".html"]);
      return finish(response, entry, 200, PAGE);
    }
    let bytes = await load(url.pathname);
    if (!bytes) return finish(response, entry, 404, "not found");
    if (fault.truncate !== undefined) bytes = bytes.subarray(0, fault.truncate);
    if (fault.flip) {
      bytes = Buffer.from(bytes);
      for (const offset of fault.flip) bytes[offset] ^= 0xff;
    }
    const etag = fault.etag ?? `"${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}"`;
    const headers = {
      "Accept-Ranges": "bytes",
      // What comes from a folder stays in the browser's cache, as a page that works without a network has it.
      "Cache-Control": files.has(url.pathname) ? "no-cache" : "max-age=3600",
      "Content-Type": TYPES[extname(url.pathname)] ?? "application/octet-stream",
      ETag: etag,
      "Last-Modified": LAST_MODIFIED,
    };
    if (fault.gzip) {
      headers["Content-Encoding"] = "gzip";
      bytes = gzipSync(bytes);
    }
    const ifRange = request.headers["if-range"];
    const wholeAnyway = fault.ignoreRange || fault.gzip || (ifRange && ifRange !== etag && ifRange !== LAST_MODIFIED);
    const asked = wholeAnyway ? null : parseRange(request.headers.range, bytes.length);
    if (asked === "unsatisfiable") {
      response.setHeader("Content-Range", `bytes */${bytes.length}`);
      return finish(response, entry, 416, "");
    }
    let [from, to] = asked ?? [0, bytes.length];
    if (asked && fault.wrongRange) from = Math.min(from + fault.wrongRange, to - 1);
    let body = bytes.subarray(from, to);
    if (asked) {
      headers["Content-Range"] = `bytes ${from}-${to - 1}/${bytes.length}`;
      if (fault.mislabelRange) {
        const shift = Math.min(fault.mislabelRange, bytes.length - to);
        body = bytes.subarray(from + shift, to + shift);
      }
    }
    headers["Content-Length"] = body.length;
    for (const name of fault.hide ?? []) delete headers[name];
    entry.status = asked ? 206 : 200;
    response.writeHead(entry.status, headers);
    if (request.method === "HEAD") return response.end();
    await send(response, entry, body, fault, from);
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(String(error));
    });
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));

  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    log,
    fault: (path, fault) => {
      const own = { ...fault };
      faults.set(path, own);
      return own;
    },
    clearFaults: () => faults.clear(),
    clearLog: () => (log.length = 0),
    bytesSent: (path) => log.reduce((sum, entry) => sum + (entry.path === path && entry.method === "GET" ? entry.sent : 0), 0),
    setFile: (path, bytes) => files.set(path, bytes),
    setHub: (name, list, options = {}) => hubs.set(name, { files: list, ...options }),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Waits until a line of `fault.rate` bytes a second, which all connections of a fault share, has had time for `bytes` more. */
async function onTheLine(fault, bytes) {
  const now = performance.now();
  fault.free = Math.max(fault.free ?? 0, now) + (bytes / fault.rate) * 1000;
  await sleep(fault.free - now);
}

/** Resolves when a response takes more, or is gone. */
function writable(response) {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
}

/** "bytes=…" as [first, one past the last], null for none, or "unsatisfiable". */
function parseRange(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return null;
  if (match[1] === "") return [Math.max(0, size - Number(match[2])), size];
  const first = Number(match[1]);
  if (first >= size) return "unsatisfiable";
  return [first, match[2] === "" ? size : Math.min(size, Number(match[2]) + 1)];
}
