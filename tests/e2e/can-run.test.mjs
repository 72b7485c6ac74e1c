// What is known of a model before it is downloaded: whether it can run.
import assert from "node:assert/strict";
import { describe } from "node:test";
import { withString, withU32 } from "./gguf.mjs";
import { test } from "./limits.mjs";
import { BIG, big, models, mustLeaveNothing, page, server, tiny } from "./loading.mjs";

/** Tokens for which no key-value cache fits the addresses of a module. */
const ENDLESS = 1 << 24;

const canRun = (source, options = {}) =>
  page.evaluate(async ({ source, options }) => (await import("/pkg/index.js")).Minnow.canRun(source, options), { source, options });

describe("canRun", () => {
  test("a model that fits is predicted from its header", async () => {
    const { ok, memory, memoryLimit, storage, tokensPerSecond } = await canRun(BIG, { contextLength: 512 });
    assert.equal(ok, true);
    assert.deepEqual(storage, { size: big.length, fits: true });
    assert.ok(server.bytesSent(BIG) < big.length / 4, "more than the header was downloaded");
    assert.ok(tokensPerSecond > 1, `${tokensPerSecond} tokens a second`);
    assert.ok(memory.weights + memory.kv + memory.scratch < memoryLimit);
    assert.deepEqual(await models(), []);
    const loaded = await page.evaluate(async (source) => {
      const minnow = await (await import("/pkg/index.js")).Minnow.load(source, { contextLength: 512 });
      await minnow.unload();
      return minnow.info.memory.weights;
    }, BIG);
    assert.equal(loaded, memory.weights);
  });

  test("what cannot run says why, and loading it fails before the download", async () => {
    server.setFile("/endless.gguf", withU32(tiny["llama-f32"], "llama.context_length", ENDLESS));
    const options = { contextLength: ENDLESS, kvCache: "f32" };
    const { ok, code, reason, memory } = await canRun("/endless.gguf", options);
    assert.deepEqual([ok, code], [false, "out_of_memory"]);
    assert.match(reason, new RegExp(`${memory.kv} for the key-value cache`));
    const error = await mustLeaveNothing("/endless.gguf", "out_of_memory", options);
    // What is to be had depends on what the module holds already, which differs between the two by some pages.
    const withoutFree = (message) => message.replace(/\d+ are to be had/, "… are to be had");
    assert.equal(withoutFree(error.message), withoutFree(reason));

    server.setFile("/mamba.gguf", withString(tiny["llama-f32"], "general.architecture", "mamba"));
    assert.equal((await canRun("/mamba.gguf")).code, "unknown_architecture");
  });
});
