// Loading models in a real browser, over a server that misbehaves: what is downloaded, stored, repaired and refused.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { launch } from "./browser.mjs";
import { modelPath } from "./demo.mjs";
import { startFaultServer } from "./fault-server.mjs";
import { split, withString, withType } from "./gguf.mjs";

/** The built package; `cargo xtask pkg` builds it. */
const PACKAGE = process.env.MINNOW_PACKAGE ?? fileURLToPath(new URL("../../dist/minnow-llm/", import.meta.url));
const TINY = new URL("../fixtures/models/tiny/", import.meta.url);
/** Bytes of a stored chunk, as `loader::record::CHUNK_SIZE` has it. */
const CHUNK = 2 << 20;
const BIG = "/smollm2.gguf";
const PAGE = Buffer.from('<!doctype html><link rel="icon" href="data:,"><title>Loader tests</title>');
const TIMEOUT = { timeout: 120_000 };
/** ggml's numbers of tensor types: two of one size, of which Minnow computes the first. */
const [Q4_0, IQ4_NL] = [2, 20];

let browser;
let server;
/** Another origin with the same files. */
let elsewhere;
let context;
let page;
const tiny = {};
let big;

before(async () => {
  server = await startFaultServer({ isolated: true, mounts: { "/pkg/": PACKAGE } });
  elsewhere = await startFaultServer();
  for (const name of ["llama-q4_1", "qwen3-q4_0", "llama-f32"]) tiny[name] = await readFile(new URL(`${name}.gguf`, TINY));
  big = await readFile(modelPath());
  server.setFile("/index.html", PAGE);
  server.setFile(BIG, big);
  server.setFile("/tiny.gguf", tiny["llama-q4_1"]);
  elsewhere.setFile("/tiny.gguf", tiny["llama-q4_1"]);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
  await elsewhere?.close();
});
// An empty profile for every test.
beforeEach(async () => {
  for (const one of [server, elsewhere]) {
    one.clearFaults();
    one.clearLog();
  }
  context = await browser.newContext();
  page = await openPage();
});
afterEach(() => context.close());

async function openPage() {
  const page = await context.newPage();
  await page.goto(`${server.origin}/index.html`);
  return page;
}

/**
 * Loads a model in a page and answers a short prompt with it.
 * @returns {Promise<{ loaded, times, wasm, text, progress } | { error: { name, code, message } }>}
 */
function load(source, options = {}, where = page) {
  return where.evaluate(
    async ({ source, options }) => {
      const { Minnow } = await import("/pkg/index.js");
      const progress = [];
      try {
        const minnow = await Minnow.load(source, { contextLength: 256, ...options, onProgress: (at) => progress.push(at) });
        const { loaded, times, memory } = minnow.info;
        const { choices } = await minnow.completions.create({ prompt: "abc", max_tokens: 4, temperature: 0 });
        await minnow.unload();
        return { loaded, times, wasm: memory.wasm, text: choices[0].text, progress };
      } catch ({ name, code, message }) {
        return { error: { name, code, message } };
      }
    },
    { source, options },
  );
}

/** Loads a model that must load. */
async function mustLoad(source, options, where) {
  const result = await load(source, options, where);
  assert.equal(result.error, undefined, result.error?.message);
  return result;
}

/** Loads a model that must not load. @returns the error */
async function mustFail(source, code, options) {
  const { error } = await load(source, options);
  assert.equal(error?.code, code, error?.message ?? "it loaded");
  return error;
}

/** As `mustFail`, with an empty store, which must stay empty. */
async function mustLeaveNothing(source, code, options) {
  const error = await mustFail(source, code, options);
  assert.deepEqual(await models(), []);
  return error;
}

const models = (where = page) => where.evaluate(async () => (await import("/pkg/index.js")).Minnow.models.list());
const requests = (path, of = server) => of.log.filter((entry) => entry.path === path);
const firstByte = ({ range }) => Number(/^bytes=(\d+)-/.exec(range)[1]);

/** Waits until the store has `bytes` of its only model. */
async function stored(bytes) {
  for (;;) {
    const [model] = await models();
    if (model?.stored >= bytes) return model.stored;
    await sleep(50);
  }
}

/** Changes the store behind Minnow's back; `change` runs in the page with the database. */
function tamper(change, ...args) {
  return page.evaluate(
    async ({ change, args }) => {
      const request = indexedDB.open("minnow");
      await new Promise((resolve, reject) => Object.assign(request, { onsuccess: resolve, onerror: reject }));
      const database = request.result;
      const table = (name) => database.transaction(name, "readwrite").objectStore(name);
      const done = (request) =>
        new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: reject }));
      await new Function(`return (${change})`)()({ table, done }, ...args);
      database.close();
    },
    { change: String(change), args },
  );
}

const flipByte = (id, index, offset) =>
  tamper(
    async ({ table, done }, id, index, offset) => {
      const bytes = await done(table("chunks").get([id, 0, index]));
      bytes[offset] ^= 1;
      await done(table("chunks").put(bytes, [id, 0, index]));
    },
    id,
    index,
    offset,
  );

describe("the store", TIMEOUT, () => {
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
    console.log(
      `cold ${cold.times.total.toFixed(0)} ms, warm ${warm.times.total.toFixed(0)} ms, wasm memory ${(warm.wasm / big.length).toFixed(2)} × file`,
    );

    const [model] = await models();
    assert.deepEqual({ size: model.size, stored: model.stored, complete: model.complete }, { size: big.length, stored: big.length, complete: true });
    assert.equal(await page.evaluate(async (id) => (await import("/pkg/index.js")).Minnow.models.remove(id), model.id), true);
    assert.deepEqual(await models(), []);
  });

  test("a download killed at 40 % fetches only the rest", async () => {
    server.fault(BIG, { stallAfter: Math.floor(big.length * 0.4) });
    const doomed = await openPage();
    load(BIG, {}, doomed).catch(() => {});
    const before = await stored(big.length * 0.4 - 2 * CHUNK);
    await doomed.close();

    server.clearFaults();
    server.clearLog();
    const { loaded } = await mustLoad(BIG);
    const [request, ...more] = requests(BIG);
    assert.deepEqual(more, []);
    assert.equal(request.status, 206);
    assert.equal(firstByte(request), before);
    assert.equal(server.bytesSent(BIG), big.length - before);
    assert.deepEqual({ read: loaded.read, downloaded: loaded.downloaded }, { read: before, downloaded: big.length - before });
  });

  test("damaged and lost chunks are fetched again, alone", async () => {
    const { loaded } = await mustLoad(BIG);
    await flipByte(loaded.id, 0, 5);
    await flipByte(loaded.id, 7, 12345);
    await tamper(({ table, done }, id) => done(table("chunks").delete([id, 0, 11])), loaded.id);
    await tamper(({ table, done }, id) => done(table("journal").delete([id, 0, 20])), loaded.id);
    server.clearLog();
    const repaired = await mustLoad(BIG);
    assert.deepEqual(requests(BIG).map(firstByte), [0, 7, 11, 20].map((chunk) => chunk * CHUNK));
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
    assert.deepEqual(await verify(), { ok: true, good: chunks, damaged: 0, missing: 0 });
    await flipByte(loaded.id, 3, 0);
    assert.deepEqual(await verify(), { ok: false, good: chunks - 1, damaged: 1, missing: 0 });
    assert.deepEqual(await verify(), { ok: false, good: chunks - 1, damaged: 0, missing: 1 });
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
    assert.equal(requests(BIG).length, 1);
    assert.equal(server.bytesSent(BIG), big.length);
    assert.deepEqual(results.map(({ loaded }) => loaded.downloaded).sort((a, b) => a - b), [0, big.length]);
    assert.equal(results[0].text, results[1].text);
  });

  test("without enough room the model loads all the same, and says so", async () => {
    const devtools = await context.newCDPSession(page);
    await devtools.send("Storage.overrideQuotaForOrigin", { origin: server.origin, quotaSize: 30 << 20 });
    const { loaded } = await mustLoad(BIG);
    assert.equal(loaded.stored, false);
    assert.match(loaded.notStored, /storage is full|the browser grants/);
    assert.deepEqual(await models(), []);
  });

  test("a model can be inspected while it is downloaded", async () => {
    server.fault(BIG, { stallAfter: 20 << 20, times: 1 });
    const other = await openPage();
    load(BIG, {}, other).catch(() => {});
    await stored(10 << 20);
    const info = await page.evaluate(async (source) => (await import("/pkg/index.js")).Minnow.models.inspect(source), BIG);
    assert.equal(info.architecture, "llama");
    await other.close();
  });

  test("nothing is kept where the application does not want it", async () => {
    const { loaded } = await mustLoad("/tiny.gguf", { store: false });
    assert.equal(loaded.stored, false);
    assert.equal(loaded.notStored, undefined);
    assert.deepEqual(await models(), []);
  });
});

describe("aborting", TIMEOUT, () => {
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
    server.fault(BIG, { stallAfter: 20 << 20 });
    const name = await aborted(BIG, (Minnow, source, controller) => {
      const onProgress = ({ loaded }) => loaded > 18 << 20 && controller.abort();
      return Minnow.load(source, { signal: controller.signal, onProgress });
    });
    assert.equal(name, "AbortError");
    const kept = await stored(16 << 20);
    await sleep(100);
    assert.equal(requests(BIG)[0].aborted, true, "the connection was left open");
    server.clearFaults();
    server.clearLog();
    const { loaded } = await mustLoad(BIG);
    assert.equal(loaded.read, kept);
    assert.equal(server.bytesSent(BIG), big.length - kept);
  });

  test("a load that waits for another tab's download ends at once", async () => {
    server.fault(BIG, { stallAfter: 20 << 20 });
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

describe("what is no model", TIMEOUT, () => {
  test("an address without a file", async () => {
    const error = await mustLeaveNothing("/nothing.gguf", "download_failed");
    assert.match(error.message, /404/);
  });

  test("a web page", async () => {
    server.fault("/page.gguf", { html: true });
    assert.match((await mustLeaveNothing("/page.gguf", "not_a_gguf")).message, /web page/);
  });

  test("a truncated file", async () => {
    const bytes = tiny["llama-q4_1"];
    for (const length of [bytes.length - 1000, 3000]) {
      server.setFile("/short.gguf", bytes.subarray(0, length));
      await mustLeaveNothing("/short.gguf", "malformed_model");
    }
  });

  test("an unknown architecture", async () => {
    server.setFile("/mamba.gguf", withString(tiny["llama-f32"], "general.architecture", "mamba"));
    assert.match((await mustLeaveNothing("/mamba.gguf", "unknown_architecture")).message, /mamba/);
  });

  test("an unsupported quantization", async () => {
    server.setFile("/iq4.gguf", withType(tiny["qwen3-q4_0"], Q4_0, IQ4_NL));
    assert.match((await mustLeaveNothing("/iq4.gguf", "unsupported_quantization")).message, /IQ4_NL/i);
  });

  test("a wrong name, and an origin that is not allowed", async () => {
    await mustLeaveNothing("hf:owner", "invalid_request");
    await mustLeaveNothing(`${elsewhere.origin}/tiny.gguf`, "invalid_request", { allowedOrigins: [server.origin] });
    assert.deepEqual(elsewhere.log, []);
  });

  test("a server that is not there", async () => {
    const error = await mustLeaveNothing("http://127.0.0.1:9/m.gguf", "download_failed");
    assert.match(error.message, /3 times/);
  });
});

describe("a server that misbehaves", TIMEOUT, () => {
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
    server.fault("/tiny.gguf", { gzip: true });
    await mustLeaveNothing("/tiny.gguf", "download_failed");
  });

  test("has another file than the one that was begun", async () => {
    const other = tiny["llama-f32"];
    server.setFile("/changing.gguf", big);
    server.fault("/changing.gguf", { stallAfter: 20 << 20 });
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

describe("sources", TIMEOUT, () => {
  let expected;
  before(() => {
    const shards = split(tiny["llama-q4_1"], 3);
    shards.forEach((shard, no) => server.setFile(`/set-0000${no + 1}-of-00003.gguf`, shard));
    const bytes = tiny["llama-q4_1"];
    const cut = Math.ceil(bytes.length / 3);
    for (let i = 0; i < 3; i++) {
      server.setFile(`/cut.gguf.part${i + 1}of3`, bytes.subarray(i * cut, (i + 1) * cut));
      server.setFile(`/cut.gguf.part0${i}`, bytes.subarray(i * cut, (i + 1) * cut));
    }
  });
  beforeEach(async () => {
    expected ??= (await mustLoad("/tiny.gguf", { store: false })).text;
  });

  const same = async (source, options) => {
    const result = await mustLoad(source, options);
    assert.equal(result.text, expected);
    return result.loaded;
  };

  test("a split set, by its first file and as a list in any order", async () => {
    const loaded = await same("/set-00001-of-00003.gguf");
    assert.equal(loaded.sha256.length, 3);
    const list = [3, 1, 2].map((no) => `/set-0000${no}-of-00003.gguf`);
    assert.equal((await same(list)).downloaded, 0, "it is the same model");
    await mustFail(list.slice(1), "invalid_request");
  });

  test("raw parts, by the first one's name and as a list", async () => {
    await same("/cut.gguf.part1of3");
    await same([2, 0, 1].map((no) => `/cut.gguf.part0${no}`));
  });

  test("another origin", async () => {
    const loaded = await same(`${elsewhere.origin}/tiny.gguf`);
    assert.equal(loaded.stored, true);
  });

  test("a file, and the files of a split set", async () => {
    const fromFiles = (names) =>
      page.evaluate(async (names) => {
        const { Minnow } = await import("/pkg/index.js");
        const files = await Promise.all(names.map(async (name) => new File([await (await fetch(`/${name}`)).blob()], name)));
        const minnow = await Minnow.load(files, { contextLength: 256 });
        const { choices } = await minnow.completions.create({ prompt: "abc", max_tokens: 4, temperature: 0 });
        await minnow.unload();
        return choices[0].text;
      }, names);
    assert.equal(await fromFiles(["tiny.gguf"]), expected);
    assert.equal(await fromFiles([2, 1, 3].map((no) => `set-0000${no}-of-00003.gguf`)), expected);
    assert.deepEqual(await models(), []);
  });

  describe("the hub", () => {
    let hub;
    before(() => {
      hub = { hubEndpoint: elsewhere.origin };
      elsewhere.setHub("owner/model-GGUF", { "README.md": "/tiny.gguf", "m-IQ2_XS.gguf": "/tiny.gguf", "m-Q4_1.gguf": "/tiny.gguf" });
      elsewhere.setHub("owner/gated", { "m-Q4_1.gguf": `${server.origin}/tiny.gguf` }, { token: "hf_secret" });
      elsewhere.setHub("owner/wrong", { "m-Q4_1.gguf": "/tiny.gguf" }, { sha256: { "m-Q4_1.gguf": "0".repeat(64) } });
    });

    test("a repository, with and without a quantization, is found again without the network", async () => {
      const loaded = await same("hf:owner/model-GGUF:q4_1", hub);
      assert.equal(loaded.id, "hf:owner/model-GGUF/m-Q4_1.gguf");
      await same("hf:owner/model-GGUF", hub);
      await same("hf:owner/model-GGUF/m-Q4_1.gguf", hub);
      elsewhere.clearLog();
      for (const source of ["hf:owner/model-GGUF:Q4_1", "hf:owner/model-GGUF/m-Q4_1.gguf"]) await same(source, hub);
      assert.deepEqual(elsewhere.log, []);
      assert.equal((await models()).length, 1);
    });

    test("what it has not", async () => {
      const missing = await mustLeaveNothing("hf:owner/model-GGUF:Q8_0", "invalid_request", hub);
      assert.match(missing.message, /m-Q4_1\.gguf/);
      await mustLeaveNothing("hf:owner/model-GGUF:IQ2_XS", "unsupported_quantization", hub);
      await mustLeaveNothing("hf:owner/absent", "download_failed", hub);
    });

    test("a gated repository opens to a token, which nobody else is sent", async () => {
      const refused = await mustLeaveNothing("hf:owner/gated", "download_failed", hub);
      assert.match(refused.message, /401.*token/);
      await same("hf:owner/gated", { ...hub, hubToken: "hf_secret" });
      assert.ok(elsewhere.log.some(({ authorization }) => authorization === "Bearer hf_secret"));
      await same("/tiny.gguf", { ...hub, hubToken: "hf_secret" });
      for (const { path, authorization } of server.log) assert.equal(authorization, null, `${path} was sent the token`);
    });

    test("a file that has not its hash", async () => {
      const error = await mustLeaveNothing("hf:owner/wrong", "integrity_mismatch", hub);
      assert.match(error.message, /0{64}/);
    });
  });
});
