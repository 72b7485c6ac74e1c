// The empty page that tests load models in, and what they do in it.
import { fileURLToPath } from "node:url";
import { Hung } from "./limits.mjs";

/** The built package; `cargo xtask pkg` builds it. */
export const PACKAGE = process.env.MINNOW_PACKAGE ?? fileURLToPath(new URL("../../dist/minnow-llm/", import.meta.url));
export const PAGE = Buffer.from('<!doctype html><link rel="icon" href="data:,"><title>Loader tests</title>');

/**
 * Loads a model in a page and answers a short prompt with it.
 * @returns {Promise<{ loaded, load, wasm, text, progress } | { error: { name, code, message } }>}
 */
export async function loadIn(page, source, options = {}) {
  try {
    return await page.evaluate(loadHere, { source, options });
  } catch (error) {
    if (!(error instanceof Hung)) throw error;
    const reached = await page.evaluate(() => globalThis.reached).catch(({ message }) => message);
    throw new Error(`${error.message}; it had reached ${JSON.stringify(reached)}`);
  }
}

/** Runs in the page, where `reached` says how far it is to whoever looks from outside. */
async function loadHere({ source, options }) {
  const { Minnow } = await import("/pkg/index.js");
  const progress = [];
  const onProgress = (at) => {
    progress.push(at);
    globalThis.reached = at;
  };
  try {
    globalThis.reached = "the start of the worker";
    const minnow = await Minnow.load(source, { contextLength: 256, ...options, onProgress });
    const { loaded, load, memory } = minnow.info;
    globalThis.reached = "the prompt";
    const { choices } = await minnow.completions.create({ prompt: "abc", max_tokens: 4, temperature: 0 });
    globalThis.reached = "the end";
    await minnow.unload();
    return { loaded, load, wasm: memory.wasm, text: choices[0].text, progress };
  } catch ({ name, code, message }) {
    return { error: { name, code, message } };
  }
}

/** What the store says it has. */
export const modelsIn = (page) => page.evaluate(async () => (await import("/pkg/index.js")).Minnow.models.list());
