// The demo page from the first visit to the last cached model removed, in a real browser with a real model.
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { launch } from "./browser.mjs";
import { MODEL_NAME, accessibilityProblems, ask, figure, finished, loadModel, modelPath, openDemo, overflow, ready, serveDemo, settle } from "./demo.mjs";
import { test } from "./limits.mjs";

/** One that SmolLM2 has an answer to. */
const QUESTION = "Explain in two sentences why the sky is blue.";
/** A phone among the narrowest in use. */
const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

describe("a first visit, and the ones after it", () => {
  let demo;
  let site;
  before(async () => {
    site = await serveDemo();
    demo = await openDemo(browser, site.url, { permissions: ["clipboard-read", "clipboard-write"] });
  });
  after(async () => {
    await demo?.context.close();
    await site?.close();
  });

  test("the page is isolated, offers models and asks nobody else for anything", async () => {
    const { page } = demo;
    const elsewhere = [];
    page.on("request", (request) => request.url().startsWith(site.url) || elsewhere.push(request.url()));
    await page.reload();
    await ready(page);
    assert.ok(await page.evaluate(() => crossOriginIsolated));
    const names = await page.locator("#catalogue-list h3").allTextContents();
    assert.equal(names[0], MODEL_NAME);
    assert.deepEqual(await accessibilityProblems(page), []);
    assert.deepEqual(elsewhere, []);
  });

  test("the first key leads past the menu, and a chosen theme is kept", async () => {
    const { page } = demo;
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    const paper = async () => {
      await settle(page);
      return page.evaluate(() => getComputedStyle(document.body).backgroundColor + getComputedStyle(document.documentElement).backgroundColor);
    };
    const light = await paper();
    const button = page.getByRole("button", { name: /^Theme/ });
    await button.click();
    await button.click();
    assert.equal(await button.textContent(), "Theme: dark");
    assert.notEqual(await paper(), light);
    assert.deepEqual(await accessibilityProblems(page), []);
    await page.reload();
    await ready(page);
    assert.equal(await button.textContent(), "Theme: dark");
    await button.click();
    assert.equal(await paper(), light);
  });

  test("the model is downloaded with progress and says which build runs it and why", async () => {
    const { page } = demo;
    await page.evaluate(() => {
      window.seen = [];
      const bar = document.getElementById("load-bar");
      new MutationObserver(() => window.seen.push(bar.getAttribute("aria-valuetext"))).observe(bar, { attributes: true });
    });
    await loadModel(page);
    const seen = await page.evaluate(() => window.seen.filter((text, index, all) => text && text !== all[index - 1]));
    assert.ok(seen.filter((text) => /^Download: .* of 98\.4 MB$/.test(text)).length >= 2, seen.join("\n"));
    assert.match(await figure(page, "Build"), /SIMD/);
    assert.match(await figure(page, "Threads"), /^\d+ threads?$/);
    assert.match(await figure(page, "Memory"), /\d MB/);
    await page.getByText("Why this build").click();
    assert.match(await page.locator("#why-text").textContent(), /simd/i);
    assert.deepEqual(await accessibilityProblems(page), []);
  });

  test("settings are labelled, kept, and used", async () => {
    const { page } = demo;
    await page.getByRole("button", { name: "Settings", exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Settings" });
    await dialog.getByLabel("Temperature").fill("0");
    await dialog.getByLabel("Longest answer").fill("64");
    assert.deepEqual(await accessibilityProblems(page), []);
    await dialog.getByRole("button", { name: "Done" }).click();
    assert.equal(await dialog.isVisible(), false);
  });

  test("an answer streams in, is announced, and ends with its figures", async () => {
    const { page } = demo;
    const answer = await ask(page, QUESTION);
    const lengths = new Set();
    while (await page.locator("#stop").isVisible()) {
      lengths.add((await answer.textContent()).length);
      await page.waitForTimeout(20);
    }
    assert.ok(lengths.size >= 3, `text of ${[...lengths]} characters was seen`);
    assert.match(await answer.textContent(), /sky/);
    assert.match(await answer.locator("footer").textContent(), /\d+ tokens · [\d.]+ tokens\/s/);
    assert.match(await figure(page, "Speed"), /^[\d.]+ tokens\/s$/);
    assert.match(await page.locator("#announcer").textContent(), /\w/);
    await answer.getByRole("button", { name: "Copy answer" }).click();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /sky/);
    assert.deepEqual(await accessibilityProblems(page), []);
  });

  test("Shift+Enter starts a line, Esc stops an answer, and what was written stays", async () => {
    const { page } = demo;
    const prompt = page.getByLabel("Message", { exact: true });
    await prompt.fill("Write a very long story");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("about a fisherman and the sea.");
    assert.equal(await prompt.inputValue(), "Write a very long story\nabout a fisherman and the sea.");
    const answer = await ask(page, "Write a very long story\nabout a fisherman and the sea.");
    await page.keyboard.press("Escape");
    await finished(page);
    const written = await answer.locator(".message-body").textContent();
    assert.ok(written.length > 0);
    assert.match(await answer.locator("footer").textContent(), /Stopped/);
    await page.waitForTimeout(500);
    assert.equal(await answer.locator(".message-body").textContent(), written);
    assert.equal(await page.evaluate(() => document.activeElement.id), "prompt");
  });

  test("a conversation outlives a reload, and a new chat forgets it", async () => {
    const { page } = demo;
    const before = await page.locator(".message").count();
    assert.equal(before, 4);
    await page.reload();
    await ready(page);
    await loadModel(page);
    assert.equal(await page.locator(".message").count(), before);
    await page.getByRole("button", { name: "New chat" }).click();
    assert.equal(await page.locator(".message").count(), 0);
    assert.ok(await page.locator("#opening").isVisible());
  });

  test("without network the page opens, and the model answers from this device", async () => {
    const { context, page, problems } = demo;
    await page.evaluate(() => navigator.serviceWorker.ready);
    await site.close();
    await context.setOffline(true);
    await page.reload();
    await ready(page);
    assert.ok(await page.evaluate(() => crossOriginIsolated), "the kept page is isolated too");
    await loadModel(page);
    const answer = await ask(page, QUESTION);
    await finished(page);
    assert.match(await answer.textContent(), /sky/);
    // A browser reports each request that found no network; the page itself must report nothing.
    assert.deepEqual(problems.filter((problem) => !problem.includes("net::ERR_")), []);
  });

  test("a model on this device can be removed", async () => {
    const { page } = demo;
    await page.getByRole("button", { name: "Change model" }).click();
    assert.deepEqual(await page.locator("#saved-list h3").allTextContents(), [MODEL_NAME]);
    await page.getByRole("button", { name: `Remove ${MODEL_NAME}` }).click();
    assert.deepEqual(await accessibilityProblems(page), []);
    await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
    await page.locator("#saved").waitFor({ state: "hidden" });
    assert.equal(await page.getByRole("button", { name: `Download and load ${MODEL_NAME}` }).count(), 1);
  });
});

describe("what goes wrong", () => {
  let demo;
  let site;
  before(async () => {
    site = await serveDemo({ "/page.gguf": { text: "<!doctype html><title>Sign in</title>", type: "text/html" } });
    demo = await openDemo(browser, site.url);
  });
  after(async () => {
    await demo?.context.close();
    await site?.close();
  });

  const cases = [
    ["an address where nothing is", "missing.gguf", "download_failed"],
    ["a page instead of a model", "page.gguf", "not_a_gguf"],
    ["something that is no address", "hf:nonsense", "invalid_request"],
  ];
  for (const [what, source, code] of cases) {
    test(`${what} is shown as ${code}, with a remedy and another try`, async () => {
      const { page } = demo;
      await page.getByLabel("Address or hub reference").fill(source.startsWith("hf:") ? source : site.url + source);
      await page.keyboard.press("Enter");
      await page.waitForSelector("#fault:not([hidden])", { timeout: 30_000 });
      assert.equal(await page.locator("#fault-code").textContent(), code);
      assert.ok((await page.locator("#fault-message").textContent()).length > 10);
      assert.ok((await page.locator("#fault-remedy").textContent()).length > 10);
      assert.deepEqual(await accessibilityProblems(page), []);
      await page.getByRole("button", { name: "Try again" }).click();
      await page.waitForSelector("#fault:not([hidden])", { timeout: 30_000 });
      await page.getByRole("button", { name: "Choose another model" }).click();
      assert.ok(await page.locator("#saved").isHidden(), "nothing of it is kept");
    });
  }

  test("a dropped file that is no model is refused, and nothing is loaded", async () => {
    const { page } = demo;
    await page.evaluate(() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(["not a model"], "notes.gguf"));
      for (const type of ["dragover", "drop"]) document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true }));
    });
    await page.waitForSelector("#fault:not([hidden])", { timeout: 30_000 });
    assert.equal(await page.locator("#fault-code").textContent(), "not_a_gguf");
    await page.getByRole("button", { name: "Choose another model" }).click();
  });

  test("a load can be cancelled, and begun again", async () => {
    const { page } = demo;
    await page.getByRole("button", { name: `Download and load ${MODEL_NAME}` }).click();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.waitForSelector("#choose:not([hidden])");
    await page.getByRole("button", { name: new RegExp(`${MODEL_NAME}$`) }).last().click();
    await page.waitForSelector("#chat:not([hidden])", { timeout: 120_000 });
  });
});

describe("on a phone", () => {
  for (const colorScheme of ["light", "dark"]) {
    test(`nothing is wider than the window, in ${colorScheme}, and a picked file loads`, async (context) => {
      const site = await serveDemo();
      const { context: tab, page, problems } = await openDemo(browser, site.url, { ...PHONE, colorScheme });
      context.after(async () => {
        await tab.close();
        await site.close();
      });
      const check = async (view) => {
        assert.equal(await overflow(page), 0, view);
        assert.deepEqual(await accessibilityProblems(page), [], view);
      };
      await check("choosing");
      await page.setInputFiles("#file", modelPath());
      await page.waitForSelector("#chat:not([hidden])", { timeout: 120_000 });
      await check("an empty chat");
      await page.getByRole("button", { name: "Menu" }).tap();
      await check("the menu");
      await page.getByRole("button", { name: "Settings", exact: true }).tap();
      await check("settings");
      await page.getByLabel("Longest answer").fill("24");
      await page.getByRole("button", { name: "Done" }).tap();
      await ask(page, "Say hello, and write `a_very_long_identifier_that_does_not_fit_into_a_narrow_window_at_all`.");
      await finished(page);
      await check("an answer");
      assert.deepEqual(problems, []);
    });
  }
});
