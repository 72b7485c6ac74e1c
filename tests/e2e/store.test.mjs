// The model store on a real disk, in every browser that is there: what it survives, and what becomes of many tabs.
//
// What users of other packages have suffered, and where it is tested:
//   interrupted downloads that start from zero or never end     here: "killed at …", "killed … in full flow"
//   caches that have to be cleared by hand                      here: "damage to …", "a record that makes no sense …"
//   error pages that are kept as models                         sources.test.mjs: "what is no model"
//   a quota that runs out half-way                              here: "a quota that is exhausted …", "too small a quota …"
//   downloads that cannot be cancelled, loads that race         loader.test.mjs: "aborting"; here: "three tabs …"
//   tabs that spoil or duplicate each other's cache             here: "three tabs …", "a tab takes over …", "a model in use …"
//   models that take four times their size                      loader.test.mjs: "a cold load reports …" prints the ratio
//   memory that leaks at every load, workers that stay          here: "a hundred loads and unloads …"
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { browsers, launchOn } from "./browser.mjs";
import { startFaultServer } from "./fault-server.mjs";
import { test, until } from "./limits.mjs";
import { PACKAGE, PAGE, loadIn, modelsIn } from "./pages.mjs";
import { CHUNK, blank, flipBit, forget, tamper } from "./tamper.mjs";

const TINY = new URL("../fixtures/models/tiny/llama-q4_1.gguf", import.meta.url);
/** For tests that start a browser many times, or load models a hundred times. */
const LONG = { timeout: 600_000 };
/** What the store may find in a browser: what its worker is told before it starts, and whether anything can then be stored. */
const BACKENDS = {
  files: { prelude: "", lasting: true },
  tables: { prelude: "delete self.FileSystemSyncAccessHandle;", lasting: true },
  memory: { prelude: 'Object.defineProperty(self, "indexedDB", { value: undefined });', lasting: false },
};
const MODEL = "/model.gguf";
const LARGE = "/large.gguf";
/** Bytes after the last tensor, which belong to nobody: they make a model of any size that is computed in no time. */
const [MODEL_BYTES, LARGE_BYTES] = [24 << 20, 96 << 20];
/** What a download may cost at most, over all its attempts. */
const MOST = 1.05;
const KILLS = 10;
/** Bytes a second of a fast line. */
const LINE = 20e6;
const SEED = 20260105;

let server;
let model;
let large;

before(async () => {
  server = await startFaultServer({ isolated: true, mounts: { "/pkg/": PACKAGE } });
  const tiny = await readFile(TINY);
  [model, large] = [MODEL_BYTES, LARGE_BYTES].map((size) => Buffer.concat([tiny, noise(size - tiny.length)]));
  server.setFile("/index.html", PAGE);
  server.setFile(MODEL, model);
  server.setFile(LARGE, large);
});
after(() => server?.close());

for (const name of browsers) {
  describe(`the store in ${name}`, () => {
    let profile;
    let browser;
    let page;
    const open = async (preferences) => {
      browser = await launchOn(name, profile, preferences);
      page = await openPage();
    };
    const openPage = async (path = "/index.html") => {
      const page = await browser.newPage();
      await page.goto(server.origin + path);
      return page;
    };
    const mustLoad = async (source = MODEL, where = page) => {
      const result = await loadIn(where, source);
      assert.equal(result.error, undefined, result.error?.message);
      return result;
    };

    const verify = (id, options = {}) =>
      page.evaluate(async ({ id, options }) => (await import("/pkg/index.js")).Minnow.models.verify(id, options), { id, options });

    beforeEach(async () => {
      server.clearFaults();
      server.clearLog();
      profile = await mkdtemp(join(tmpdir(), "minnow-profile-"));
      await open();
    });
    afterEach(async () => {
      await browser.kill();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    });

    test(`a browser killed at ${KILLS} random places of a download fetches next to nothing twice`, LONG, async () => {
      const places = random(SEED, KILLS).map((share) => Math.floor(share * LARGE_BYTES));
      for (const place of places.sort((a, b) => a - b)) {
        // The line goes dead there, so that the kill, and not the speed of this machine, says what is under way.
        server.fault(LARGE, { stallAtByte: place });
        loadIn(page, LARGE).catch(() => {});
        const whole = Math.floor(place / CHUNK) * CHUNK;
        await until(`${whole} stored bytes`, async () => ((await modelsIn(page))[0]?.stored ?? 0) >= whole);
        await browser.kill();
        await open();
      }
      server.clearFaults();
      const { loaded } = await mustLoad(LARGE);
      assert.equal(loaded.stored, true);
      const sent = server.bytesSent(LARGE);
      console.log(`${name}: ${KILLS} kills, ${(sent / LARGE_BYTES).toFixed(3)} × the file`);
      assert.ok(sent <= MOST * LARGE_BYTES, `${sent} bytes left the server for a file of ${LARGE_BYTES}`);
      assert.equal((await verify(loaded.id)).ok, true);
    });

    test(`a browser killed ${KILLS} times in full flow goes on with what was written, and nothing wrong is kept`, LONG, async () => {
      const places = random(SEED + 1, KILLS).map((share) => Math.floor(share * LARGE_BYTES));
      for (const place of places.sort((a, b) => a - b)) {
        const line = server.fault(LARGE, { rate: LINE });
        const before = server.bytesSent(LARGE);
        const held = (await modelsIn(page))[0]?.stored ?? 0;
        loadIn(page, LARGE).catch(() => {});
        await until("the next piece", () => server.bytesSent(LARGE) - before >= Math.max(place - held, CHUNK));
        // What a server sends to a browser that has just died is not counted.
        line.rate = 0;
        await browser.kill();
        await open();
      }
      server.clearFaults();
      const { loaded } = await mustLoad(LARGE);
      assert.equal(loaded.read + loaded.downloaded, LARGE_BYTES);
      assert.equal(loaded.repaired, 0, "the journal knew of bytes that were not there");
      assert.equal((await verify(loaded.id)).ok, true);
      // Lost is what is under way: a part of a chunk on each connection, and what is being written.
      const sent = server.bytesSent(LARGE);
      console.log(`${name}: ${KILLS} kills at ${LINE / 1e6} MB/s, ${(sent / LARGE_BYTES).toFixed(3)} × the file`);
      assert.ok(sent <= MOST * LARGE_BYTES, `${sent} bytes left the server for a file of ${LARGE_BYTES}`);
    });

    test("three tabs download a model once, and those that wait see how far it is", async () => {
      // So slow that nobody comes too late to see something.
      const line = server.fault(MODEL, { rate: LINE / 20 });
      const pages = [page, await openPage(), await openPage()];
      const loads = Promise.all(pages.map((page) => mustLoad(MODEL, page)));
      for (const page of pages) {
        await until("a tab that downloads or waits", async () => (await page.evaluate(() => globalThis.reached))?.stage === "download");
      }
      line.rate = LINE;
      const results = await loads;
      assert.equal(server.bytesSent(MODEL), MODEL_BYTES);
      assert.deepEqual(results.map(({ loaded }) => loaded.downloaded).sort((a, b) => a - b), [0, 0, MODEL_BYTES]);
      for (const { progress } of results) {
        const seen = progress.filter(({ stage }) => stage === "download").map(({ loaded }) => loaded);
        assert.ok(new Set(seen).size > 5, `a tab saw only ${seen}`);
      }
    });

    test("a tab takes over where the one that downloads dies", async () => {
      server.fault(MODEL, { stallAtByte: MODEL_BYTES / 2 });
      loadIn(page, MODEL).catch(() => {});
      const heir = await openPage();
      await until("a quarter of the model", async () => (await modelsIn(heir))[0]?.stored >= MODEL_BYTES / 4);
      const inherited = mustLoad(MODEL, heir);
      await sleep(200);
      server.clearFaults();
      await page.close();
      const { loaded } = await inherited;
      assert.ok(loaded.read >= MODEL_BYTES / 4, `${loaded.read} bytes were read`);
      assert.equal(loaded.read + loaded.downloaded, MODEL_BYTES);
      page = heir;
    });

    test("damage to the header, to a chunk and to the journal is repaired", async () => {
      const { loaded, text } = await mustLoad();
      await flipBit(page, loaded.id, 0, 5);
      await flipBit(page, loaded.id, 3, 12345);
      await blank(page, loaded.id, 5);
      await forget(page, loaded.id, 7);
      const spoil = (index, change) =>
        tamper(
          page,
          async ({ table, done }, key, change) => {
            const entry = await done(table("journal").get(key));
            await done(table("journal").put(change === null ? "nonsense" : { ...entry, ...change }, key));
          },
          [loaded.id, 0, index],
          change,
        );
      await spoil(8, { length: 1 });
      await spoil(9, { chunk: { part: 4_000_000_000, index: 4_000_000_000 } });
      await spoil(10, null);
      server.clearLog();
      const repaired = await mustLoad();
      assert.equal(repaired.text, text);
      assert.equal(server.bytesSent(MODEL), 7 * CHUNK);
      assert.equal((await mustLoad()).loaded.downloaded, 0);
    });

    test("verify with repair fetches what is damaged or lost again, and nothing else", async () => {
      const { loaded } = await mustLoad();
      const all = { ok: true, good: MODEL_BYTES / CHUNK, damaged: 0, missing: 0, repaired: 0 };
      assert.deepEqual(await verify(loaded.id, { repair: true }), all);
      await flipBit(page, loaded.id, 3, 12345);
      await forget(page, loaded.id, 7);
      server.clearLog();
      assert.deepEqual(await verify(loaded.id, { repair: true }), { ...all, good: all.good - 2, damaged: 1, missing: 1, repaired: 2 });
      const asked = server.log.filter(({ path }) => path === MODEL).map(({ range }) => range);
      assert.deepEqual(asked.sort(), [3, 7].map((chunk) => `bytes=${chunk * CHUNK}-${(chunk + 1) * CHUNK - 1}`));
      assert.deepEqual(await verify(loaded.id), all);
    });

    test("a record that makes no sense is refused, and the model downloaded again", async () => {
      const { loaded } = await mustLoad();
      for (const change of [{ chunk_size: 0 }, { files: [] }, { layout: 99 }, { complete: "perhaps" }, { files: [{ name: "m", sha256: null, parts: [{ url: MODEL, size: 1e300, validator: {} }] }] }]) {
        await tamper(
          page,
          async ({ table, done }, id, change) => {
            const record = await done(table("models").get(id));
            await done(table("models").put({ ...record, ...change }, id));
          },
          loaded.id,
          change,
        );
        const again = await mustLoad();
        assert.deepEqual({ size: again.loaded.size, stored: again.loaded.stored }, { size: MODEL_BYTES, stored: true }, JSON.stringify(change));
      }
    });

    for (const [kind, { prelude, lasting }] of Object.entries(BACKENDS)) {
      test(`a store in ${kind} is stored into, read, checked, repaired, listed and emptied`, async () => {
        const other = await startFaultServer({ isolated: true, mounts: { "/pkg/": PACKAGE } });
        try {
          for (const file of (await readdir(PACKAGE)).filter((file) => /^worker\..*\.js$/.test(file))) {
            other.setFile(`/pkg/${file}`, Buffer.concat([Buffer.from(prelude), await readFile(join(PACKAGE, file))]));
          }
          other.setFile("/index.html", PAGE);
          other.setFile(MODEL, model);
          await page.goto(`${other.origin}/index.html`);
          const call = (method, ...args) =>
            page.evaluate(async ({ method, args }) => (await import("/pkg/index.js")).Minnow.models[method](...args), { method, args });
          const cold = await mustLoad();
          assert.deepEqual({ downloaded: cold.loaded.downloaded, stored: cold.loaded.stored }, { downloaded: MODEL_BYTES, stored: lasting });
          assert.equal(cold.loaded.notStored === undefined, lasting);
          const warm = await mustLoad();
          assert.deepEqual({ downloaded: warm.loaded.downloaded, text: warm.text }, { downloaded: lasting ? 0 : MODEL_BYTES, text: cold.text });
          const { id } = cold.loaded;
          assert.deepEqual((await call("list")).map(({ stored, complete }) => ({ stored, complete })), lasting ? [{ stored: MODEL_BYTES, complete: true }] : []);
          if (lasting) {
            const place = await tamper(page, async ({ table, done }, id) => (await done(table("models").get(id))).place, id);
            assert.equal(place, kind);
            await flipBit(page, id, 2, 7);
            assert.deepEqual(await call("verify", id), { ok: false, good: MODEL_BYTES / CHUNK - 1, damaged: 1, missing: 0, repaired: 0 });
            assert.equal((await mustLoad()).loaded.downloaded, CHUNK);
            assert.equal((await call("verify", id)).ok, true);
            assert.equal((await call("usage")).models, MODEL_BYTES);
          }
          assert.equal(await call("remove", id), lasting);
          assert.deepEqual(await call("list"), []);
        } finally {
          await other.close();
        }
      });
    }

    test("a store of layout 1 is read as it is", async () => {
      await page.evaluate(makeLayout1, { id: `${server.origin}${MODEL}`, size: MODEL_BYTES });
      server.clearLog();
      const { loaded } = await mustLoad();
      assert.deepEqual({ downloaded: loaded.downloaded, read: loaded.read }, { downloaded: 0, read: MODEL_BYTES });
      const [{ complete, stored }] = await modelsIn(page);
      assert.deepEqual({ complete, stored }, { complete: true, stored: MODEL_BYTES });
      const [layout, place, keyless] = await tamper(page, async ({ table, done }, id) => {
        const record = await done(table("models").get(id));
        return [record.layout, record.place, record.key === undefined];
      }, loaded.id);
      assert.deepEqual([layout, place, keyless], [3, "tables", true]);
    });

    test("a load that waits for another outlives the collection of garbage", async () => {
      await page.evaluate(() => {
        // Objects and elements that hold only each other: the browser looks for such cycles again and again.
        setInterval(() => {
          for (let i = 0; i < 20; i++) {
            const objects = [];
            while (objects.length < 20_000) objects.push({ objects });
          }
        }, 20);
        setInterval(() => {
          for (let i = 0; i < 200; i++) {
            const element = document.createElement("div");
            element.onclick = () => element;
          }
        }, 50);
      });
      await mustLoad();
      const read = await page.evaluate(async (source) => {
        const taken = new Promise((resolve) => {
          navigator.locks.request(`minnow:${location.origin}${source}`, () => {
            resolve();
            return new Promise((release) => setTimeout(release, 6000));
          });
        });
        await taken;
        const { Minnow } = await import("/pkg/index.js");
        // Nothing but the promise refers to this one's worker.
        return (await Minnow.load(source, { contextLength: 256 })).info.loaded.read;
      }, MODEL);
      assert.equal(read, MODEL_BYTES);
    });

    test("a tab that keeps an earlier layout open does not hold up others for ever", async () => {
      const earlier = await openPage();
      await earlier.evaluate(async () => {
        const opening = indexedDB.open("minnow", 1);
        await new Promise((resolve) => (opening.onsuccess = resolve));
        // Held, so that it is not closed as garbage, and deaf to `versionchange`.
        globalThis.database = opening.result;
      });
      const listing = page.evaluate(async () => (await import("/pkg/index.js")).Minnow.models.list().catch(({ message }) => message));
      const { loaded } = await mustLoad();
      assert.equal(loaded.stored, false);
      for (const reason of [loaded.notStored, await listing]) assert.match(reason, /has not opened it for \d+ seconds: close the other tabs/);
      await earlier.close();
      assert.equal((await mustLoad()).loaded.stored, true);
    });

    test("a stored model is exported as the bytes it was", async () => {
      const { loaded } = await mustLoad();
      const exported = await page.evaluate(async (id) => {
        const { Minnow } = await import("/pkg/index.js");
        const bytes = await new Response(await Minnow.models.export(id)).arrayBuffer();
        const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
        return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
      }, loaded.id);
      assert.equal(exported, createHash("sha256").update(model).digest("hex"));
      await flipBit(page, loaded.id, 40, 9);
      const failed = await page.evaluate(async (id) => {
        const { Minnow } = await import("/pkg/index.js");
        try {
          for (const reader = (await Minnow.models.export(id)).getReader(); !(await reader.read()).done; );
        } catch ({ code }) {
          return code;
        }
      }, loaded.id);
      assert.equal(failed, "integrity_mismatch");
    });

    test("a model in use is removed when it is no longer read", async () => {
      const { loaded } = await mustLoad();
      const events = await page.evaluate(async (id) => {
        const { Minnow } = await import("/pkg/index.js");
        const events = [];
        const reader = (await Minnow.models.export(id)).getReader();
        await reader.read();
        const removed = Minnow.models.remove(id).then((removed) => events.push(removed));
        await new Promise((wait) => setTimeout(wait, 500));
        events.push((await reader.read()).value.length > 0);
        events.push("read");
        await reader.cancel();
        await removed;
        return events;
      }, loaded.id);
      assert.deepEqual(events, [true, "read", true]);
      assert.deepEqual(await modelsIn(page), []);
    });

    test("a quota that is exhausted half-way leaves a model that answers, unstored, and says so", { skip: name !== "chromium" && "only Chromium's can be set while it runs" }, async () => {
      const devtools = await page.context().newCDPSession(page);
      await devtools.send("Storage.overrideQuotaForOrigin", { origin: server.origin, quotaSize: MODEL_BYTES / 2 });
      const { loaded } = await mustLoad();
      assert.equal(loaded.stored, false);
      assert.match(loaded.notStored, /storage is full/);
      assert.deepEqual(await modelsIn(page), []);
    });

    test("too small a quota is seen before anything is stored, and other models go only where that is allowed", { skip: name !== "firefox" && "only Firefox reports a quota that was set" }, async () => {
      await browser.kill();
      // Of the limit in KiB, a fifth is one site's.
      await open({ "dom.quotaManager.temporaryStorage.fixedLimit": (5 * (MODEL_BYTES * 1.75)) / 1024 });
      for (const path of ["/first.gguf", "/second.gguf"]) {
        server.setFile(path, model.subarray(0, MODEL_BYTES / 2));
        assert.equal((await mustLoad(path)).loaded.stored, true);
      }
      const refused = await mustLoad();
      assert.equal(refused.loaded.stored, false);
      assert.match(refused.loaded.notStored, /the browser grants.*evict/);
      assert.equal((await modelsIn(page)).length, 2);
      const { loaded } = await loadIn(page, MODEL, { evict: true });
      assert.equal(loaded.stored, true);
      assert.deepEqual((await modelsIn(page)).map(({ files }) => files[0]), ["model.gguf", "second.gguf"]);
    });

    test("a hundred loads and unloads leave the memory as it was", LONG, async () => {
      server.setFile("/tiny.gguf", model.subarray(0, 1 << 20));
      const rounds = [];
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < 25; i++) await mustLoad("/tiny.gguf");
        await sleep(2000);
        rounds.push(await browser.memory());
      }
      console.log(`${name}: ${rounds.map((bytes) => `${(bytes / 1e6).toFixed(0)} MB`).join(", ")} after every 25 loads`);
      // The first rounds fill the browser's own caches.
      assert.ok(rounds[3] <= 1.05 * Math.max(...rounds.slice(0, 3)), `${rounds}`);
    });
  });
}

/** Numbers in [0, 1) that are the same in every run: a linear congruential generator (Numerical Recipes, 7.1). */
function random(seed, count) {
  const numbers = [];
  for (let state = seed; numbers.length < count; numbers.push(state / 2 ** 32)) state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return numbers;
}

/** Bytes that no chunk has in common with another. */
function noise(length) {
  const bytes = Buffer.alloc(length, createHash("sha512").update(String(SEED)).digest());
  for (let at = 0; at + 4 <= length; at += 4096) bytes.writeUInt32LE(at, at);
  return bytes;
}

/** The store as the first layout had it: everything in tables, chunks of 2 MiB. Runs in the page. */
async function makeLayout1({ id, size }) {
  const done = (request) => new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: reject }));
  const opening = indexedDB.open("minnow", 1);
  opening.onupgradeneeded = () => ["models", "chunks", "journal"].forEach((table) => opening.result.createObjectStore(table));
  const database = await done(opening);
  const bytes = new Uint8Array(await (await fetch(id)).arrayBuffer());
  const chunkSize = 2 << 20;
  for (let index = 0; index * chunkSize < size; index++) {
    const chunk = bytes.slice(index * chunkSize, (index + 1) * chunkSize);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", chunk));
    const digest = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const transaction = database.transaction(["chunks", "journal"], "readwrite");
    transaction.objectStore("chunks").put(chunk, [id, 0, index]);
    await done(transaction.objectStore("journal").put({ chunk: { part: 0, index }, length: chunk.length, digest }, [id, 0, index]));
  }
  const part = { url: id, size, validator: { etag: undefined, last_modified: undefined } };
  const files = [{ name: "model.gguf", sha256: undefined, parts: [part] }];
  const record = { layout: 1, id, aliases: [], chunk_size: chunkSize, files, complete: true, created: 1, last_used: 2 };
  await done(database.transaction("models", "readwrite").objectStore("models").put(record, id));
  database.close();
}
