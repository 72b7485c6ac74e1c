#!/usr/bin/env node
// Loading alone: engines side by side, cold and warm, with the stages of Minnow's loads and the browser's peak memory; then how
// long after the last byte of a download the first token comes, with a prompt that was known and with one that was not.
//
//   node loads.mjs --models-dir DIR --models a.gguf,b.gguf [--engines minnow,wllama-2.3.1] [--threads 1] [--repetitions 5]
//        [--line 25] [--words 160] [--out results] [--package ../../dist/minnow-llm]
//
// --line: of the download that a prompt is computed in, in MB a second; --words: of that prompt.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { show } from './browser.mjs';
import { browserMemory } from './memory.mjs';
import { median } from './report.mjs';
import { startServer } from './server.mjs';

const MIB = 2 ** 20;
const CONTEXT = 1024;
/** The stages of a load, then what they were spent on. */
const STAGES = ['start', 'resolve', 'download', 'read', 'prepare', 'total', 'header', 'weights', 'hash', 'store'];

const here = path.dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    'models-dir': { type: 'string' }, models: { type: 'string' }, engines: { type: 'string', default: 'minnow,wllama-2.3.1' },
    threads: { type: 'string', default: '1' }, repetitions: { type: 'string', default: '5' }, line: { type: 'string', default: '25' },
    words: { type: 'string', default: '160' }, out: { type: 'string', default: path.join(here, 'results') },
    package: { type: 'string', default: path.join(here, '../../dist/minnow-llm') },
  },
});
if (!options['models-dir'] || !options.models) throw new Error('--models-dir and --models are needed');

const roots = {
  '/bench/': here, '/models/': path.resolve(options['models-dir']), '/minnow/': path.resolve(options.package),
  '/node_modules/': path.join(here, 'node_modules'),
};
const models = options.models.split(',');
const repetitions = Array.from({ length: Number(options.repetitions) }, (_, index) => index);
const combinations = models.flatMap((model) => options.threads.split(',').map((threads) => ({ model, threads: Number(threads) })));

const loads = [];
for (const { model, threads } of combinations) {
  const runs = options.engines.split(',').map((engine) => ({ engine, model, threads, loads: [] }));
  for (const repetition of repetitions) {
    for (const run of repetition % 2 ? [...runs].reverse() : runs) run.loads.push(await coldAndWarm(run));
  }
  loads.push(...runs);
}
const prompts = [];
for (const { model, threads } of combinations) {
  const runs = [true, false].map((known) => ({ model, threads, known, results: [] }));
  for (const repetition of repetitions) {
    for (const run of repetition % 2 ? [...runs].reverse() : runs) run.results.push(await firstToken(run));
  }
  prompts.push(...runs);
}
fs.mkdirSync(options.out, { recursive: true });
fs.writeFileSync(path.join(options.out, 'loads.json'), `${JSON.stringify({ loads, prompts }, null, 1)}\n`);
console.log([comparison(), stages(), lastByte()].join('\n\n'));

/** A download into an empty profile, then the same page loaded anew. */
async function coldAndWarm({ engine, model, threads }) {
  const adapter = engine === 'minnow' ? '/bench/bench-adapter.js' : `/bench/adapters/${engine}.js`;
  const [cold, warm] = await inPage({ adapter, url: `/models/${model}`, threads, context: CONTEXT }, 2, {});
  console.error(`${engine}, ${model}, ${threads}: cold ${cold.ms.toFixed(0)} ms, warm ${warm.ms.toFixed(0)} ms`);
  return { cold, warm };
}

/** A download over a slow line, and the first token of an answer to a prompt that was known before it or after. */
async function firstToken({ model, threads, known }) {
  const task = { url: `/models/${model}`, threads, context: CONTEXT, prompt: prompt(model), known };
  const [{ at, lastByte, tokens }] = await inPage(task, 1, { bytesPerSecond: Number(options.line) * 1e6 });
  const ms = at - lastByte;
  console.error(`${model}, ${threads}, ${known ? 'known' : 'not known'}: ${ms.toFixed(0)} ms after the last byte`);
  return { ms, tokens };
}

/** What a page reports that does the task so many times, with the renderer's peak of memory since it began. */
async function inPage(task, times, line) {
  const reports = [];
  let server;
  let finish;
  const done = new Promise((resolve, reject) => {
    finish = (report) => {
      reports.push({ ...report, peak: browserMemory(false).renderer_peak, lastByte: server.lastByte.get(task.url) });
      if (report.error) reject(new Error(report.error));
      if (reports.length === times) resolve(reports);
      return { again: reports.length < times };
    };
  });
  server = await startServer(roots, { ...line, report: (report) => finish(report) });
  try {
    return await show(`${server.origin}/bench/load.html#${encodeURIComponent(JSON.stringify(task))}`, done);
  } finally {
    server.close();
  }
}

function prompt(model) {
  const workloads = JSON.parse(fs.readFileSync(path.join(here, 'workloads/index.json'), 'utf8'));
  const { pp } = JSON.parse(fs.readFileSync(path.join(here, 'workloads', workloads[model.replace(/\.gguf$/, '')]), 'utf8'));
  return pp.text.split(' ').slice(0, Number(options.words)).join(' ');
}

function markdown(head, body) {
  return [head, head.map(() => '---'), ...body].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function comparison() {
  const of = (run, get) => median(run.loads.map(get));
  return markdown(
    ['model', 'threads', 'engine', 'cold, s', 'warm, s', 'renderer peak, MiB'],
    loads.map((run) => [
      run.model, run.threads, run.engine, (of(run, ({ cold }) => cold.ms) / 1e3).toFixed(2), (of(run, ({ warm }) => warm.ms) / 1e3).toFixed(2),
      (of(run, ({ warm }) => warm.peak) / MIB).toFixed(0),
    ]),
  );
}

function stages() {
  const rows = loads.filter((run) => run.loads.every(({ cold }) => cold.stages));
  const times = (run, which) => STAGES.map((stage) => median(run.loads.map((load) => load[which].stages[stage])).toFixed(0));
  return markdown(
    ['model', 'threads', 'Minnow, ms', ...STAGES],
    rows.flatMap((run) => ['cold', 'warm'].map((which) => [run.model, run.threads, which, ...times(run, which)])),
  );
}

function lastByte() {
  return markdown(
    ['model', 'threads', `prompt, at ${options.line} MB/s`, 'tokens', 'last byte to first token, ms'],
    prompts.map((run) => [
      run.model, run.threads, run.known ? 'known before the download' : 'asked after the load', run.results[0].tokens, median(run.results.map(({ ms }) => ms)).toFixed(0),
    ]),
  );
}
