// The empty page that tests load models in, and what they do in it.
import { fileURLToPath } from "node:url";

/** The built package; `cargo xtask pkg` builds it. */
export const PACKAGE = process.env.MINNOW_PACKAGE ?? fileURLToPath(new URL("../../dist/minnow-llm/", import.meta.url));
export const PAGE = Buffer.from('<!doctype html><link rel="icon" href="data:,"><title>Loader tests</title>');

/**
 * Loads a model in a page and answers a short prompt with it.
 * @returns {Promise<{ loaded, times, wasm, text, progress } | { error: { name, code, message } }>}
 */
export function loadIn(page, source, options = {}) {
  return page.evaluate(
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

/** What the store says it has. */
export const modelsIn = (page) => page.evaluate(async () => (await import("/pkg/index.js")).Minnow.models.list());
