#!/usr/bin/env node
// Kernels on several threads, in a headless browser: crates/kernels/examples/threads, on workers that share a memory.
//
//   node threads.mjs --builds relaxed-threads=threads.wasm [--expected lines.jsonl]
//
// Compares the checksums with those of `--expected`, what the example prints natively, and fails where they differ. Prints what it
// costs to hand over work. `cargo xtask test --only wasm` and `cargo xtask bench --only kernels` compile the modules and call this.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { inWorker, openPage, withBrowser } from './browser.mjs';
import { startServer } from './server.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({ options: { builds: { type: 'string' }, expected: { type: 'string' } } });
if (!options.builds) throw new Error('--builds is needed');
const builds = Object.fromEntries(options.builds.split(',').map((pair) => pair.split('=')));

/** Workers beside the one that runs `main`: the example's pool has one more. */
const WORKERS = 2;

const records = (lines) => lines.map((line) => JSON.parse(line));
const isChecksum = (record) => 'checksum' in record;
const key = ({ format, batch }) => `${format}, ${batch} rows`;
const expected = options.expected && new Map(
  records(fs.readFileSync(options.expected, 'utf8').trim().split('\n')).filter(isChecksum).map((record) => [key(record), record.checksum]),
);

const roots = { '/bench/': here };
for (const [name, file] of Object.entries(builds)) roots[`/${name}/`] = path.dirname(path.resolve(file));
const server = await startServer(roots);
await withBrowser(async (context) => {
  const page = await openPage(context, server.origin);
  for (const [name, file] of Object.entries(builds)) {
    const printed = records(await inWorker(page, runOnWorkers, { url: `${server.origin}/${name}/${path.basename(file)}`, workers: WORKERS }));
    const checksums = printed.filter(isChecksum);
    if (expected) {
      const wrong = checksums.filter((record) => record.checksum !== expected.get(key(record)));
      for (const record of wrong) console.error(`✗ ${name}: ${key(record)} on ${record.threads} threads: ${record.checksum} is not ${expected.get(key(record))}`);
      if (wrong.length > 0 || checksums.length !== expected.size * (WORKERS + 1)) process.exitCode = 1;
      console.log(`${name}: ${checksums.length - wrong.length} of ${expected.size * (WORKERS + 1)} results are the scalar specification's`);
    }
    for (const { threads, region_us: empty, pieces, pieces_us: many, work_us: work, handed_us: handed } of printed.filter((record) => 'region_us' in record)) {
      console.log(`${name}, ${threads} threads: a region takes ${empty.toFixed(2)} µs empty, ${many.toFixed(2)} µs with ${pieces} empty pieces, and ${handed.toFixed(2)} µs more than the ${work.toFixed(1)} µs that each thread works`);
    }
  }
});
server.close();

/** In a worker: runs the module's `main` beside others that compute with it, and posts what it printed. */
async function runOnWorkers() {
  const STACK = 1 << 20;
  const PAGES = { initial: 128, maximum: 65536, shared: true };
  const invited = await new Promise((resolve) => { onmessage = (event) => resolve(event.data); });
  const { memory = new WebAssembly.Memory(PAGES) } = invited;
  const module = invited.module ?? await WebAssembly.compileStreaming(fetch(invited.url));
  const lines = [];
  const host = {
    now_ms: () => performance.now(),
    print: (at, length) => lines.push(new TextDecoder().decode(new Uint8Array(memory.buffer).slice(at, at + length))),
  };
  const { exports } = await WebAssembly.instantiate(module, { host, env: { memory } });
  if (invited.stack) {
    exports.__stack_pointer.value = invited.stack + STACK;
    exports.__wasm_init_tls(invited.storage);
    postMessage('ready');
    exports.work();
    return;
  }
  await Promise.all(Array.from({ length: invited.workers }, () => new Promise((resolve, reject) => {
    const stack = exports.room(STACK, 16);
    const storage = exports.room(Math.max(exports.__tls_size.value, 1), Math.max(exports.__tls_align.value, 1));
    const started = new Worker(invited.script);
    started.onmessage = resolve;
    started.onerror = (event) => reject(new Error(event.message));
    started.postMessage({ module, memory, stack, storage });
  })));
  exports.main(0, 0);
  postMessage(lines);
}
