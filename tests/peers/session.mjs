// One repetition: an engine in a fresh browser profile. Loads the model (cold), decodes, reads the
// long prompt, then loads again in a second page (warm).
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { browserMemory } from './memory.mjs';

const ARGUMENTS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
const MEMORY_SAMPLE_MS = 500;
const BETWEEN_PAGES_MS = 500;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * @param {{name: string, url: string, options: object}} engine  the adapter's address and options
 * @param {{modelUrl: string, threads: number, contextLength: number, origin: string}} setting
 * @param {{pp: object, tg: object}} workload  the long prompt and the short one
 * @param {{newAfterPrompt: number, newTokens: number, executablePath: string, verbose: boolean}} options
 */
export async function runSession(engine, setting, workload, options) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'peers-'));
  const peak = { rss: 0, pss: 0, renderer_peak: 0 };
  const sample = (full) => {
    const now = browserMemory(full);
    for (const key of Object.keys(peak)) peak[key] = Math.max(peak[key], now[key]);
    return now;
  };
  const timer = setInterval(() => sample(false), MEMORY_SAMPLE_MS);
  let context;
  try {
    context = await chromium.launchPersistentContext(profile, {
      executablePath: options.executablePath, headless: true, args: ARGUMENTS, chromiumSandbox: false,
    });
    const open = async () => {
      const page = await context.newPage();
      page.on('pageerror', (error) => console.error('  page error:', error.message));
      if (options.verbose) page.on('console', (message) => console.error('  page:', message.text()));
      await page.goto(`${setting.origin}/bench/bench.html`);
      await page.waitForFunction('window.benchReady');
      return page;
    };
    const call = (page, name, ...values) =>
      page.evaluate(([method, list]) => window.bench[method](...list), [name, values]);
    const load = async (page) => {
      const init = await call(page, 'init', engine.url, engine.options);
      const loaded = await call(page, 'load', setting.modelUrl, { threads: setting.threads, nCtx: setting.contextLength });
      return { ms: init.init_ms + loaded.load_ms, info: loaded.info, isolated: init.isolated };
    };

    const result = {};
    let page = await open();
    result.cold = await load(page);
    sample(true);
    result.decode = await call(page, 'measure', { ...workload.tg, n: options.newTokens });
    result.prompt = await call(page, 'measure', { ...workload.pp, n: options.newAfterPrompt });
    sample(true);
    result.wasm_bytes = (await call(page, 'memory', 0)).wasm_bytes;
    await call(page, 'dispose');
    await page.close();
    await sleep(BETWEEN_PAGES_MS);

    page = await open();
    result.warm = await load(page);
    await call(page, 'dispose');
    result.chromium = await page.evaluate('navigator.userAgent.match(/Chrome\\/(\\S+)/)[1]');
    return { ...result, memory: peak };
  } finally {
    clearInterval(timer);
    await context?.close().catch(() => {});
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
