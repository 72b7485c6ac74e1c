#!/usr/bin/env node
// Minnow alone: how fast it reads a prompt and decodes as its context fills.
//
//   node contexts.mjs --models-dir DIR --models a.gguf,b.gguf [--contexts 128,512,1024,2048,4096] [--threads 1,2]
//        [--builds simd,relaxed] [--kv f16,q8_0] [--new 32] [--repetitions 3] [--out results] [--package ../../dist/minnow-llm]
//
// Builds, thread counts and types of the key-value cache take turns in every repetition; medians are printed. Each prompt begins with the one before it,
// which the engine takes from its cache: the prefill figure at 1024 is that of the tokens from 512 to 1024.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openPage, versionOf, withBrowser } from './browser.mjs';
import { lines, median } from './report.mjs';
import { startServer } from './server.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    'models-dir': { type: 'string' }, models: { type: 'string' }, contexts: { type: 'string', default: '128,512,1024,2048,4096' },
    threads: { type: 'string', default: '1,2' }, builds: { type: 'string', default: 'simd,relaxed' },
    kv: { type: 'string', default: 'f16,q8_0' }, new: { type: 'string', default: '32' }, repetitions: { type: 'string', default: '3' },
    out: { type: 'string', default: path.join(here, 'results') }, package: { type: 'string', default: path.join(here, '../../dist/minnow-llm') },
  },
});
if (!options['models-dir'] || !options.models) throw new Error('--models-dir and --models are needed');
const contexts = options.contexts.split(',').map(Number);
const newTokens = Number(options.new);

const settings = options.builds.split(',').flatMap((build) => options.threads.split(',').map(Number).flatMap((threads) => options.kv.split(',').map((kvCache) => ({
  build, threads, kvCache, variant: threads > 1 ? `${build}-threads` : build,
}))));
const server = await startServer({ '/bench/': here, '/models/': path.resolve(options['models-dir']), '/minnow/': path.resolve(options.package) });
const rows = [];
let version;
for (const model of options.models.split(',')) {
  // The model is downloaded once, into the profile that all repetitions share.
  await withBrowser(async (context) => {
    const runs = settings.map((setting) => ({ ...setting, model, repetitions: [] }));
    for (let repetition = 0; repetition < Number(options.repetitions); repetition++) {
      for (const run of repetition % 2 ? [...runs].reverse() : runs) {
        const page = await openPage(context, server.origin);
        version = await versionOf(page);
        const measured = await page.evaluate(measure, { url: `/models/${model}`, variant: run.variant, threads: run.threads, kvCache: run.kvCache, contexts, newTokens });
        await page.close();
        run.repetitions.push(measured);
        console.error(`${model}, ${run.variant}, ${run.threads}, ${run.kvCache}: decode ${measured.map((point) => point.decode.toFixed(1)).join(', ')}`);
      }
    }
    rows.push(...runs.map(({ repetitions, ...run }) => ({
      ...run,
      points: contexts.map((length, index) => ({
        context: length,
        decode: median(repetitions.map((points) => points[index].decode)),
        prefill: median(repetitions.map((points) => points[index].prefill)),
      })),
    })));
  });
}
server.close();
fs.mkdirSync(options.out, { recursive: true });
fs.writeFileSync(path.join(options.out, 'contexts.json'), `${JSON.stringify({ chromium: version, rows }, null, 1)}\n`);
for (const metric of ['decode', 'prefill']) {
  const series = rows.map((row) => ({ name: `${row.model}, ${row.variant}, ${row.threads}, ${row.kvCache}`, points: row.points.map((point) => [point.context, point[metric]]) }));
  fs.writeFileSync(path.join(options.out, `contexts-${metric}.svg`), lines(series, `${metric}, tokens/s, by tokens of context`));
}
console.log(table());

/** In the page: one load, one request for each length of context. */
async function measure({ url, variant, threads, kvCache, contexts: lengths, newTokens: count }) {
  const { Minnow } = await import('/minnow/index.js');
  const minnow = await Minnow.load(new URL(url, location.href).href, { variant, threads, kvCache, contextLength: Math.max(...lengths) + count + 1 });
  // Ids of ordinary words in every vocabulary, in an order that never repeats.
  const ids = Array.from({ length: Math.max(...lengths) }, (_, index) => 1000 + ((index * 7919) % 20_011));
  const request = (length, n) => minnow.completions.create({ prompt: ids.slice(0, length), max_tokens: n, temperature: 0, ignore_eos: true });
  await request(16, 16); // the engine's optimizing compiler has seen every kernel by then
  const points = [];
  for (const length of lengths) {
    const { timings } = await request(length, count);
    points.push({ prefill: timings.prompt_per_second, decode: timings.predicted_per_second, computed: timings.prompt_n });
  }
  await minnow.unload();
  return points;
}

function table() {
  const number = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const head = ['model', 'build', 'threads', 'cache', '', ...contexts.map(String), `${contexts.at(-1)} ÷ ${contexts[0]}`];
  const body = rows.flatMap((row) => ['decode', 'prefill'].map((metric) => line([
    row.model, row.build, row.threads, row.kvCache, metric, ...row.points.map((point) => number(point[metric])),
    (row.points.at(-1)[metric] / row.points[0][metric]).toFixed(2),
  ])));
  return [line(head), line(head.map(() => '---')), ...body].join('\n');
}
