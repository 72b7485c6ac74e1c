// One repetition: an engine in a fresh browser profile. Loads the model (cold), decodes, reads the
// long prompt, then loads again in a second page (warm).
import { openPage, versionOf, withBrowser } from './browser.mjs';
import { browserMemory } from './memory.mjs';

const MEMORY_SAMPLE_MS = 500;
const BETWEEN_PAGES_MS = 500;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * @param {{name: string, url: string, options: object}} engine  the adapter's address and options
 * @param {{modelUrl: string, threads: number, contextLength: number, origin: string}} setting
 * @param {{pp: object, tg: object}} workload  the long prompt and the short one
 * @param {{newAfterPrompt: number, newTokens: number, verbose: boolean}} options
 */
export async function runSession(engine, setting, workload, options) {
  const peak = { rss: 0, pss: 0, renderer_peak: 0 };
  const sample = (full) => {
    const now = browserMemory(full);
    for (const key of Object.keys(peak)) peak[key] = Math.max(peak[key], now[key]);
  };
  const timer = setInterval(() => sample(false), MEMORY_SAMPLE_MS);
  try {
    return await withBrowser(async (context) => {
      const call = (page, name, ...values) =>
        page.evaluate(([method, list]) => window.bench[method](...list), [name, values]);
      const load = async (page) => {
        const init = await call(page, 'init', engine.url, engine.options);
        const loaded = await call(page, 'load', setting.modelUrl, { threads: setting.threads, nCtx: setting.contextLength });
        return { ms: init.init_ms + loaded.load_ms, info: loaded.info, isolated: init.isolated };
      };

      const result = {};
      let page = await openPage(context, setting.origin, options.verbose);
      result.cold = await load(page);
      sample(true);
      result.decode = await call(page, 'measure', { ...workload.tg, n: options.newTokens });
      result.prompt = await call(page, 'measure', { ...workload.pp, n: options.newAfterPrompt });
      sample(true);
      result.wasm_bytes = (await call(page, 'memory', 0)).wasm_bytes;
      await call(page, 'dispose');
      await page.close();
      await sleep(BETWEEN_PAGES_MS);

      page = await openPage(context, setting.origin, options.verbose);
      result.warm = await load(page);
      await call(page, 'dispose');
      result.chromium = await versionOf(page);
      return { ...result, memory: peak };
    });
  } finally {
    clearInterval(timer);
  }
}
