// The demo page in a browser, as its tests see it.
import { readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "./site.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** The built page; `cargo xtask demo` and `cargo xtask test` build it. */
export const SITE = process.env.MINNOW_SITE ?? join(ROOT, "dist", "www");
/** The catalogue's first model. */
export const MODEL_NAME = "SmolLM2 135M Instruct";

/** The path of the model that the tests run on. */
export function modelPath() {
  const path = process.env.MINNOW_MODEL_SMOLLM2;
  if (!path) throw new Error("set MINNOW_MODEL_SMOLLM2 to the path of SmolLM2-135M-Instruct.Q4_1.gguf, or run `cargo xtask test`");
  return path;
}

/** Serves the built page with the model beside it. @param {Record<string, object>} [extra] further addresses */
export async function serveDemo(extra = {}) {
  const file = modelPath();
  const index = JSON.stringify({ files: { [basename(file)]: (await stat(file)).size } });
  return serve(SITE, {
    "/models/index.json": { text: index, type: "application/json" },
    [`/models/${basename(file)}`]: { file },
    ...extra,
  });
}

/**
 * Opens the page in a context of its own and notes everything that goes wrong in it.
 * @param {import("playwright-core").Browser} browser
 * @param {string} url
 * @param {import("playwright-core").BrowserContextOptions} [options]
 */
export async function openDemo(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(`uncaught: ${error.message}`));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(url);
  await ready(page);
  return { context, page, problems };
}

/** Waits until the page has looked around and can be used. */
export const ready = (page) => page.waitForSelector("html[data-ready]");

/** Loads the catalogue's first model, from the server or from this device, and waits for the chat. */
export async function loadModel(page) {
  await page.getByRole("button", { name: new RegExp(`(Download and load|Load) ${MODEL_NAME}`) }).click();
  await page.waitForSelector("#chat:not([hidden])", { timeout: 120_000 });
}

/** Types a question and sends it, and waits for the answer's first words. @returns its article */
export async function ask(page, question) {
  const answers = page.locator(".message-assistant");
  const before = await answers.count();
  await page.getByLabel("Message", { exact: true }).fill(question);
  await page.keyboard.press("Enter");
  const answer = answers.nth(before);
  await answer.locator(".block").first().waitFor({ timeout: 120_000 });
  return answer;
}

/** Waits until nothing is being written. */
export const finished = (page) => page.waitForSelector("#send:not([hidden])", { state: "attached", timeout: 180_000 });

/** A figure of the rail, by its name: "Speed", "Build", "Memory". */
export const figure = (page, name) =>
  page.locator(".figures div", { has: page.getByText(name, { exact: true }) }).locator("dd").textContent();

/** Ends the transitions that are under way: colours half-way between two themes are nobody's choice. */
export const settle = (page) => page.evaluate(() => document.getAnimations().forEach((a) => a instanceof CSSTransition && a.finish()));

/** What axe finds against WCAG 2.2 AA on the page as it is, in words. */
export async function accessibilityProblems(page) {
  await settle(page);
  await page.evaluate(await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id} at ${target}: ${failureSummary}`));
}

/** How many pixels the page is wider than its window. */
export const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
