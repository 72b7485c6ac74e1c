// Packs dist/minnow-llm as npm would publish it, and uses it as strangers do. Needs a Chromium, named
// in $CHROMIUM or at Debian's place.

import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import * as vite from "vite";
import webpack from "webpack";
import { serve } from "./server.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const dist = join(root, "dist/minnow-llm");
const model = join(root, "tests/fixtures/models/tiny/llama-q4_1.gguf");

/** Long enough for a first start of the browser on a slow machine. */
const PATIENCE_MS = 60_000;

const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

const VARIANTS = ["simd", "relaxed", "simd-threads", "relaxed-threads"];

/** What the app is to get in a page that may not share memory, and in one that may. */
const ALONE = { threads: 1, variant: /^(simd|relaxed)$/ };
const TOGETHER = { wishes: { threads: 2 }, threads: 2, variant: /^(simd|relaxed)-threads$/ };

const CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const execute = promisify(execFile);

/** Runs a program; its output is in the error when it fails. */
async function run(program, args, options = {}) {
  try {
    return (await execute(program, args, { ...options, maxBuffer: 2 ** 26 })).stdout;
  } catch (error) {
    throw new Error(`${program} ${args.join(" ")} failed:\n${error.stdout}\n${error.stderr}`);
  }
}

function assert(condition, message) {
  if (!condition) throw new Error(message);
}

/** A new project with the package installed from its tarball, and the app's sources. */
async function project(name) {
  const folder = join(work, name);
  await mkdir(folder);
  await writeFile(join(folder, "package.json"), JSON.stringify({ name, private: true, type: "module" }));
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", tarball], { cwd: folder });
  await cp(join(here, "app"), folder, { recursive: true });
  return folder;
}

/** Opens the app served from `folder`, and sees to it that it says something. */
async function answers(folder, headers = {}, expected = ALONE) {
  const server = await serve(folder, { headers, files: { "/model.gguf": model } });
  try {
    return await answersAt(server.address, expected);
  } finally {
    await server.close();
  }
}

/** Loads the app with the wishes of `expected`, and sees to it that it gets what is expected, and answers. */
async function answersAt(address, { wishes = {}, threads, reason = /./, variant, complaints: harmless = /^$/ } = ALONE) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => message.type() === "error" && !harmless.test(message.text()) && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.goto(`${address}?wishes=${encodeURIComponent(JSON.stringify(wishes))}`);
    const output = page.locator("#output[data-outcome]");
    await output.waitFor({ state: "attached", timeout: PATIENCE_MS }).catch(() => {
      throw new Error(`the page did not come to an end: ${complaints.join("; ") || "and said nothing"}`);
    });
    const outcome = JSON.parse(await output.getAttribute("data-outcome"));
    assert(!outcome.error, `${outcome.error}; console: ${complaints.join("; ")}`);
    assert(complaints.length === 0, `the console shows: ${complaints.join("; ")}`);
    assert(outcome.text.length > 0 && outcome.finish === "length", `unexpected answer: ${JSON.stringify(outcome)}`);
    assert(outcome.completion_tokens === 3, `asked for 3 tokens, got ${outcome.completion_tokens}`);
    assert(variant.test(outcome.variant), `the ${outcome.variant} build was chosen`);
    assert(reason.test(outcome.threadsReason), `threads: ${outcome.threadsReason}`);
    assert(threads === outcome.threads, `${threads} threads were expected, there are ${outcome.threads}: ${outcome.threadsReason}`);
    return `${outcome.variant} build, threads: ${outcome.threads} (${outcome.threadsReason}), ${JSON.stringify(outcome.text)}`;
  } finally {
    await context.close();
  }
}

/** The app without any bundler: it names the package by its path. */
async function plainPage(name) {
  const folder = await project(name);
  const main = await readFile(join(folder, "main.js"), "utf8");
  await writeFile(join(folder, "main.js"), main.replace('"minnow-llm"', '"./node_modules/minnow-llm/index.js"'));
  return folder;
}

const steps = {
  "npm pack holds what it should": async () => {
    const files = (await run("tar", ["-tzf", tarball])).trim().split("\n").map((name) => name.replace(/^package\//, ""));
    const builds = VARIANTS.flatMap((variant) => [`worker.${variant}.js`, `wasm/${variant}/minnow_bg.wasm`]);
    const compute = ["compute.simd-threads.js", "compute.relaxed-threads.js"];
    for (const needed of ["index.js", "index.d.ts", ...builds, ...compute, "LICENSE-MIT", "LICENSE-APACHE", "README.md"]) {
      assert(files.includes(needed), `${needed} is missing; there are ${files.join(", ")}`);
    }
    const stray = files.filter((name) => !/\.(js|d\.ts|wasm|md)$|^LICENSE-|^package\.json$/.test(name));
    assert(stray.length === 0, `these do not belong there: ${stray.join(", ")}`);
    const manifest = JSON.parse(await readFile(join(dist, "package.json"), "utf8"));
    assert(!manifest.dependencies && !manifest.scripts, "the package must have no dependencies and no scripts");
    return `${files.length} files`;
  },

  "publint finds nothing": async () => {
    const { messages, pkg } = await publint({ pkgDir: dist, strict: true });
    assert(messages.length === 0, messages.map((message) => formatMessage(message, pkg)).join("\n"));
  },

  "its types resolve (are the types wrong?)": async () => {
    const attw = join(here, "node_modules/@arethetypeswrong/cli/dist/index.js");
    await run(process.execPath, [attw, tarball, "--profile", "esm-only", "--no-emoji", "--format", "table-flipped"]);
  },

  "importing it on a server works, loading a model there is refused": async () => {
    const folder = await project("server");
    const script = `
      import { Minnow, MinnowError } from "minnow-llm";
      const error = await Minnow.load("https://localhost/model.gguf").catch((error) => error);
      console.log(error instanceof MinnowError && error.code, Minnow.capabilities().threads);`;
    const printed = await run(process.execPath, ["--input-type=module", "--eval", script], { cwd: folder });
    assert(printed.trim() === "unsupported_browser 1", `printed ${printed}`);
  },

  "a strict TypeScript project compiles": async () => {
    const folder = await project("typescript");
    const tsc = join(here, "node_modules/typescript/bin/tsc");
    for (const [module, moduleResolution] of [["ESNext", "bundler"], ["NodeNext", "nodenext"]]) {
      await run(process.execPath, [tsc, "consumer.ts", "--ignoreConfig", "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", "false", "--target", "ES2022", "--lib", "ES2022,DOM,DOM.Iterable", "--types", "", "--module", module, "--moduleResolution", moduleResolution], { cwd: folder });
    }
  },

  "a plain page answers": async () => {
    return answers(await plainPage("plain"));
  },

  "a page with a strict content security policy answers": async () => {
    return answers(await plainPage("csp"), {
      "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src data:",
    });
  },

  "a cross-origin isolated page answers with every build": async () => {
    const folder = await plainPage("isolated");
    const told = [await answers(folder, ISOLATION, TOGETHER)];
    for (const variant of VARIANTS) {
      const threads = variant.endsWith("-threads") ? 2 : 1;
      told.push(await answers(folder, ISOLATION, { wishes: { variant, threads: 2 }, threads, variant: new RegExp(`^${variant}$`) }));
    }
    told.push(await answers(folder, ISOLATION, { ...ALONE, wishes: { threads: 1 } }));
    return told.join("; ");
  },

  "an isolated page whose compute workers cannot start answers on one thread": async () => {
    const folder = await plainPage("fallback");
    const installed = join(folder, "node_modules/minnow-llm");
    for (const name of ["compute.simd-threads.js", "compute.relaxed-threads.js"]) await rm(join(installed, name));
    return answers(folder, ISOLATION, { ...TOGETHER, threads: 1, reason: /^2 could not be started: /, complaints: /404/ });
  },

  "Vite's build answers": async () => {
    const folder = await project("vite");
    await vite.build({ root: folder, base: "./", configFile: false, logLevel: "warn" });
    const built = join(folder, "dist");
    return `${await answers(built)}; ${await answers(built, ISOLATION, TOGETHER)}`;
  },

  "Vite's development server answers": async () => {
    const folder = await project("vite-dev");
    await cp(model, join(folder, "model.gguf"));
    const server = await vite.createServer({
      root: folder,
      configFile: false,
      logLevel: "warn",
      server: { host: "127.0.0.1", headers: ISOLATION },
      // As the README says.
      optimizeDeps: { exclude: ["minnow-llm"] },
    });
    await server.listen();
    try {
      return await answersAt(`http://127.0.0.1:${server.httpServer.address().port}/`, TOGETHER);
    } finally {
      await server.close();
    }
  },

  "webpack's build answers": async () => {
    const folder = await project("webpack");
    const compiler = webpack({ mode: "production", context: folder, entry: "./main.js", output: { path: join(folder, "dist"), filename: "main.js" } });
    const stats = await promisify(compiler.run.bind(compiler))();
    assert(!stats.hasErrors(), stats.toString({ all: false, errors: true }));
    await promisify(compiler.close.bind(compiler))();
    await cp(join(folder, "index.html"), join(folder, "dist/index.html"));
    const built = join(folder, "dist");
    return `${await answers(built)}; ${await answers(built, ISOLATION, TOGETHER)}`;
  },
};

const work = await mkdtemp(join(tmpdir(), "minnow-packaging-"));
const packed = JSON.parse(await run("npm", ["pack", "--json", "--loglevel=error", "--pack-destination", work], { cwd: dist }));
const tarball = join(work, packed[0].filename);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: CHROMIUM_FLAGS });

let failed = 0;
const wanted = process.argv.slice(2);
const chosen = Object.entries(steps).filter(([name]) => wanted.length === 0 || wanted.some((word) => name.includes(word)));
for (const [name, step] of chosen) {
  const began = performance.now();
  try {
    const told = await step();
    console.log(`✓ ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)${told ? `: ${told}` : ""}`);
  } catch (error) {
    failed += 1;
    console.log(`✗ ${name}\n${String(error.message ?? error).replace(/^/gm, "    ")}`);
  }
}
await browser.close();
await rm(work, { recursive: true, force: true });
console.log(`\n${chosen.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
