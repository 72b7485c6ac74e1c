import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { pageFiles, version } from "../tools/precache.mjs";

const page = new URL("../index.html", import.meta.url);

test("the content security policy allows the import map as it is", async () => {
  const html = await readFile(page, "utf8");
  const [, map] = /<script type="importmap">(.*?)<\/script>/s.exec(html);
  const hash = createHash("sha256").update(map).digest("base64");
  assert.ok(html.includes(`'sha256-${hash}'`), `put 'sha256-${hash}' into the policy`);
});

test("the service worker's list has what a visit needs, and its version follows names and bytes", async (context) => {
  const root = await mkdtemp(join(tmpdir(), "minnow-page-"));
  context.after(() => rm(root, { recursive: true }));
  await mkdir(join(root, "models"));
  await mkdir(join(root, "minnow-llm"));
  const names = ["index.html", "sw.js", "models/a.gguf", "minnow-llm/index.js", "minnow-llm/index.d.ts", "minnow-llm/package.json"];
  for (const name of names) await writeFile(join(root, name), name);
  const files = await pageFiles(root);
  assert.deepEqual(files, ["index.html", "minnow-llm/index.js"]);
  const before = await version(root, files);
  assert.equal(await version(root, files), before);
  await writeFile(join(root, "index.html"), "changed");
  assert.notEqual(await version(root, files), before);
});
