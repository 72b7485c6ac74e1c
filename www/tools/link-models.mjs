// Offers the catalogue's models that are on this machine at ./models/ of the built page, so that the demo needs no hub.
//
// Trunk runs it after each build. Each is looked for in the folder that MINNOW_DEMO_MODELS names (`cargo xtask demo` sets
// it to its cache) and hard-linked, or copied where the file system cannot link; models/index.json then lists what is
// there: {"files": {"<name>": <bytes>}}. The page reads that list and prefers a file it names over the hub.
import { copyFile, link, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

const page = process.env.TRUNK_STAGING_DIR ?? join("dist", "www");
const from = process.env.MINNOW_DEMO_MODELS ?? "";
const to = join(page, "models");

const { models } = JSON.parse(await readFile(join(page, "catalogue.json"), "utf8"));
await mkdir(to, { recursive: true });
const files = {};
for (const { file } of models) {
  const found = from && (await stat(join(from, file)).catch(() => undefined));
  if (!found) continue;
  await link(join(from, file), join(to, file)).catch(() => copyFile(join(from, file), join(to, file)));
  files[file] = found.size;
}
await writeFile(join(to, "index.json"), `${JSON.stringify({ files })}\n`);
