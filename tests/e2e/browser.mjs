// Finds and starts the browsers. Chromium is driven by Playwright, from CHROMIUM or where Linux distributions put it.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { findFirefox, launchFirefox } from "./firefox.mjs";
import { ANSWER_MS, limited, within } from "./limits.mjs";
import { announced, kill, memory } from "./process.mjs";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];
const ARGUMENTS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const LISTENING = /DevTools listening on (ws:\S+)/;

/** The browsers that are there, by the names that `launchOn` takes. Tests of storage run in each. */
export const browsers = ["chromium", ...(findFirefox() ? ["firefox"] : [])];

/** Starts a headless Chromium with an empty profile. */
export async function launch() {
  return chromium.launch({ executablePath: findChromium(), args: switches() });
}

/**
 * Starts a browser on a profile's folder, with whatever an earlier one left in it.
 * @param {string} name one of `browsers`
 * @param {string} folder
 * @param {Record<string, boolean | number | string>} [preferences] Firefox's own, by their names in about:config
 * @returns {Promise<{ newPage(): Promise<object>, memory(): Promise<number>, kill(): Promise<void> }>} `memory` is the bytes that
 *   all its processes take; `kill` ends them at once, in the middle of whatever they do
 */
export function launchOn(name, folder, preferences) {
  return name === "firefox" ? launchFirefoxOn(folder, preferences) : launchChromiumOn(folder);
}

async function launchFirefoxOn(profile, preferences) {
  const browser = await launchFirefox({ profile, preferences });
  const context = browser.defaultContext();
  return { newPage: () => context.newPage(), memory: browser.memory, kill: browser.kill };
}

async function launchChromiumOn(folder) {
  const args = [...switches(), "--headless", "--remote-debugging-port=0", `--user-data-dir=${folder}`, "about:blank"];
  const child = spawn(findChromium(), args, { detached: true, stdio: ["ignore", "ignore", "pipe"] });
  try {
    const browser = await chromium.connectOverCDP(await announced(child, LISTENING));
    const [context] = browser.contexts();
    const newPage = async () => limited(await within(ANSWER_MS, "a new page", context.newPage()));
    return { newPage, memory: () => memory(child), kill: () => kill(child) };
  } catch (error) {
    await kill(child);
    throw error;
  }
}

function findChromium() {
  const path = process.env.CHROMIUM ?? PLACES.find(existsSync);
  if (!path) throw new Error("no Chromium found: install it (Debian: apt install chromium) or set CHROMIUM to its path");
  return path;
}

/** Chromium refuses its sandbox to root, which is what containers run as. */
const switches = () => (process.getuid?.() === 0 ? [...ARGUMENTS, "--no-sandbox"] : ARGUMENTS);
