// Runs inside the page that loads.mjs shows: a load, or an answer, as the address says. What comes of it goes to the server,
// which says whether the same is to be done again, in a page that has been loaded anew.
const task = JSON.parse(decodeURIComponent(location.hash.slice(1)));
/** A browser that has just started is busy with that. */
const SETTLE_MS = 1000;
const url = new URL(task.url, location.href).href;
let engine;

/** An engine, from nothing to ready. */
async function load() {
  const began = performance.now();
  const { default: Engine } = await import(task.adapter);
  engine = new Engine({});
  await engine.init?.();
  const info = await engine.load(url, { threads: task.threads, nCtx: task.context });
  return { ms: performance.now() - began, stages: info.load };
}

/** When the first token came. The server's clock is the same: it runs on this machine. */
async function answer() {
  const { Minnow } = await import('/minnow/index.js');
  const { threads, context, prompt, known } = task;
  const minnow = await Minnow.load(url, { threads, contextLength: context, ...(known && { prefill: prompt }) });
  const stream = await minnow.completions.create({ prompt, max_tokens: 2, temperature: 0, ignore_eos: true, stream: true, stream_options: { include_usage: true } });
  let at;
  let tokens;
  for await (const { usage } of stream) {
    at ??= Date.now();
    tokens = usage?.prompt_tokens ?? tokens;
  }
  return { at, tokens };
}

await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
let report;
try {
  report = await (task.prompt ? answer() : load());
} catch (error) {
  report = { error: String(error?.message ?? error) };
}
const reply = await fetch('/report', { method: 'POST', body: JSON.stringify(report) });
const { again } = await reply.json();
if (again) {
  await engine?.dispose();
  location.reload();
}
