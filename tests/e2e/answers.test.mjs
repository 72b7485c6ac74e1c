// SmolLM2-135M-Instruct says in the browser what it says in llama.cpp: the golden answers of tests/fixtures/models, with
// every build, and with the command-line program. All of ours must agree to the token, however many threads they have;
// llama.cpp rounds in its own way, so that a step at which its best token leads by little may go either way.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { modelPath } from "./demo.mjs";
import { GENERATED, testAnswers, texts } from "./golden.mjs";
import { test } from "./limits.mjs";

/** Each build, the threaded ones on one thread and on two, by a name for it. */
const RUNS = {
  simd: { variant: "simd", threads: 1 },
  relaxed: { variant: "relaxed", threads: 1 },
  "simd-threads on 1": { variant: "simd-threads", threads: 1 },
  "simd-threads on 2": { variant: "simd-threads", threads: 2 },
  "relaxed-threads on 1": { variant: "relaxed-threads", threads: 1 },
  "relaxed-threads on 2": { variant: "relaxed-threads", threads: 2 },
};
/** Prompts that the command-line program answers too. */
const AT_THE_TERMINAL = 8;
const CONTEXT = 2048;
/** Peak memory, as a multiple of the file and the key-value cache. */
const MEMORY_FACTOR = 1.3;

const source = `models/${basename(modelPath())}`;
const { prompts, answers, page } = await testAnswers("smollm2", { source, contextLength: CONTEXT, runs: RUNS });

test("the command-line program gives the same tokens", { timeout: 600_000 }, async () => {
  for (const [index, { name, text }] of prompts.slice(0, AT_THE_TERMINAL).entries()) {
    const answer = await minnow("run", modelPath(), text, "--raw", "--greedy", "-n", GENERATED, "--json");
    assert.deepEqual(await texts(page(), answer.ids), answers.simd[index].tokens, name);
    assert.equal(answer.text, answers.simd[index].text, name);
  }
});

test("peak memory at a full context is that of the weights and the cache, and little more", { timeout: 600_000 }, async () => {
  const { wasm, kv } = await page().evaluate(fillContext, { source, CONTEXT });
  const { size } = await stat(modelPath());
  const megabytes = (count) => (count / 1e6).toFixed(1);
  console.log(`wasm memory ${megabytes(wasm)} MB = ${(wasm / (size + kv)).toFixed(2)} × (file ${megabytes(size)} MB + cache ${megabytes(kv)} MB at ${CONTEXT} tokens)`);
  assert.ok(wasm <= MEMORY_FACTOR * (size + kv));
});

/** Runs in the page: the memory of a model just loaded, after a prompt that fills the context. */
async function fillContext({ source, CONTEXT }) {
  const { Minnow } = await import("minnow-llm");
  await window.minnow?.unload();
  window.minnow = await Minnow.load(source, { contextLength: CONTEXT });
  const words = await window.minnow.tokenize("The minnow swims on. ".repeat(CONTEXT / 4), { bos: false });
  await window.minnow.completions.create({ prompt: words.slice(0, CONTEXT - 1), max_tokens: 1, temperature: 0 });
  return (await window.minnow.metrics()).memory;
}

/** What `minnow …` answers, of MINNOW_CLI or built from this checkout. */
async function minnow(...args) {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const [program, ...before] = process.env.MINNOW_CLI ? [process.env.MINNOW_CLI] : ["cargo", "run", "--quiet", "--package", "cli", "--"];
  const { stdout } = await promisify(execFile)(program, [...before, ...args.map(String)], { cwd: root });
  return JSON.parse(stdout);
}
