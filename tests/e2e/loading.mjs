// What the tests of loading have in common: two servers that misbehave on request, and a page that loads models from them.
// Importing this file starts them before the first test and ends them after the last.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, beforeEach } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { launch } from "./browser.mjs";
import { modelPath } from "./demo.mjs";
import { startFaultServer } from "./fault-server.mjs";

/** The built package; `cargo xtask pkg` builds it. */
const PACKAGE = process.env.MINNOW_PACKAGE ?? fileURLToPath(new URL("../../dist/minnow-llm/", import.meta.url));
const TINY = new URL("../fixtures/models/tiny/", import.meta.url);
/** Bytes of a stored chunk, as `loader::record::CHUNK_SIZE` has it. */
export const CHUNK = 2 << 20;
export const BIG = "/smollm2.gguf";
const PAGE = Buffer.from('<!doctype html><link rel="icon" href="data:,"><title>Loader tests</title>');
export const TIMEOUT = { timeout: 120_000 };
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
  browser = await launch();
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
  context = await browser.newContext();
  page = await openPage();
});
afterEach(() => context.close());

export async function openPage() {
  const page = await context.newPage();
  await page.goto(`${server.origin}/index.html`);
  return page;
}

/**
 * Loads a model in a page and answers a short prompt with it.
 * @returns {Promise<{ loaded, times, wasm, text, progress } | { error: { name, code, message } }>}
 */
export function load(source, options = {}, where = page) {
  return where.evaluate(
    async ({ source, options }) => {
      const { Minnow } = await import("/pkg/index.js");
      const progress = [];
      try {
        const minnow = await Minnow.load(source, { contextLength: 256, ...options, onProgress: (at) => progress.push(at) });
        const { loaded, times, memory } = minnow.info;
        const { choices } = await minnow.completions.create({ prompt: "abc", max_tokens: 4, temperature: 0 });
        await minnow.unload();
        return { loaded, times, wasm: memory.wasm, text: choices[0].text, progress };
      } catch ({ name, code, message }) {
        return { error: { name, code, message } };
      }
    },
    { source, options },
  );
}

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
export const models = (where = page) => where.evaluate(async () => (await import("/pkg/index.js")).Minnow.models.list());
/** The requests that a server has had for a path. */
export const requests = (path, of = server) => of.log.filter((entry) => entry.path === path);

/** Waits until the store has `bytes` of its only model. */
export async function stored(bytes) {
  for (;;) {
    const [model] = await models();
    if (model?.stored >= bytes) return model.stored;
    await sleep(50);
  }
}

/** Changes the store behind Minnow's back; `change` runs in the page with the database. */
export function tamper(change, ...args) {
  return page.evaluate(
    async ({ change, args }) => {
      const request = indexedDB.open("minnow");
      await new Promise((resolve, reject) => Object.assign(request, { onsuccess: resolve, onerror: reject }));
      const database = request.result;
      const table = (name) => database.transaction(name, "readwrite").objectStore(name);
      const done = (request) =>
        new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: reject }));
      await new Function(`return (${change})`)()({ table, done }, ...args);
      database.close();
    },
    { change: String(change), args },
  );
}
