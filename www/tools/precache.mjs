// Writes the service worker's list of the page's own files and the version that names its cache.
//
// Trunk runs it after each build, on the staged output: the version is a hash of every name and every byte, so that a
// changed page is a new cache and an unchanged one is not. Models are left out: the package keeps those in IndexedDB.
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { pathToFileURL } from "node:url";

/** Files a running page never asks for. */
const UNUSED = /\.(map|d\.ts|d\.mts|md|gguf)$|(^|\/)(package\.json|LICENSE[^/]*)$/;

/** The names, relative and with forward slashes, of the files in `root` that a visit without network needs. */
export async function pageFiles(root) {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter((name) => name !== "sw.js" && !name.startsWith("models/") && !UNUSED.test(name))
    .sort();
}

/** Twelve hexadecimal digits that change with any name or byte of `names` in `root`. */
export async function version(root, names) {
  const hash = createHash("sha256");
  for (const name of names) hash.update(`${name}\0`).update(await readFile(join(root, name)));
  return hash.digest("hex").slice(0, 12);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const root = process.env.TRUNK_STAGING_DIR ?? join("dist", "www");
  const names = await pageFiles(root);
  const worker = join(root, "sw.js");
  const source = await readFile(worker, "utf8");
  const header = `const VERSION = ${JSON.stringify(await version(root, names))};\nconst FILES = ${JSON.stringify(names)};\n`;
  await writeFile(worker, header + source);
}
