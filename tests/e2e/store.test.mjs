// The model store on a real disk, in every browser that is there: what it survives, and what becomes of many tabs.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { browsers, launchOn } from "./browser.mjs";
import { startFaultServer } from "./fault-server.mjs";
import { PACKAGE, PAGE, loadIn, modelsIn } from "./pages.mjs";
import { CHUNK, blank, flipBit, forget, tamper } from "./tamper.mjs";

const TINY = new URL("../fixtures/models/tiny/llama-q4_1.gguf", import.meta.url);
const TIMEOUT = { timeout: 600_000 };
const MODEL = "/model.gguf";
const LARGE = "/large.gguf";
/** Bytes after the last tensor, which belong to nobody: they make a model of any size that is computed in no time. */
const [MODEL_BYTES, LARGE_BYTES] = [24 << 20, 256 << 20];
/** What a download may cost at most, over all its attempts. */
const MOST = 1.05;
const KILLS = 10;
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
  describe(`the store in ${name}`, TIMEOUT, () => {
    let profile;
    let browser;
    let page;
    const open = async () => {
      browser = await launchOn(name, profile);
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

    test(`a browser killed at ${KILLS} random moments of a download fetches next to nothing twice`, async () => {
      const moments = random(SEED, KILLS).map((share) => share * LARGE_BYTES);
      // Slower than any storage: what waits in a socket's buffers counts as sent.
      server.fault(LARGE, { trickle: { bytes: 32 << 10, ms: 8 } });
      for (const moment of moments.sort((a, b) => a - b)) {
        loadIn(page, LARGE).catch(() => {});
        while (server.bytesSent(LARGE) < moment) await sleep(2);
        await browser.kill();
        await open();
      }
      const { loaded } = await mustLoad(LARGE);
      assert.equal(loaded.stored, true);
      const sent = server.bytesSent(LARGE);
      console.log(`${name}: ${KILLS} kills, ${(sent / LARGE_BYTES).toFixed(3)} × the file`);
      assert.ok(sent <= MOST * LARGE_BYTES, `${sent} bytes left the server for a file of ${LARGE_BYTES}`);
    });

    test("three tabs download a model once, and those that wait see how far it is", async () => {
      server.fault(MODEL, { trickle: { bytes: 64 << 10, ms: 4 } });
      const pages = [page, await openPage(), await openPage()];
      const results = await Promise.all(pages.map((page) => mustLoad(MODEL, page)));
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
      const stored = async () => (await modelsIn(heir))[0]?.stored ?? 0;
      while ((await stored()) < MODEL_BYTES / 4) await sleep(50);
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
