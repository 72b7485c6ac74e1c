// SmolLM2-135M-Instruct says in the browser what it says in llama.cpp: the golden answers of tests/fixtures/models, with
// every build, and with the command-line program. All of ours must agree to the token, however many threads they have;
// llama.cpp rounds in its own way, so that a step at which its best token leads by little may go either way.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { launch } from "./browser.mjs";
import { modelPath, openDemo, serveDemo } from "./demo.mjs";

/** Each build, the threaded ones on one thread and on two, by a name for it. */
const RUNS = {
  simd: { variant: "simd", threads: 1 },
  relaxed: { variant: "relaxed", threads: 1 },
  "simd-threads on 1": { variant: "simd-threads", threads: 1 },
  "simd-threads on 2": { variant: "simd-threads", threads: 2 },
  "relaxed-threads on 1": { variant: "relaxed-threads", threads: 1 },
  "relaxed-threads on 2": { variant: "relaxed-threads", threads: 2 },
};
const GENERATED = 48;
/** A step whose best logit leads by less than this may go either way. */
const NEAR_TIE = 0.5;
/** Part of all steps that must have been compared before near ties ended comparisons. */
const COMPARED = 0.5;
/** How far the first logits may be from llama.cpp's, as part of the range from the smallest to the largest. */
const LOGIT_TOLERANCE = 1e-2;
/** Most alternatives that the API reports. */
const ALTERNATIVES = 20;
/** Fewest of them whose names tell which tokens they are: parts of characters are all called "\uFFFD". */
const NAMED = 6;
/** Prompts that the command-line program answers too. */
const AT_THE_TERMINAL = 8;
const CONTEXT = 2048;
/** Peak memory, as a multiple of the file and the key-value cache. */
const MEMORY_FACTOR = 1.3;

const golden = async (name) => JSON.parse(await readFile(new URL(`../fixtures/models/${name}`, import.meta.url), "utf8"));
const { prompts } = await golden("smollm2.json");
const { prompts: logits } = await golden("smollm2-logits.json");
const source = `models/${basename(modelPath())}`;

let browser;
let site;
let demo;
/** What each run answered, by its name. */
const answers = {};

before(async () => {
  browser = await launch();
  site = await serveDemo();
  demo = await openDemo(browser, site.url);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

for (const [name, { variant, threads }] of Object.entries(RUNS)) {
  test(`${name}: ${prompts.length} answers are llama.cpp's`, { timeout: 600_000 }, async () => {
    const run = await demo.page.evaluate(answerAll, { variant, threads, prompts, source, GENERATED, ALTERNATIVES, CONTEXT });
    answers[name] = run.answers;
    assert.equal(run.variant, variant);
    assert.equal(run.threads, threads);
    let compared = 0;
    for (const [index, prompt] of prompts.entries()) compared += stepsCompared(run.answers[index], await texts(prompt.generated), prompt);
    const all = prompts.reduce((sum, { generated }) => sum + generated.length, 0);
    console.log(`${name}: ${compared} of ${all} steps compared, ${run.tokensPerSecond.toFixed(1)} tokens/s`);
    assert.ok(compared >= COMPARED * all);
  });

  test(`${name}: the first logits are within ${LOGIT_TOLERANCE} of their range of llama.cpp's`, async () => {
    const differences = [];
    for (const [index, golden] of logits.entries()) {
      differences.push(logitDifference(answers[name][index], await texts(golden.largest.ids), golden));
    }
    console.log(`${name}: root-mean-square differences up to ${Math.max(...differences).toExponential(1)} of the range`);
    for (const [index, difference] of differences.entries()) assert.ok(difference <= LOGIT_TOLERANCE, `${prompts[index].name}: ${difference}`);
  });
}

test("the builds give the same tokens, with the same probabilities", () => {
  for (const [index, { name }] of prompts.entries()) {
    for (const run of Object.keys(RUNS)) {
      const [simd, other] = [answers.simd[index], answers[run][index]];
      assert.deepEqual(other.tokens, simd.tokens, `${name}, ${run}`);
      assert.deepEqual(other.logprobs, simd.logprobs, `${name}, ${run}`);
    }
  }
});

test("the command-line program gives the same tokens", { timeout: 600_000 }, async () => {
  for (const [index, { name, text }] of prompts.slice(0, AT_THE_TERMINAL).entries()) {
    const answer = await minnow("run", modelPath(), text, "--raw", "--greedy", "-n", GENERATED, "--json");
    assert.deepEqual(await texts(answer.ids), answers.simd[index].tokens, name);
    assert.equal(answer.text, answers.simd[index].text, name);
  }
});

test("peak memory at a full context is that of the weights and the cache, and little more", { timeout: 600_000 }, async () => {
  const { wasm, kv } = await demo.page.evaluate(fillContext, { source, CONTEXT });
  const { size } = await stat(modelPath());
  const megabytes = (count) => (count / 1e6).toFixed(1);
  console.log(`wasm memory ${megabytes(wasm)} MB = ${(wasm / (size + kv)).toFixed(2)} × (file ${megabytes(size)} MB + cache ${megabytes(kv)} MB at ${CONTEXT} tokens)`);
  assert.ok(wasm <= MEMORY_FACTOR * (size + kv));
});

/** The text of each id, by the model that the page has loaded. */
const texts = (ids) => demo.page.evaluate((ids) => Promise.all(ids.map((id) => window.minnow.detokenize([id], { special: true }))), ids);

/** Runs in the page: loads the model and gives every prompt's greedy answer. */
async function answerAll({ variant, threads, prompts, source, GENERATED, ALTERNATIVES, CONTEXT }) {
  const { Minnow } = await import("minnow-llm");
  await window.minnow?.unload();
  window.minnow = await Minnow.load(source, { variant, threads, contextLength: CONTEXT });
  const answers = [];
  const spent = { tokens: 0, seconds: 0 };
  for (const { ids } of prompts) {
    const { choices, timings } = await window.minnow.completions.create({ prompt: ids, max_tokens: GENERATED, temperature: 0, logprobs: ALTERNATIVES });
    const [{ text, logprobs, finish_reason: reason }] = choices;
    answers.push({ text, reason, tokens: logprobs.tokens, logprobs: logprobs.token_logprobs, first: logprobs.top_logprobs[0] });
    spent.tokens += timings.predicted_n;
    spent.seconds += timings.predicted_ms / 1000;
  }
  const { info } = window.minnow;
  return { variant: info.variant, threads: info.threads, answers, tokensPerSecond: spent.tokens / spent.seconds };
}

/** Runs in the page: the memory of a model just loaded, after a prompt that fills the context. */
async function fillContext({ source, CONTEXT }) {
  const { Minnow } = await import("minnow-llm");
  await window.minnow?.unload();
  window.minnow = await Minnow.load(source, { contextLength: CONTEXT });
  const words = await window.minnow.tokenize("The minnow swims on. ".repeat(CONTEXT / 4), { bos: false });
  await window.minnow.completions.create({ prompt: words.slice(0, CONTEXT - 1), max_tokens: 1, temperature: 0 });
  return (await window.minnow.metrics()).memory;
}

/** Steps at which an answer was llama.cpp's, up to the first near tie that went the other way. */
function stepsCompared({ tokens, reason }, expected, { name, generated, best_logit: best, second_logit: second }) {
  // The token that ends a generation is in llama.cpp's list, but not in the answer.
  const ended = generated.length < GENERATED;
  const last = generated.length - (ended ? 1 : 0);
  for (let step = 0; step < last; step += 1) {
    if (tokens[step] === expected[step]) continue;
    const lead = best[step] - second[step];
    assert.ok(lead < NEAR_TIE, `${name}, step ${step}: ${JSON.stringify(tokens[step])} instead of ${JSON.stringify(expected[step])}, which leads by ${lead}`);
    return step;
  }
  assert.equal(reason, ended ? "stop" : "length", name);
  return generated.length;
}

/**
 * The root-mean-square difference of the likeliest first tokens' logits from llama.cpp's, as part of the range from the
 * smallest logit to the largest. Log-probabilities are logits less a constant, so the mean difference is taken out.
 */
function logitDifference({ first }, names, { smallest, largest }) {
  const differences = [];
  for (const [token, logprob] of Object.entries(first)) {
    const index = names.indexOf(token);
    if (index >= 0 && index === names.lastIndexOf(token)) differences.push(logprob - largest.llama_cpp[index]);
  }
  assert.ok(differences.length >= NAMED, `only ${differences.length} of ${ALTERNATIVES} tokens can be told apart`);
  const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
  const square = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0) / differences.length;
  return Math.sqrt(square) / (largest.llama_cpp[0] - smallest);
}

/** What `minnow …` answers, of MINNOW_CLI or built from this checkout. */
async function minnow(...args) {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const [program, ...before] = process.env.MINNOW_CLI ? [process.env.MINNOW_CLI] : ["cargo", "run", "--quiet", "--package", "cli", "--"];
  const { stdout } = await promisify(execFile)(program, [...before, ...args.map(String)], { cwd: root });
  return JSON.parse(stdout);
}
