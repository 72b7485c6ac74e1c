// Opens the running demo headlessly, loads the default model, asks one question, and prints the answer and the figures.
//
//     node demo-check.mjs http://localhost:8080/
import { launch } from "./browser.mjs";
import { ask, figure, finished, loadModel, openDemo } from "./demo.mjs";

const QUESTION = "Explain in two sentences why the sky is blue.";

const [url] = process.argv.slice(2);
if (!url) {
  console.error("usage: node demo-check.mjs URL");
  process.exit(2);
}

const browser = await launch();
try {
  const { page, problems } = await openDemo(browser, url);
  const started = performance.now();
  await loadModel(page);
  const loadSeconds = (performance.now() - started) / 1000;
  const answer = await ask(page, QUESTION);
  await finished(page);
  const text = await answer.locator(".message-body").innerText();
  console.log(`\n> ${QUESTION}\n\n${text.trim()}\n`);
  console.log(`model    ${await page.locator("#rail-model").textContent()}`);
  console.log(`load     ${loadSeconds.toFixed(1)} s`);
  for (const name of ["Speed", "Build", "Threads", "Memory", "Context", "Storage"]) {
    console.log(`${name.toLowerCase().padEnd(8)} ${await figure(page, name)}`);
  }
  for (const problem of problems) console.error(`the page reported: ${problem}`);
  if (!text.trim()) throw new Error("the answer is empty");
  process.exitCode = problems.length ? 1 : 0;
} catch (error) {
  console.error(`the demo did not answer: ${error.message.split("\n")[0]}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
