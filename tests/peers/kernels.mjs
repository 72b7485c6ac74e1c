#!/usr/bin/env node
// The kernels alone, in a worker of a headless browser: crates/kernels/examples/bench, once for each build.
//
//   node kernels.mjs --builds simd=bench.wasm,relaxed=bench.wasm [--out results]
//
// Prints a table and writes kernels.json. `cargo xtask bench --only kernels` compiles the modules and calls this.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { inWorker, openPage, versionOf, withBrowser } from './browser.mjs';
import { startServer } from './server.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: { builds: { type: 'string' }, out: { type: 'string', default: path.join(here, 'results') } },
});
if (!options.builds) throw new Error('--builds is needed');
const builds = Object.fromEntries(options.builds.split(',').map((pair) => pair.split('=')));

const roots = { '/bench/': here };
for (const [name, file] of Object.entries(builds)) roots[`/${name}/`] = path.dirname(path.resolve(file));
const server = await startServer(roots);
const result = { builds: {} };
await withBrowser(async (context) => {
  const page = await openPage(context, server.origin);
  result.chromium = await versionOf(page);
  for (const [name, file] of Object.entries(builds)) {
    console.error(`kernels of the ${name} build`);
    const lines = await inWorker(page, runModule, { url: `${server.origin}/${name}/${path.basename(file)}` });
    const records = lines.map((line) => JSON.parse(line));
    result.builds[name] = {
      peaks: Object.assign({}, ...records.filter((record) => !record.format && !record.attention)),
      attention: records.filter((record) => record.attention),
      formats: Object.fromEntries(records.filter((record) => record.format).map((record) => [record.format, record])),
    };
  }
});
server.close();
fs.mkdirSync(options.out, { recursive: true });
fs.writeFileSync(path.join(options.out, 'kernels.json'), `${JSON.stringify(result, null, 1)}\n`);
console.log(table(result.builds));

/** In a worker: runs the module and posts what it printed. */
async function runModule() {
  const { url } = await new Promise((resolve) => { onmessage = (event) => resolve(event.data); });
  const lines = [];
  let memory;
  const host = {
    now_ms: () => performance.now(),
    print: (at, length) => lines.push(new TextDecoder().decode(new Uint8Array(memory.buffer, at, length))),
  };
  const { instance } = await WebAssembly.instantiate(await (await fetch(url)).arrayBuffer(), { host });
  ({ memory } = instance.exports);
  instance.exports.main(0, 0);
  postMessage(lines);
}

/** A Markdown table: a row for each format, the builds side by side. */
function table(byBuild) {
  const names = Object.keys(byBuild);
  const peaks = names.map((name) => {
    const { read_memory: memory, read_cache: cache, multiply } = byBuild[name].peaks;
    return `${name}: reading ${memory.toFixed(1)} GB/s from memory, ${cache.toFixed(1)} GB/s from the cache; ${multiply.toFixed(1)} GMAC/s`;
  });
  const head = ['packing GB/s', ...['memory GB/s', 'of peak', 'cache GB/s', 'prefill GMAC/s', 'of peak'].flatMap((title) => names.map((name) => `${title}, ${name}`))];
  const percent = (part) => `${Math.round(100 * part)} %`;
  const rows = Object.keys(byBuild[names[0]].formats).map((format) => {
    const each = (get) => names.map((name) => get(byBuild[name].formats[format], byBuild[name].peaks));
    return [
      format, byBuild[names.at(-1)].formats[format].pack.toFixed(1),
      ...each((row) => row.memory.toFixed(1)), ...each((row, peak) => percent(row.memory / peak.read_memory)),
      ...each((row) => row.cache.toFixed(1)),
      ...each((row) => row.prefill.toFixed(1)), ...each((row, peak) => percent(row.prefill / peak.multiply)),
    ];
  });
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [...peaks, '', line(['', ...head]), line(['', ...head].map(() => '---')), ...rows.map(line)].join('\n');
}
