// A static file server on the loopback interface.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".css": "text/css",
  ".gguf": "application/octet-stream",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/**
 * Serves `folder`, each answer with `headers`; `files` puts single files at addresses of their own.
 * @returns {Promise<{ address: string, close(): Promise<void> }>}
 */
export async function serve(folder, { headers = {}, files = {} } = {}) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const name = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    const path = files[name] ?? join(folder, normalize(decodeURIComponent(name)));
    const found = await stat(path).catch(() => null);
    if (!found?.isFile()) return response.writeHead(404).end("not found");
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const start = range ? Number(range[1]) : 0;
    const end = range?.[2] ? Math.min(Number(range[2]), found.size - 1) : found.size - 1;
    response.writeHead(range ? 206 : 200, {
      "Content-Type": TYPES[extname(name)] ?? "application/octet-stream",
      "Content-Length": end - start + 1,
      "Accept-Ranges": "bytes",
      ETag: `"${found.size}-${found.mtimeMs}"`,
      ...(range && { "Content-Range": `bytes ${start}-${end}/${found.size}` }),
      ...headers,
    });
    if (request.method === "HEAD") return response.end();
    createReadStream(path, { start, end }).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}/`,
    close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }),
  };
}
