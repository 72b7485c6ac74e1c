// Runs examples/bench.rs as wasm, in Node or in headless Chromium:
//
//   RUSTFLAGS="-C target-feature=+simd128,+relaxed-simd" \
//     cargo build --release -p kernels --example bench --target wasm32-unknown-unknown
//   node crates/kernels/examples/bench.mjs target/wasm32-unknown-unknown/release/examples/bench.wasm [chromium]
//
// Node needs --experimental-wasm-relaxed-simd before version 22 for relaxed-simd. The second argument is the
// browser's executable, if it is to run there.

import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs the module; the same text runs in the page's worker. */
async function run(bytes, print) {
  let memory;
  const host = {
    now_ms: () => performance.now(),
    print: (at, length) => print(new TextDecoder().decode(new Uint8Array(memory.buffer, at, length))),
  };
  const { instance } = await WebAssembly.instantiate(bytes, { host });
  ({ memory } = instance.exports);
  instance.exports.main(0, 0);
}

const WORKER = `
${run}
const post = (path, body) => fetch(path, { method: 'POST', body });
let lines = Promise.resolve();
const print = (line) => { lines = lines.then(() => post('/print', line)); };
const bytes = await (await fetch('/bench.wasm')).arrayBuffer();
await run(bytes, print).catch((error) => print(String(error)));
await lines;
await post('/done', '');
`;

const PAGE = `<!doctype html><title>bench</title><script type="module">
new Worker('/worker.js', { type: 'module' });
</script>`;

async function runInBrowser(executable, bytes) {
  const profile = await mkdtemp(join(tmpdir(), 'bench-'));
  let finish;
  const done = new Promise((resolve) => { finish = resolve; });
  const server = createServer(async (request, response) => {
    // Isolated pages get a finer clock.
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    const files = {
      '/': ['text/html', PAGE],
      '/worker.js': ['text/javascript', WORKER],
      '/bench.wasm': ['application/wasm', bytes],
    };
    const file = files[request.url];
    if (file) {
      response.setHeader('Content-Type', file[0]);
      response.end(file[1]);
      return;
    }
    let body = '';
    for await (const chunk of request) body += chunk;
    if (request.url === '/print') console.log(body);
    response.end();
    if (request.url === '/done') finish();
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const browser = spawn(executable, [
    '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    `--user-data-dir=${profile}`, `http://127.0.0.1:${server.address().port}/`,
  ], { stdio: 'ignore' });
  browser.on('exit', finish);
  await done;
  browser.off('exit', finish);
  const exited = new Promise((resolve) => { browser.on('exit', resolve); });
  if (browser.exitCode === null && browser.kill()) await exited;
  server.closeAllConnections();
  server.close();
  await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

const [path, executable] = process.argv.slice(2);
const bytes = await readFile(path);
await (executable ? runInBrowser(executable, bytes) : run(bytes, console.log));
