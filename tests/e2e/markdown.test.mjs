// Markdown as it streams into the demo page: nothing hostile comes through, and what stands does not move.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { launch } from "./browser.mjs";
import { openDemo, serveDemo } from "./demo.mjs";
import { test } from "./limits.mjs";

const TEXT = `# Fish

A *small* one: [read](https://example.com/minnow).

1. swims
2. sleeps

\`\`\`js
const minnow = "><>";
\`\`\`

| a | b |
|---|---|
| 1 | 2 |
`;

const HOSTILE = `<img src=x onerror="window.broken = 1"> <script>window.broken = 2</script>
<a href="javascript:window.broken=3">a</a> <iframe src="https://example.com"></iframe>

[b](javascript:window.broken=4) ![c](https://example.com/pixel.png) [d](data:text/html,<script>window.broken=5</script>)

<style>body { display: none }</style> <form action="https://example.com"><input name="q"></form>
`;

let browser;
let site;
let demo;
before(async () => {
  browser = await launch();
  site = await serveDemo();
  demo = await openDemo(browser, site.url);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

/** Runs in the page: shows each text in turn in one view; gives the HTML, its links, and how many finished blocks were replaced. */
async function show(texts) {
  const { MarkdownView } = await import(new URL("src/markdown.js", document.baseURI));
  const container = document.createElement("div");
  document.body.append(container);
  const view = new MarkdownView(container);
  let moved = 0;
  for (const text of texts) {
    const before = [...container.children].slice(0, -1);
    view.update(text);
    moved += before.filter((block, index) => container.children[index] !== block).length;
  }
  const links = Array.from(container.querySelectorAll("a[href]"), (link) => link.href);
  return { html: container.innerHTML, moved, links };
}

test("a text that grows letter by letter ends as the whole text does, and finished blocks stay where they are", async () => {
  const whole = await demo.page.evaluate(show, [TEXT]);
  const growing = await demo.page.evaluate(show, Array.from(TEXT, (_, index) => TEXT.slice(0, index + 1)));
  assert.equal(growing.html, whole.html);
  assert.equal(growing.moved, 0);
  assert.match(whole.html, /<h3 class="heading-1">Fish<\/h3>/);
  assert.match(whole.html, /<a [^>]*href="https:\/\/example\.com\/minnow"[^>]*rel="noopener noreferrer"/);
  assert.match(whole.html, /Copy<span class="visually-hidden"> code/);
});

test("scripts, frames, images and forms of an answer are text, and its links lead only to the web", async () => {
  const requests = [];
  demo.page.on("request", (request) => requests.push(request.url()));
  const { html, links } = await demo.page.evaluate(show, [HOSTILE]);
  assert.doesNotMatch(html, /<(script|img|iframe|style|form|input)\b/);
  assert.deepEqual(links, ["https://example.com/pixel.png"]);
  assert.match(html, /&lt;script&gt;/);
  assert.equal(await demo.page.evaluate(() => window.broken), undefined);
  assert.deepEqual(requests.filter((url) => !url.startsWith(site.url)), []);
  assert.deepEqual(demo.problems, []);
});
