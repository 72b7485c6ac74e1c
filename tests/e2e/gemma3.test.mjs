// Gemma 3 270M says in the browser what it says in llama.cpp: windows, soft norms and a large vocabulary, in both
// instruction sets.
import { basename } from "node:path";
import { after, before } from "node:test";
import { launch } from "./browser.mjs";
import { openDemo, serveDemo } from "./demo.mjs";
import { LOGIT_TOLERANCE, checkAnswers, checkLogits, checkSameAnswers, goldenAnswers } from "./golden.mjs";
import { test } from "./limits.mjs";

/** Builds by name; what they do with other numbers of threads is tested with a smaller model. */
const RUNS = {
  simd: { variant: "simd-threads", threads: 2 },
  relaxed: { variant: "relaxed-threads", threads: 2 },
};
const CONTEXT = 1024;

const file = process.env.MINNOW_MODEL_GEMMA3;
if (!file) throw new Error("set MINNOW_MODEL_GEMMA3 to the path of gemma-3-270m-q4_k_m.gguf, or run `cargo xtask test`");
const source = `models/${basename(file)}`;
const { prompts, logits } = await goldenAnswers("gemma3");

let browser;
let site;
let demo;
/** What each run answered, by its name. */
const answers = {};

before(async () => {
  browser = await launch();
  site = await serveDemo({ [`/${source}`]: { file } });
  demo = await openDemo(browser, site.url);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

for (const [name, { variant, threads }] of Object.entries(RUNS)) {
  test(`${name}: ${prompts.length} answers are llama.cpp's`, { timeout: 600_000 }, async () => {
    answers[name] = await checkAnswers(demo.page, name, { source, variant, threads, contextLength: CONTEXT, prompts });
  });

  test(`${name}: the first logits are within ${LOGIT_TOLERANCE} of their range of llama.cpp's`, async () => {
    await checkLogits(demo.page, name, answers[name], logits);
  });
}

test("both instruction sets give the same tokens, with the same probabilities", () => {
  checkSameAnswers("relaxed", [answers.simd, answers.relaxed], prompts);
});
