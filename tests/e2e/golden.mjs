// Golden answers of tests/fixtures/models, and what a model in the page says to the same prompts.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before } from "node:test";
import { launch } from "./browser.mjs";
import { openDemo, serveDemo } from "./demo.mjs";
import { test } from "./limits.mjs";

/** Tokens that the golden answers have at most. */
export const GENERATED = 48;
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

/** A file of tests/fixtures/models. */
async function golden(name) {
  return JSON.parse(await readFile(new URL(`../fixtures/models/${name}`, import.meta.url), "utf8"));
}

/**
 * Declares the tests that a model's answers and first logits are llama.cpp's in each of `runs`, and the same in all.
 * @param {string} name  of its golden data
 * @param {{source: string, mounts?: object, contextLength: number, runs: {[name: string]: {variant: string, threads: number}}}} model
 * @returns what the tests have once they run: `page()`, the demo's, and `answers`, of each run by its name
 */
export async function testAnswers(name, { source, mounts, contextLength, runs }) {
  const { prompts } = await golden(`${name}.json`);
  const { prompts: logits } = await golden(`${name}-logits.json`);
  const answers = {};
  let browser;
  let site;
  let demo;
  before(async () => {
    browser = await launch();
    site = await serveDemo(mounts);
    demo = await openDemo(browser, site.url);
  });
  after(async () => {
    await browser?.close();
    await site?.close();
  });
  for (const [run, { variant, threads }] of Object.entries(runs)) {
    test(`${run}: ${prompts.length} answers are llama.cpp's`, { timeout: 600_000 }, async () => {
      answers[run] = await checkAnswers(demo.page, run, { source, variant, threads, contextLength, prompts });
    });

    test(`${run}: the first logits are within ${LOGIT_TOLERANCE} of their range of llama.cpp's`, async () => {
      await checkLogits(demo.page, run, answers[run], logits);
    });
  }
  test("all give the same tokens, with the same probabilities", () => {
    const [first, ...others] = Object.keys(runs);
    for (const other of others) checkSameAnswers(other, answers[first], answers[other], prompts);
  });
  return { prompts, answers, page: () => demo.page };
}

/**
 * Answers every prompt in the page with one build and compares the answers with llama.cpp's.
 * @param {import("playwright-core").Page} page
 * @param {{source: string, variant: string, threads: number, contextLength: number, prompts: object[]}} run
 */
async function checkAnswers(page, name, { source, variant, threads, contextLength, prompts }) {
  const run = await page.evaluate(answerAll, { source, variant, threads, contextLength, prompts, GENERATED, ALTERNATIVES });
  assert.equal(run.variant, variant);
  assert.equal(run.threads, threads);
  let compared = 0;
  for (const [index, prompt] of prompts.entries()) compared += stepsCompared(run.answers[index], await texts(page, prompt.generated), prompt);
  const all = prompts.reduce((sum, { generated }) => sum + generated.length, 0);
  console.log(`${name}: ${compared} of ${all} steps compared, ${run.tokensPerSecond.toFixed(1)} tokens/s`);
  assert.ok(compared >= COMPARED * all);
  return run.answers;
}

/** Compares the first logits of answers given in the page with llama.cpp's. */
async function checkLogits(page, name, answers, logits) {
  const differences = [];
  for (const [index, golden] of logits.entries()) {
    differences.push(logitDifference(answers[index], await texts(page, golden.largest.ids), golden));
  }
  console.log(`${name}: root-mean-square differences up to ${Math.max(...differences).toExponential(1)} of the range`);
  for (const [index, difference] of differences.entries()) assert.ok(difference <= LOGIT_TOLERANCE, `${logits[index].name}: ${difference}`);
}

/** Builds must agree to the token and to the bit of each probability. */
function checkSameAnswers(name, expected, answers, prompts) {
  for (const [index, prompt] of prompts.entries()) {
    assert.deepEqual(answers[index].tokens, expected[index].tokens, `${prompt.name}, ${name}`);
    assert.deepEqual(answers[index].logprobs, expected[index].logprobs, `${prompt.name}, ${name}`);
  }
}

/** The text of each id, by the model that the page has loaded. */
export const texts = (page, ids) => page.evaluate((ids) => Promise.all(ids.map((id) => window.minnow.detokenize([id], { special: true }))), ids);

/** Runs in the page: loads the model and gives every prompt's greedy answer. */
async function answerAll({ source, variant, threads, contextLength, prompts, GENERATED, ALTERNATIVES }) {
  const { Minnow } = await import("minnow-llm");
  await window.minnow?.unload();
  window.minnow = await Minnow.load(source, { variant, threads, contextLength });
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
