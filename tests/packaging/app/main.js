// A stranger's web app: loads the model beside the page and shows what it says.

import { Minnow } from "minnow-llm";

const output = document.querySelector("#output");
const wishes = JSON.parse(new URLSearchParams(location.search).get("wishes") ?? "{}");
try {
  const minnow = await Minnow.load("./model.gguf", { contextLength: 64, ...wishes });
  const stream = await minnow.completions.create({ prompt: "hello", stream: true, max_tokens: 8, temperature: 0, ignore_eos: true });
  let finish;
  for await (const { choices } of stream) {
    output.textContent += choices[0].text;
    finish = choices[0].finish_reason ?? finish;
  }
  const { completion_tokens } = (await minnow.completions.create({ prompt: "hello", max_tokens: 3, ignore_eos: true })).usage;
  const { variant, threads, threadsReason } = minnow.info;
  await minnow.unload();
  report({ text: output.textContent, finish, completion_tokens, variant, threads, threadsReason });
} catch (error) {
  report({ error: `${error.name} ${error.code ?? ""}: ${error.message}` });
}

/** In the document, where a test can read it under any content security policy. */
function report(outcome) {
  output.dataset.outcome = JSON.stringify(outcome);
}
