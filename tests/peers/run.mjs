#!/usr/bin/env node
// Engines side by side in one headless browser run, taking turns; medians and ratios are printed.
//
//   node run.mjs --models-dir DIR --models a.gguf,b.gguf [--engines minnow,wllama-2.3.1,wllama] [--threads 1,2]
//        [--repetitions 3] [--prompt-new 32] [--new 128] [--context 1024] [--llama-bench PATH] [--out results]
//        [--package ../../dist/minnow-llm] [--verbose]
//
// --llama-bench: llama.cpp's native benchmark, which then takes turns with the others.
// Chromium: $CHROMIUM or /usr/bin/chromium. `cargo xtask bench --only peers` provides all of it.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runNative } from './native.mjs';
import { METRICS, NATIVE, chart, compare, summarize, table } from './report.mjs';
import { startServer } from './server.mjs';
import { runSession } from './session.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    'models-dir': { type: 'string' }, models: { type: 'string' },
    engines: { type: 'string', default: 'minnow,wllama-2.3.1,wllama' }, threads: { type: 'string', default: '1,2' },
    repetitions: { type: 'string', default: '3' }, 'prompt-new': { type: 'string', default: '32' },
    new: { type: 'string', default: '128' }, context: { type: 'string', default: '1024' },
    'llama-bench': { type: 'string' }, out: { type: 'string', default: path.join(here, 'results') },
    package: { type: 'string', default: path.join(here, '../../dist/minnow-llm') }, verbose: { type: 'boolean', default: false },
  },
});
if (!options['models-dir'] || !options.models) throw new Error('--models-dir and --models are needed');

const roots = {
  '/bench/': here, '/models/': path.resolve(options['models-dir']), '/minnow/': path.resolve(options.package),
  '/node_modules/': path.join(here, 'node_modules'),
};
const workloadOf = JSON.parse(fs.readFileSync(path.join(here, 'workloads/index.json'), 'utf8'));
const engines = options.engines.split(',').map((name) => ({
  name, url: name === 'minnow' ? '/bench/bench-adapter.js' : `/bench/adapters/${name}.js`, options: {},
}));
if (options['llama-bench']) engines.push({ name: NATIVE });
const server = await startServer(roots);
const runs = {};
for (const model of options.models.split(',')) {
  const file = workloadOf[model.replace(/\.gguf$/, '')];
  if (!file) throw new Error(`workloads/index.json names no prompt for ${model}`);
  const workload = JSON.parse(fs.readFileSync(path.join(here, 'workloads', file), 'utf8'));
  for (const threads of options.threads.split(',').map(Number)) {
    for (let repetition = 0; repetition < Number(options.repetitions); repetition++) {
      // The order turns round with every repetition, so that no engine always follows the same one.
      for (const engine of repetition % 2 ? [...engines].reverse() : engines) {
        const key = `${engine.name}|${model}|${threads}`;
        runs[key] ??= { engine: engine.name, model, threads, repetitions: [] };
        const setting = { modelUrl: `${server.origin}/models/${model}`, threads, contextLength: Number(options.context), origin: server.origin };
        try {
          const run = engine.name === NATIVE
            ? await runNative(options['llama-bench'], path.join(options['models-dir'], model), threads, { promptTokens: workload.pp.ids.length, newTokens: Number(options.new) })
            : await runSession(engine, setting, workload, { newTokens: Number(options.new), newAfterPrompt: Number(options['prompt-new']), verbose: options.verbose });
          runs[key].repetitions.push(run);
          console.error(`${key} #${repetition}: ${Object.entries(METRICS).map(([name, [get]]) => `${name} ${get(run)?.toFixed(2)}`).join(', ')}`);
        } catch (error) {
          runs[key].repetitions.push({ error: String(error.message ?? error) });
          console.error(`${key} #${repetition}: ${error.message ?? error}`);
        }
        save();
      }
    }
  }
}
server.close();
console.log(table(save()));

/** Writes what has been measured so far: a run of an hour that is interrupted leaves what it had. */
function save() {
  const rows = compare(summarize(runs));
  fs.mkdirSync(options.out, { recursive: true });
  fs.writeFileSync(path.join(options.out, 'peers.json'), `${JSON.stringify({ rows, runs }, null, 1)}\n`);
  for (const metric of ['decode', 'prefill']) fs.writeFileSync(path.join(options.out, `peers-${metric}.svg`), chart(rows, metric));
  return rows;
}
