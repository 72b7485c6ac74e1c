// Loading a model in a real browser, over a server that misbehaves: what is downloaded, stored, repaired, and ended on request.
import assert from "node:assert/strict";
import { describe } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { test, until } from "./limits.mjs";
import { BIG, big, context, inFirefox, load, models, mustFail, mustLeaveNothing, mustLoad, openPage, page, requests, server, stored, tiny } from "./loading.mjs";
import { CHUNK, blank, flipBit, forget, tamper } from "./tamper.mjs";

const rangeLength = (range) => {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range);
  return last ? last - first + 1 : Infinity;
};
const firstByte = ({ range }) => Number(/^bytes=(\d+)-/.exec(range)[1]);

describe("the store", () => {
  test("a cold load reports its progress; a warm one needs no network", async () => {
    const cold = await mustLoad(BIG);
    assert.deepEqual(
      { downloaded: cold.loaded.downloaded, read: cold.loaded.read, stored: cold.loaded.stored },
      { downloaded: big.length, read: 0, stored: true },
    );
    const stages = [...new Set(cold.progress.map(({ stage }) => stage))];
    assert.deepEqual(stages, ["resolve", "download"]);
    const downloading = cold.progress.filter(({ stage }) => stage === "download");
    assert.ok(downloading.length > 5);
    for (const [i, { loaded }] of downloading.entries()) assert.ok(i === 0 || loaded >= downloading[i - 1].loaded, "progress goes back");
    const { loaded, total, file } = downloading.at(-1);
    assert.deepEqual({ loaded, total, file }, { loaded: big.length, total: big.length, file: "smollm2.gguf" });
    assert.equal(server.bytesSent(BIG), big.length);

    server.clearLog();
    server.fault(BIG, { status: 500 });
    await page.reload();
    const warm = await mustLoad(BIG);
    assert.deepEqual(requests(BIG), []);
    assert.deepEqual({ downloaded: warm.loaded.downloaded, read: warm.loaded.read }, { downloaded: 0, read: big.length });
    assert.equal(warm.text, cold.text);
    assert.deepEqual(warm.loaded.sha256, cold.loaded.sha256);
    for (const { load } of [cold, warm]) {
      const stages = load.start + load.resolve + load.download + load.read + load.prepare;
      assert.ok(Math.abs(stages - load.total) < 1, JSON.stringify(load));
      for (const cost of ["header", "weights", "hash", "store"]) assert.ok(load[cost] > 0 && load[cost] < load.total, `${cost}: ${JSON.stringify(load)}`);
    }
    assert.deepEqual([cold.load.read, warm.load.download], [0, 0]);
    console.log(
      `cold ${cold.load.total.toFixed(0)} ms, warm ${warm.load.total.toFixed(0)} ms, wasm memory ${(warm.wasm / big.length).toFixed(2)} × file`,
    );

    const [model] = await models();
    assert.deepEqual({ size: model.size, stored: model.stored, complete: model.complete }, { size: big.length, stored: big.length, complete: true });
    assert.equal(await page.evaluate(async (id) => (await import("/pkg/index.js")).Minnow.models.remove(id), model.id), true);
    assert.deepEqual(await models(), []);
  });

  test("a file is fetched over several connections at once", async () => {
    server.fault(BIG, { delay: 200 });
    await mustLoad(BIG);
    const spans = requests(BIG).map(({ began, ended }) => [began, ended]);
    const most = Math.max(...spans.map(([at]) => spans.filter(([began, ended]) => began <= at && at < ended).length));
    // Four to begin with; whether more help is tried in downloads that take some seconds.
    assert.ok(most >= 4 && most <= 5, `${most} at once`);
    assert.equal(server.bytesSent(BIG), big.length);
  });

  test("damaged and lost chunks are fetched again, alone", async () => {
    const { loaded } = await mustLoad(BIG);
    await flipBit(page, loaded.id, 0, 5);
    await flipBit(page, loaded.id, 7, 12345);
    await blank(page, loaded.id, 11);
    await forget(page, loaded.id, 20);
    server.clearLog();
    const repaired = await mustLoad(BIG);
    const asked = requests(BIG).map(firstByte).sort((a, b) => a - b);
    assert.deepEqual(asked, [0, 7, 11, 20].map((chunk) => chunk * CHUNK));
    assert.equal(server.bytesSent(BIG), 4 * CHUNK);
    assert.equal(repaired.loaded.repaired, 3);
    server.clearLog();
    assert.equal((await mustLoad(BIG)).loaded.downloaded, 0);
    assert.deepEqual(requests(BIG), []);
  });

  test("verify finds what is damaged, and the next load repairs it", async () => {
    const { loaded } = await mustLoad(BIG);
    const verify = () => page.evaluate(async (id) => (await import("/pkg/index.js")).Minnow.models.verify(id), loaded.id);
    const chunks = Math.ceil(big.length / CHUNK);
    assert.deepEqual(await verify(), { ok: true, good: chunks, damaged: 0, missing: 0, repaired: 0 });
    await flipBit(page, loaded.id, 3, 0);
    assert.deepEqual(await verify(), { ok: false, good: chunks - 1, damaged: 1, missing: 0, repaired: 0 });
    assert.deepEqual(await verify(), { ok: false, good: chunks - 1, damaged: 0, missing: 1, repaired: 0 });
    assert.equal((await mustLoad(BIG)).loaded.downloaded, CHUNK);
    assert.equal((await verify()).ok, true);
  });

  test("inspecting a model downloads its header and keeps nothing", async () => {
    const info = await page.evaluate(async (source) => (await import("/pkg/index.js")).Minnow.models.inspect(source), BIG);
    assert.deepEqual({ architecture: info.architecture, quantization: info.quantization }, { architecture: "llama", quantization: "Q4_1" });
    assert.deepEqual(await models(), []);
    assert.ok(server.bytesSent(BIG) < big.length / 2, `${server.bytesSent(BIG)} bytes left the server`);
  });

  test("two tabs download a model once", async () => {
    const other = await openPage();
    const results = await Promise.all([mustLoad(BIG), mustLoad(BIG, {}, other)]);
    assert.equal(server.bytesSent(BIG), big.length);
    assert.deepEqual(results.map(({ loaded }) => loaded.downloaded).sort((a, b) => a - b), [0, big.length]);
    assert.equal(results[0].text, results[1].text);
  });

  test("a model can be inspected while it is downloaded", async () => {
    server.fault(BIG, { stallAtByte: 20 << 20 });
    const other = await openPage();
    load(BIG, {}, other).catch(() => {});
    await stored(10 << 20);
    const info = await page.evaluate(async (source) => (await import("/pkg/index.js")).Minnow.models.inspect(source), BIG);
    assert.equal(info.architecture, "llama");
    await other.close();
  });

  test("as many threads compute as were asked for, else as many as help", async () => {
    const chosen = (options) =>
      page.evaluate(
        async ({ source, options }) => {
          const { Minnow } = await import("/pkg/index.js");
          const { threads: most } = Minnow.capabilities();
          const minnow = await Minnow.load(source, { contextLength: 256, ...options });
          const { threads, threadsReason } = minnow.info;
          // Some comparisons of more and fewer threads.
          const { choices } = await minnow.completions.create({ prompt: "abc", max_tokens: 200, temperature: 0, ignore_eos: true });
          const { threads: last } = await minnow.metrics();
          await minnow.unload();
          return { most, threads, threadsReason, last, text: choices[0].text };
        },
        { source: "/tiny.gguf", options },
      );
    const two = await chosen({ threads: 2 });
    assert.deepEqual([two.threads, two.threadsReason, two.last], [2, "the caller asked for 2", 2]);
    const auto = await chosen({});
    assert.equal(auto.threads, auto.most);
    assert.match(auto.threadsReason, /^processors reported: \d+/);
    assert.ok(auto.last >= 1 && auto.last <= auto.most, JSON.stringify(auto));
    assert.equal(auto.text, two.text);
  });

  test("nothing is kept where the application does not want it", async () => {
    const { loaded } = await mustLoad("/tiny.gguf", { store: false });
    assert.equal(loaded.stored, false);
    assert.equal(loaded.notStored, undefined);
    assert.deepEqual(await models(), []);
  });
});

describe("storage", () => {
  test("is asked to be kept once, when the first model is stored", async () => {
    const asks = () =>
      page.evaluate(() => {
        const before = navigator.storage.asked ?? 0;
        navigator.storage.persist = async () => {
          navigator.storage.asked = (navigator.storage.asked ?? 0) + 1;
          return false;
        };
        return before;
      });
    await asks();
    await mustLoad("/tiny.gguf", { store: false });
    assert.equal(await asks(), 0, "nothing is stored yet");
    server.setFile("/second.gguf", tiny["llama-f32"]);
    for (const source of ["/tiny.gguf", "/second.gguf", "/tiny.gguf"]) {
      assert.equal((await mustLoad(source)).loaded.stored, true);
      assert.equal(await asks(), 1, source);
    }
    await page.reload();
    await asks();
    await mustLoad("/tiny.gguf");
    assert.equal(await asks(), 0, "what was stored before is no reason to ask again");
  });

  test("is said to be where models are then stored", async () => {
    const { storage } = await page.evaluate(async () => (await import("/pkg/index.js")).Minnow.capabilities());
    const { loaded } = await mustLoad("/tiny.gguf");
    const place = await tamper(page, async ({ table, done }, id) => (await done(table("models").get(id))).place, loaded.id);
    assert.deepEqual([storage.kind, storage.opfs, storage.indexedDB, storage.locks], ["opfs", true, true, true]);
    assert.equal(place, "files");
    const without = await page.evaluate(async () => {
      Object.defineProperty(navigator.storage, "getDirectory", { value: undefined });
      const { Minnow } = await import("/pkg/index.js");
      const first = Minnow.capabilities().storage;
      Object.defineProperty(window, "indexedDB", { value: undefined });
      return [first.kind, Minnow.capabilities().storage.kind];
    });
    assert.deepEqual(without, ["indexeddb", "memory"]);
  });
});

describe("aborting", () => {
  /** Runs `work` with a signal that is fired when it says so; gives the error's name. */
  const aborted = (source, work) =>
    page.evaluate(
      async ({ source, work }) => {
        const { Minnow } = await import("/pkg/index.js");
        const controller = new AbortController();
        try {
          await new Function(`return (${work})`)()(Minnow, source, controller);
          return "nothing was aborted";
        } catch (error) {
          return error.name;
        }
      },
      { source, work: String(work) },
    );

  test("a download ends at once and goes on later", async () => {
    server.fault(BIG, { stallAtByte: 40 << 20 });
    const name = await aborted(BIG, (Minnow, source, controller) => {
      const onProgress = ({ loaded }) => loaded > 18 << 20 && controller.abort();
      return Minnow.load(source, { signal: controller.signal, onProgress });
    });
    assert.equal(name, "AbortError");
    // What was on its way to the disk may be lost, what was there is not.
    await sleep(300);
    const kept = await stored(CHUNK);
    const isOver = ({ range, sent, aborted }) => aborted || sent === rangeLength(range);
    assert.deepEqual(requests(BIG).filter((request) => !isOver(request)), [], "connections were left open");
    server.clearFaults();
    server.clearLog();
    const { loaded } = await mustLoad(BIG);
    assert.equal(loaded.read, kept);
    assert.equal(server.bytesSent(BIG), big.length - kept);
  });

  test("a load that waits for another tab's download ends at once", async () => {
    server.fault(BIG, { stallAtByte: 20 << 20 });
    const other = await openPage();
    load(BIG, {}, other).catch(() => {});
    await stored(10 << 20);
    const name = await aborted(BIG, (Minnow, source, controller) => {
      setTimeout(() => controller.abort(), 200);
      return Minnow.load(source, { signal: controller.signal });
    });
    assert.equal(name, "AbortError");
    await other.close();
  });

  test("prefill and generation end, and the model answers the next request", async () => {
    const result = await page.evaluate(async (source) => {
      const { Minnow } = await import("/pkg/index.js");
      const minnow = await Minnow.load(source);
      const names = [];
      const attempt = async (prompt, abortWhen) => {
        const controller = new AbortController();
        try {
          const stream = await minnow.completions.create({ prompt, max_tokens: 200, stream: true, temperature: 0 }, { signal: controller.signal });
          if (abortWhen === 0) setTimeout(() => controller.abort(), 50);
          let chunks = 0;
          for await (const _ of stream) if (++chunks === abortWhen) controller.abort();
        } catch (error) {
          names.push(error.name);
        }
      };
      await attempt("A long story. ".repeat(300), 0);
      await attempt("Once upon a time", 3);
      const { choices } = await minnow.completions.create({ prompt: "The capital of France is", max_tokens: 3, temperature: 0 });
      await minnow.unload();
      return { names, text: choices[0].text };
    }, BIG);
    assert.deepEqual(result.names, ["AbortError", "AbortError"]);
    assert.match(result.text, /Paris/);
  });
});

describe("without a network", () => {
  test("a stored model loads; one that is not, or in part, is an error that says so", async () => {
    const { text } = await mustLoad("/tiny.gguf");
    server.fault(BIG, { stallAtByte: 20 << 20 });
    const doomed = await openPage();
    load(BIG, {}, doomed).catch(() => {});
    await until("a part of the other", async () => (await models())[0]?.stored >= 10 << 20);
    await doomed.close();
    server.clearFaults();
    await context.setOffline(true);
    const warm = await mustLoad("/tiny.gguf");
    assert.deepEqual([warm.loaded.downloaded, warm.text], [0, text]);
    for (const source of ["/never-seen.gguf", BIG, "hf:owner/model:Q4_1"]) {
      const error = await mustFail(source, "download_failed");
      assert.match(error.message, /offline/);
    }
    await flipBit(page, warm.loaded.id, 0, 5);
    const repair = () =>
      page.evaluate(async (id) => {
        const { Minnow } = await import("/pkg/index.js");
        return Minnow.models.verify(id, { repair: true }).catch(({ code, message }) => ({ code, message }));
      }, warm.loaded.id);
    const { code, message } = await repair();
    assert.equal(code, "download_failed");
    assert.match(message, /offline/);
    await context.setOffline(false);
    const good = Math.ceil(tiny["llama-q4_1"].length / CHUNK) - 1;
    assert.deepEqual(await repair(), { ok: true, good, damaged: 1, missing: 0, repaired: 1 });
    const { loaded } = await mustLoad(BIG);
    assert.ok(loaded.read >= 10 << 20, `${loaded.read} bytes were read`);
  });

  test("a download waits for it to come back, and goes on where it was", async () => {
    server.fault(BIG, { rate: 20e6 });
    const loading = mustLoad(BIG);
    await stored(10 << 20);
    await context.setOffline(true);
    // Longer than all attempts would take, were they made.
    await sleep(5000);
    const asked = requests(BIG).length;
    await sleep(1000);
    assert.equal(requests(BIG).length, asked, "requests were made without a network");
    await context.setOffline(false);
    const { loaded } = await loading;
    assert.deepEqual([loaded.downloaded, loaded.stored], [big.length, true]);
  });
});

describe("a server that misbehaves", () => {
  const harmless = {
    "goes silent": { stallAfter: 50 << 20, times: 1 },
    "breaks the connection": { cutAtByte: 30 << 20, times: 1 },
    "is busy for a while": { status: 503, retryAfter: 1, times: 2 },
    "sends another range": { wrongRange: 1000, times: 1 },
    "hides its headers": { hide: ["Content-Range", "ETag", "Last-Modified"] },
    "knows no ranges and breaks the connection": { ignoreRange: true, cutAfter: 30 << 20, times: 1 },
  };
  for (const [what, fault] of Object.entries(harmless)) {
    test(what, async () => {
      server.fault(BIG, fault);
      const { loaded } = await mustLoad(BIG);
      assert.deepEqual({ downloaded: loaded.downloaded, stored: loaded.stored }, { downloaded: big.length, stored: true });
      assert.equal((await mustLoad(BIG)).loaded.read, big.length);
    });
  }

  test("compresses what it was asked not to", async () => {
    const { text } = await mustLoad("/tiny.gguf", { store: false });
    server.fault("/tiny.gguf", { gzip: true });
    // Whoever asks for a range asks for it as it is: Chromium takes no other answer, Firefox unpacks it, and then it is the file.
    if (!inFirefox) return mustLeaveNothing("/tiny.gguf", "download_failed");
    const unpacked = await mustLoad("/tiny.gguf");
    assert.deepEqual([unpacked.loaded.downloaded, unpacked.loaded.stored, unpacked.text], [tiny["llama-q4_1"].length, true, text]);
    assert.equal((await mustLoad("/tiny.gguf")).loaded.downloaded, 0);
  });

  test("has another file than the one that was begun", async () => {
    const other = tiny["llama-f32"];
    server.setFile("/changing.gguf", big);
    server.fault("/changing.gguf", { stallAtByte: 20 << 20 });
    const doomed = await openPage();
    load("/changing.gguf", {}, doomed).catch(() => {});
    await stored(10 << 20);
    await doomed.close();
    server.clearFaults();
    server.setFile("/changing.gguf", other);
    const { loaded } = await mustLoad("/changing.gguf");
    assert.deepEqual({ size: loaded.size, read: loaded.read, downloaded: loaded.downloaded }, { size: other.length, read: 0, downloaded: other.length });
    const [model] = await models();
    assert.deepEqual({ size: model.size, stored: model.stored }, { size: other.length, stored: other.length });
  });
});
