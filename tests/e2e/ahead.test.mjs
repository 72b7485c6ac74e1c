// What is asked of a model before it is there, and the order in which its bytes come for that.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe } from "node:test";
import { layout } from "./gguf.mjs";
import { test } from "./limits.mjs";
import { BIG, big, load, mustLeaveNothing, mustLoad, page, requests, server } from "./loading.mjs";

const PROMPT = "The sea is wide, and the boat is small; ".repeat(20);
/** More tokens than are computed at a time, or than a batch has. */
const LONG_PROMPT = "One, two, three, four; ".repeat(140);
const CONTEXT = 1536;

/**
 * Answers requests after a load, or while it runs.
 * @returns {Promise<{ text, prompt, computed, reached }[]>} `prompt` and `computed`: tokens of the prompt, and those computed
 *   after the load; `reached`: how much of the model was there when the request was made
 */
const answers = (prompts, { early = false, ...options } = {}) =>
  page.evaluate(
    async ({ source, prompts, early, options }) => {
      const { Minnow } = await import("/pkg/index.js");
      let reached = 0;
      let passed;
      const half = new Promise((resolve) => (passed = resolve));
      const onProgress = ({ loaded, total }) => {
        reached = loaded / total || 0;
        if (reached > 0.5) passed();
      };
      const loading = Minnow.load(source, { ...options, onProgress });
      const answer = async (prompt, model) => {
        const at = reached;
        const common = { max_tokens: 4, temperature: 0 };
        const { choices, timings, usage } =
          typeof prompt === "string"
            ? await model.completions.create({ prompt, ...common })
            : await model.chat.completions.create({ messages: prompt, ...common });
        return { text: choices[0].text ?? choices[0].message.content, prompt: usage.prompt_tokens, computed: timings.prompt_n, reached: at };
      };
      const results = [];
      if (early) {
        // The first at once, the others when half of the model is there.
        results.push(answer(prompts[0], loading));
        await half;
        results.push(...prompts.slice(1).map((prompt) => answer(prompt, loading)));
      } else {
        const minnow = await loading;
        for (const prompt of prompts) results.push(await answer(prompt, minnow));
      }
      const answers = await Promise.all(results);
      await (await loading).unload();
      return answers;
    },
    { source: BIG, prompts, early, options: { contextLength: CONTEXT, store: false, ...options } },
  );

describe("a request made while the model is loaded", () => {
  test("has one token left to compute, and is answered as ever, long or short, a conversation or a text", async () => {
    const prompts = [LONG_PROMPT, [{ role: "user", content: "Name the capital of France." }], PROMPT];
    const late = await answers(prompts);
    const early = await answers(prompts, { early: true });
    assert.deepEqual(early.map(({ text }) => text), late.map(({ text }) => text));
    assert.deepEqual(early.map(({ prompt }) => prompt), late.map(({ prompt }) => prompt));
    assert.ok(late[0].prompt > 1024, `${late[0].prompt} tokens`);
    assert.equal(early[0].computed, 1);
    assert.ok(early[1].reached > 0.5 && early[1].reached < 1, "made on the way");
  });

  test("is refused at once where it makes no sense, and fails as the load does", async () => {
    const codes = await page.evaluate(async (source) => {
      const { Minnow } = await import("/pkg/index.js");
      const code = (promise) => promise.then(() => "answered", ({ code, name }) => (name === "AbortError" ? name : code));
      const loading = Minnow.load(source);
      const invalid = await code(loading.completions.create({ prompt: "a", max_tokens: "many" }));
      const tooLong = code(loading.completions.create({ prompt: "many words ".repeat(5000) }));
      const controller = new AbortController();
      const aborted = code(loading.chat.completions.create({ messages: [{ role: "user", content: "a" }] }, { signal: controller.signal }));
      controller.abort();
      const found = [invalid, await aborted, await Promise.race([loading.then(() => "loaded"), "still loading"]), await tooLong];
      await (await loading).unload();
      const missing = Minnow.load("/missing.gguf");
      const failed = await Promise.all([code(missing.completions.create({ prompt: "a" })), code(missing)]);
      return [...found, ...failed];
    }, BIG);
    assert.deepEqual(codes, ["invalid_request", "AbortError", "still loading", "context_overflow", "download_failed", "download_failed"]);
  });
});

describe("the option prefill", () => {
  test("leaves one token of the prompt to compute", async () => {
    const [late] = await answers([PROMPT]);
    const [early] = await answers([PROMPT], { prefill: PROMPT });
    assert.deepEqual(early, { ...late, computed: 1 });
    assert.equal(late.computed, late.prompt);
  });

  test("with a prompt that leaves no room for an answer is refused before the download", async () => {
    const error = await mustLeaveNothing(BIG, "context_overflow", { contextLength: 64, prefill: PROMPT });
    assert.match(error.message, /64/);
  });
});

describe("a file that has block 10 before block 2", () => {
  /** Which of the requests for the model asked for a tensor's first byte. Those that are open at once may come in any order. */
  const asked = (tensor) => {
    const at = layout(big).get(tensor);
    return requests(BIG).findIndex(({ range }) => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range);
      return from <= at && at <= to;
    });
  };

  test("comes as it is where nothing waits", async () => {
    await mustLoad(BIG);
    assert.ok(asked("blk.10.ffn_down.weight") < asked("blk.9.ffn_down.weight"));
  });

  test("comes block by block where a prompt waits, from the network and from the store, each byte once", async () => {
    await mustLoad(BIG, { prefill: "abc def" });
    assert.ok(asked("blk.9.ffn_down.weight") < asked("blk.29.ffn_down.weight"));
    assert.equal(server.bytesSent(BIG), big.length);
    assert.equal((await mustLoad(BIG, { prefill: "abc def" })).loaded.read, big.length);
    assert.equal(server.bytesSent(BIG), big.length);
  });

  test("is checked as a whole all the same", async () => {
    server.setHub("owner/repo", { "m.gguf": BIG });
    const options = { prefill: "abc def", hubEndpoint: server.origin };
    const { loaded } = await mustLoad("hf:owner/repo/m.gguf", options);
    assert.deepEqual(loaded.sha256, [createHash("sha256").update(big).digest("hex")]);
    assert.deepEqual([loaded.downloaded, loaded.read, loaded.stored], [big.length, 0, true]);
    assert.ok(asked("blk.9.ffn_down.weight") < asked("blk.29.ffn_down.weight"));

    server.setHub("owner/other", { "m.gguf": BIG }, { sha256: { "m.gguf": "0".repeat(64) } });
    const { error } = await load("hf:owner/other/m.gguf", options);
    assert.equal(error.code, "integrity_mismatch");
  });
});
