// Everything that can be named as a model, in a real browser: what is found, in which order, and what is refused.
import assert from "node:assert/strict";
import { before, beforeEach, describe } from "node:test";
import { split, withString, withType } from "./gguf.mjs";
import { test } from "./limits.mjs";
import { elsewhere, models, mustFail, mustLeaveNothing, mustLoad, page, server, tiny } from "./loading.mjs";
import { flipBit } from "./tamper.mjs";

/** ggml's numbers of tensor types: two of one size, of which Minnow computes the first. */
const [Q4_0, NVFP4] = [2, 40];

describe("what is no model", () => {
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
    server.setFile("/nvfp4.gguf", withType(tiny["qwen3-q4_0"], Q4_0, NVFP4));
    assert.match((await mustLeaveNothing("/nvfp4.gguf", "unsupported_quantization")).message, /NVFP4/i);
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

describe("sources", () => {
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
    await same("/set-00001-of-00003.gguf");
    const list = [3, 1, 2].map((no) => `/set-0000${no}-of-00003.gguf`);
    assert.equal((await same(list)).downloaded, 0, "it is the same model");
    await mustFail(list.slice(1), "invalid_request");
  });

  test("raw parts, by the first one's name and as a list", async () => {
    await same("/cut.gguf.part1of3");
    await same([2, 0, 1].map((no) => `/cut.gguf.part0${no}`));
  });

  test("a mirror, where the first place fails, and another where that has something else", async () => {
    elsewhere.fault("/tiny.gguf", { html: true });
    const mirrors = [`${elsewhere.origin}/tiny.gguf`, "/tiny.gguf"];
    const loaded = await same("/nowhere/tiny.gguf", { mirrors, headers: { Authorization: "Basic secret" } });
    assert.equal(loaded.stored, true);
    assert.ok(server.log.some(({ authorization }) => authorization === "Basic secret"));
    assert.deepEqual(elsewhere.log.map(({ authorization }) => authorization), [null]);
    assert.deepEqual(server.log.filter(({ path }) => path.endsWith("/tiny.gguf")).map(({ status }) => status), [404, 206]);
    server.clearLog();
    await same("/nowhere/tiny.gguf", { mirrors });
    assert.deepEqual(server.log.filter(({ path }) => path.endsWith("/tiny.gguf")), [], "it is stored");
    await mustFail("/nowhere/tiny.gguf", "invalid_request", { mirrors: [`${elsewhere.origin}/tiny.gguf`], allowedOrigins: [server.origin] });
  });

  test("a stream", async () => {
    const { loaded, text } = await page.evaluate(async () => {
      const { Minnow } = await import("/pkg/index.js");
      const { body } = await fetch("/tiny.gguf");
      const minnow = await Minnow.load(body, { contextLength: 256 });
      const { choices } = await minnow.completions.create({ prompt: "abc", max_tokens: 4, temperature: 0 });
      await minnow.unload();
      return { loaded: minnow.info.loaded, text: choices[0].text };
    });
    assert.equal(text, expected);
    assert.deepEqual([loaded.stored, loaded.downloaded], [false, tiny["llama-q4_1"].length]);
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

  test("a file that is stored needs no picking the next time", async () => {
    const size = tiny["llama-q4_1"].length;
    /** Loads a file that was changed at `modified`, or a stored one by its name. */
    const loadFile = (source, options = {}) =>
      page.evaluate(
        async ({ source, options }) => {
          const { Minnow } = await import("/pkg/index.js");
          const { path, modified } = source;
          const file = path && new File([await (await fetch(path)).blob()], "picked.gguf", { lastModified: modified });
          try {
            const minnow = await Minnow.load(file ?? source, { contextLength: 256, ...options });
            const { choices } = await minnow.completions.create({ prompt: "abc", max_tokens: 4, temperature: 0 });
            await minnow.unload();
            return { ...minnow.info.loaded, text: choices[0].text };
          } catch ({ code, message }) {
            return { code, message };
          }
        },
        { source, options },
      );
    const call = (method, ...args) =>
      page.evaluate(async ({ method, args }) => (await import("/pkg/index.js")).Minnow.models[method](...args), { method, args });
    const file = { path: "/tiny.gguf", modified: 1 };
    assert.match((await loadFile("file:picked.gguf")).message, /stored here.*choose it once more/);

    const first = await loadFile(file, { store: true });
    assert.deepEqual([first.id, first.stored, first.downloaded, first.text], ["file:picked.gguf", true, size, expected]);
    await page.reload();
    const named = await loadFile("file:picked.gguf");
    assert.deepEqual([named.read, named.downloaded, named.text], [size, 0, expected]);
    assert.equal((await loadFile(file, { store: true })).read, size, "the same file is not copied again");
    assert.deepEqual((await call("list")).map(({ id, complete }) => [id, complete]), [["file:picked.gguf", true]]);
    assert.equal((await call("verify", "file:picked.gguf")).ok, true);
    const exported = await page.evaluate(async () => {
      const { Minnow } = await import("/pkg/index.js");
      return (await new Response(await Minnow.models.export("file:picked.gguf")).arrayBuffer()).byteLength;
    });
    assert.equal(exported, size);

    await flipBit(page, first.id, 0, 5000);
    assert.match((await loadFile("file:picked.gguf")).message, /not at hand: choose it once more/);
    assert.equal((await loadFile(file)).text, expected, "the file itself is used where the copy is damaged");

    const changed = { path: "/other.gguf", modified: 2 };
    server.setFile(changed.path, tiny["llama-f32"]);
    const second = await loadFile(changed, { store: true });
    assert.deepEqual([second.id, second.downloaded], ["file:picked.gguf", tiny["llama-f32"].length]);
    assert.equal((await loadFile("file:picked.gguf")).size, tiny["llama-f32"].length);
    assert.equal(await call("remove", "file:picked.gguf"), true);
    assert.deepEqual(await models(), []);
    const pulled = await page.evaluate(async () => {
      const { Minnow } = await import("/pkg/index.js");
      return Minnow.models.pull(new File([await (await fetch("/tiny.gguf")).blob()], "pulled.gguf"));
    });
    assert.deepEqual([pulled.id, pulled.stored], ["file:pulled.gguf", true]);
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
