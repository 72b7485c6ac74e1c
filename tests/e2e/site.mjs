// Serves a folder the way the demo is served: cross-origin isolated, with byte ranges.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { pipeline } from "node:stream";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "no-cache",
  "Accept-Ranges": "bytes",
};

/**
 * Serves `root`, and each file or text of `extra` under its address, on a free port.
 * @param {string} root
 * @param {Record<string, { file: string } | { text: string, type: string }>} [extra] what lies elsewhere, by address
 * @returns {Promise<{ url: string, requests: string[], close: () => Promise<void> }>}
 */
export async function serve(root, extra = {}) {
  const requests = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    requests.push(path);
    const { file, text, type } = extra[path] ?? { file: join(root, normalize(path === "/" ? "/index.html" : path)) };
    if (text !== undefined) return response.writeHead(200, { ...HEADERS, "Content-Type": type }).end(text);
    answer(file, request, response).catch(() => {
      if (!response.headersSent) response.writeHead(404, HEADERS);
      response.end("not found");
    });
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    requests,
    close: () =>
      new Promise((closed) => {
        server.close(closed);
        server.closeAllConnections();
      }),
  };
}

async function answer(file, request, response) {
  const { size, mtimeMs } = await stat(file);
  const headers = { ...HEADERS, "Content-Type": TYPES[extname(file)] ?? "application/octet-stream", ETag: `"${size}-${mtimeMs}"` };
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = range ? Number(range[1]) : 0;
  const end = range?.[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
  if (range) headers["Content-Range"] = `bytes ${start}-${end}/${size}`;
  response.writeHead(range ? 206 : 200, { ...headers, "Content-Length": Math.max(0, end - start + 1) });
  if (request.method === "HEAD" || size === 0) return response.end();
  // A reader that goes away in the middle is what some tests are about.
  pipeline(createReadStream(file, { start, end }), response, () => {});
}
