// Measures what a browser's kinds of storage do with chunks: IndexedDB, and files of the origin private file system (OPFS)
// through synchronous handles. Plain JavaScript in a worker, as fast as the interfaces let it; no part of Minnow.
//
//     node tests/e2e/storage-bench.mjs [MiB, default 256]
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { browsers, launchOn } from "./browser.mjs";

const MIB = 1 << 20;
const CHUNKS_MIB = [0.125, 0.5, 2, 8];
const total = Number(process.argv[2] ?? 256) * MIB;

const server = createServer((_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>Storage</title>"));
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const url = `http://127.0.0.1:${server.address().port}/`;
console.log("browser    storage       chunk    write MB/s   read MB/s   read 4 at once");
for (const name of browsers) {
  for (const chunk of CHUNKS_MIB) {
    // Each on a profile of its own: what one leaves behind must not slow the next. On a disk: private storage is in memory.
    for (const kind of ["indexedDb", "opfs"]) {
      const folder = await mkdtemp(join(tmpdir(), "minnow-storage-"));
      const browser = await launchOn(name, folder);
      try {
        const page = await browser.newPage();
        await page.goto(url);
        const { write, read, parallel } = await page.evaluate(inWorker, { source: `${measure}`, kind, chunk: chunk * MIB, total });
        const speed = (ms) => (total / ms / 1000).toFixed(0).padStart(9);
        console.log(`${name.padEnd(10)} ${kind.padEnd(10)} ${String(chunk).padStart(5)} MiB   ${speed(write)}   ${speed(read)}    ${speed(parallel)}`);
      } finally {
        await browser.kill();
        await rm(folder, { recursive: true, force: true, maxRetries: 5 });
      }
    }
  }
}
server.close();

/** Runs in the page: synchronous handles exist in workers only. */
function inWorker({ source, kind, chunk, total }) {
  const script = `onmessage = async ({ data }) => {
    try { postMessage(await (${source})(data)) } catch (error) { postMessage(String(error)) }
  }`;
  const worker = new Worker(URL.createObjectURL(new Blob([script])));
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (typeof data === "string" ? reject(new Error(data)) : resolve(data));
    worker.postMessage({ kind, chunk, total });
  });
}

/** Runs in the worker. Times in milliseconds. */
async function measure({ kind, chunk, total }) {
  const count = total / chunk;
  // Weights do not compress, and zeros would.
  const bytes = new Uint8Array(chunk);
  for (let at = 0; at < chunk; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  const timed = async (work) => {
    const began = performance.now();
    await work();
    return performance.now() - began;
  };
  const done = (request) => new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }));

  async function indexedDb() {
    const opening = indexedDB.open("bench", 1);
    opening.onupgradeneeded = () => ["chunks", "journal"].forEach((table) => opening.result.createObjectStore(table));
    const database = await done(opening);
    const put = (i) =>
      new Promise((resolve, reject) => {
        const transaction = database.transaction(["chunks", "journal"], "readwrite");
        transaction.objectStore("chunks").put(bytes, ["model", 0, i]);
        transaction.objectStore("journal").put({ length: chunk, digest: "0".repeat(64) }, ["model", 0, i]);
        Object.assign(transaction, { oncomplete: resolve, onabort: () => reject(transaction.error) });
      });
    const get = async (i) => {
      const read = await done(database.transaction("chunks").objectStore("chunks").get(["model", 0, i]));
      if (read.length !== chunk) throw new Error("a chunk came back with another length");
    };
    const write = await timed(async () => {
      for (let i = 0; i < count; i += 2) await Promise.all([put(i), i + 1 < count && put(i + 1)]);
    });
    const read = await timed(async () => {
      for (let i = 0; i < count; i++) await get(i);
    });
    const parallel = await timed(async () => {
      for (let i = 0; i < count; i += 4) await Promise.all([0, 1, 2, 3].map((more) => i + more < count && get(i + more)));
    });
    return { write, read, parallel };
  }

  async function opfs() {
    const root = await navigator.storage.getDirectory();
    const handle = await (await root.getFileHandle("model", { create: true })).createSyncAccessHandle();
    const write = await timed(async () => {
      for (let i = 0; i < count; i++) {
        handle.write(bytes, { at: i * chunk });
        handle.flush();
      }
    });
    const read = await timed(async () => {
      for (let i = 0; i < count; i++) if (handle.read(bytes, { at: i * chunk }) !== chunk) throw new Error("a chunk came back short");
    });
    handle.close();
    // What a second reader does, who cannot have the handle.
    const file = await (await root.getFileHandle("model")).getFile();
    const slice = (i) => i < count && file.slice(i * chunk, (i + 1) * chunk).arrayBuffer();
    const parallel = await timed(async () => {
      for (let i = 0; i < count; i += 4) await Promise.all([0, 1, 2, 3].map((more) => slice(i + more)));
    });
    return { write, read, parallel };
  }

  return kind === "opfs" ? opfs() : indexedDb();
}
