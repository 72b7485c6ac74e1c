// Headless Chromium with a profile of its own, which goes with it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

const ARGUMENTS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

/** $CHROMIUM, or where Debian puts it. */
export const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Calls `use` with a browser context whose profile is empty, and ends it whatever happens. */
export async function withBrowser(use) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'peers-'));
  let context;
  try {
    context = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args: ARGUMENTS, chromiumSandbox: false });
    return await use(context);
  } finally {
    await context?.close().catch(() => {});
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** A new page of the bench: its errors are printed, and with `verbose` what it logs. */
export async function openPage(context, origin, verbose = false) {
  const page = await context.newPage();
  page.on('pageerror', (error) => console.error('  page error:', error.message));
  if (verbose) page.on('console', (message) => console.error('  page:', message.text()));
  await page.goto(`${origin}/bench/bench.html`);
  await page.waitForFunction('window.benchReady');
  return page;
}

/**
 * Runs `work`, a function without arguments, in a worker of `page`. It is sent `task` with the worker's own address as `script`,
 * for more workers of the kind. @returns what it posts first
 */
export function inWorker(page, work, task) {
  return page.evaluate(({ source, task }) => {
    const script = URL.createObjectURL(new Blob([`(${source})()`], { type: 'text/javascript' }));
    return new Promise((resolve, reject) => {
      const started = new Worker(script);
      started.onmessage = (event) => resolve(event.data);
      started.onerror = (event) => reject(new Error(event.message));
      started.postMessage({ ...task, script });
    });
  }, { source: String(work), task });
}

/** The version of the browser that shows `page`. */
export const versionOf = (page) => page.evaluate('navigator.userAgent.match(/Chrome\\/(\\S+)/)[1]');

/**
 * Shows `url` in a browser of its own until `done` settles. No debugger looks on: one that does keeps a copy of every answer
 * of less than 10 MB, which takes memory and time that users do not lose.
 */
export async function show(url, done) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'peers-'));
  // Without the port nothing keeps a headless browser open.
  const child = spawn(executablePath, [...ARGUMENTS, '--remote-debugging-port=0', `--user-data-dir=${profile}`, url], { stdio: 'ignore' });
  const ended = once(child, 'exit').then(() => { throw new Error('the browser has ended'); });
  try {
    return await Promise.race([done, ended]);
  } finally {
    ended.catch(() => {});
    child.kill();
    if (child.exitCode === null) await once(child, 'exit');
    // Its other processes may write a little longer.
    await fs.promises.rm(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
  }
}
