// What the tests of loading have in common: two servers that misbehave on request, and a page that loads models from them.
// Importing this file starts them before the first test and ends them after the last.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, beforeEach } from "node:test";
import { launch } from "./browser.mjs";
import { launchFirefox } from "./firefox.mjs";
import { modelPath } from "./demo.mjs";
import { startFaultServer } from "./fault-server.mjs";
import { ANSWER_MS, limited, until, within } from "./limits.mjs";
import { PACKAGE, PAGE, loadIn, modelsIn } from "./pages.mjs";

const TINY = new URL("../fixtures/models/tiny/", import.meta.url);
export const BIG = "/smollm2.gguf";
/** With MINNOW_BROWSER=firefox these tests run in stock Firefox instead of Chromium. */
export const inFirefox = process.env.MINNOW_BROWSER === "firefox";
let browser;
export let server;
/** Another origin with the same files. */
export let elsewhere;
/** A browser profile and a page in it, empty at the beginning of every test. */
export let context;
export let page;
/** Small models by name, and a real one. */
export const tiny = {};
export let big;

before(async () => {
  server = await startFaultServer({ isolated: true, mounts: { "/pkg/": PACKAGE } });
  elsewhere = await startFaultServer();
  for (const name of ["llama-q4_1", "qwen3-q4_0", "llama-f32"]) tiny[name] = await readFile(new URL(`${name}.gguf`, TINY));
  big = await readFile(modelPath());
  server.setFile("/index.html", PAGE);
  server.setFile(BIG, big);
  server.setFile("/tiny.gguf", tiny["llama-q4_1"]);
  elsewhere.setFile("/tiny.gguf", tiny["llama-q4_1"]);
});
after(async () => {
  await browser?.close();
  await server?.close();
  await elsewhere?.close();
});
beforeEach(async () => {
  for (const one of [server, elsewhere]) {
    one.clearFaults();
    one.clearLog();
  }
  browser ??= await (inFirefox ? launchFirefox() : launch());
  context = await browser.newContext();
  page = await openPage();
});
afterEach(async () => {
  try {
    await within(ANSWER_MS, "closing the test's pages", context.close());
  } catch (error) {
    // The next test gets a browser that has not hung.
    console.error(error);
    const hung = browser;
    browser = undefined;
    await hung.close();
  }
});

export async function openPage() {
  const page = await context.newPage();
  await page.goto(`${server.origin}/index.html`);
  return inFirefox ? page : limited(page);
}

/** Loads a model in a page, the test's own unless another is named, and answers a short prompt with it. */
export const load = (source, options = {}, where = page) => loadIn(where, source, options);

/** Loads a model that must load. */
export async function mustLoad(source, options, where) {
  const result = await load(source, options, where);
  assert.equal(result.error, undefined, result.error?.message);
  return result;
}

/** Loads a model that must not load. @returns the error */
export async function mustFail(source, code, options) {
  const { error } = await load(source, options);
  assert.equal(error?.code, code, error?.message ?? "it loaded");
  return error;
}

/** As `mustFail`, with an empty store, which must stay empty. */
export async function mustLeaveNothing(source, code, options) {
  const error = await mustFail(source, code, options);
  assert.deepEqual(await models(), []);
  return error;
}

/** What the store says it has. */
export const models = (where = page) => modelsIn(where);
/** The requests that a server has had for a path. */
export const requests = (path, of = server) => of.log.filter((entry) => entry.path === path);

/** Waits until the store has `bytes` of its only model. */
export const stored = (bytes) =>
  until(`${bytes} stored bytes`, async () => {
    const [model] = await models();
    return model?.stored >= bytes && model.stored;
  });
