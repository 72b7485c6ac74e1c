// Starts stock Firefox and drives it through WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), with those of Playwright's
// calls that the tests of loading use: Playwright's own Firefox is a patched one.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";
import { ANSWER_MS, describeCall, within } from "./limits.mjs";
import { announced, kill, memory } from "./process.mjs";

const PLACES = ["/usr/bin/firefox-esr", "/usr/bin/firefox", "/snap/bin/firefox", "/Applications/Firefox.app/Contents/MacOS/firefox"];
const LISTENING = /WebDriver BiDi listening on (ws:\S+)/;
/** Nothing that asks the network or the user for anything. */
const PREFERENCES = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.page": 0,
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.getAddons.cache.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "toolkit.telemetry.reportingpolicy.firstRun": false,
};

/** The program: FIREFOX, or where systems put it; undefined if there is none. */
export const findFirefox = () => process.env.FIREFOX ?? PLACES.find(existsSync);

/**
 * Starts a headless Firefox.
 * @param {{ profile?: string, preferences?: Record<string, boolean | number | string> }} [options] a profile's folder, to be
 *   found as the last browser left it; without one the profile is new, and removed at the end
 */
export async function launchFirefox({ profile, preferences = {} } = {}) {
  const program = findFirefox();
  if (!program) throw new Error("no Firefox found: install it (Debian: apt install firefox-esr) or set FIREFOX to its path");
  const folder = profile ?? (await mkdtemp(join(tmpdir(), "minnow-firefox-")));
  const lines = Object.entries({ ...PREFERENCES, ...preferences }).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`);
  await writeFile(join(folder, "user.js"), lines.join(""));
  const child = spawn(program, ["--headless", "--no-remote", "--remote-debugging-port=0", "--remote-allow-system-access", "--profile", folder, "about:blank"], {
    // A process group of its own: ending it ends the processes of its tabs too.
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
  });
  try {
    const session = await Session.open(await announced(child, LISTENING));
    const end = async () => {
      session.end();
      await kill(child);
      if (!profile) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    };
    return new Firefox(session, end, () => memory(child));
  } catch (error) {
    await kill(child);
    throw error;
  }
}

/** Commands and their answers over one WebSocket. */
class Session {
  #socket;
  #pending = new Map();
  #lastId = 0;
  /** What requests are asked while they are intercepted: whether they are sent. */
  #passes;
  #intercept;

  static async open(url) {
    const session = new Session();
    session.#socket = new WebSocket(`${url}/session`, { maxPayload: 0 });
    const opened = new Promise((resolve, reject) => session.#socket.once("open", resolve).once("error", reject));
    await within(ANSWER_MS, "the browser's socket", opened);
    session.#socket.on("message", (text) => session.#receive(JSON.parse(text)));
    session.#socket.on("close", () => session.end());
    await session.send("session.new", { capabilities: {} });
    return session;
  }

  /** Sends a command and gives its answer; `what` names it where there is none. */
  async send(method, params, what = JSON.stringify(params)) {
    const id = ++this.#lastId;
    const answer = new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, method });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
    try {
      return await within(ANSWER_MS, `${method}: ${what}`, answer);
    } finally {
      this.#pending.delete(id);
    }
  }

  /** Calls a function with one argument in a window, or in the browser itself, and gives its result as BiDi has it. */
  call(context, functionDeclaration, argument, what) {
    return this.send("script.callFunction", { functionDeclaration, arguments: [argument], target: { context }, awaitPromise: true }, what);
  }

  /** From now on only requests are sent whose address `passes`; without it, all are again. */
  async filterRequests(passes) {
    this.#passes = passes || (() => true);
    const intercept = this.#intercept;
    this.#intercept = undefined;
    if (intercept) await this.send("network.removeIntercept", { intercept });
    if (!passes) return;
    await this.send("session.subscribe", { events: ["network.beforeRequestSent"] });
    ({ intercept: this.#intercept } = await this.send("network.addIntercept", { phases: ["beforeRequestSent"] }));
  }

  /** Closes the connection; what waits for an answer fails. */
  end() {
    for (const { reject, method } of this.#pending.values()) reject(new Error(`${method}: the browser has gone`));
    this.#pending.clear();
    this.#socket.terminate();
  }

  #receive({ id, method, params, result, error, message }) {
    if (method === "network.beforeRequestSent" && params.isBlocked) {
      const { request, url } = params.request;
      // One that has ended meanwhile is not there to be decided on.
      this.send(this.#passes(url) ? "network.continueRequest" : "network.failRequest", { request }).catch(() => {});
    }
    const call = this.#pending.get(id);
    if (!call) return;
    if (error) call.reject(new Error(`${call.method}: ${error}: ${message}`));
    else call.resolve(result);
  }
}

class Firefox {
  #session;
  /** Ends the browser with all its processes, at once: what is being written is left half-written. */
  kill;
  /** The same, since nothing is kept that an orderly end would save. */
  close;

  /** The bytes that its processes take. */
  memory;

  constructor(session, kill, memory) {
    this.#session = session;
    this.kill = this.close = kill;
    this.memory = memory;
  }

  /** A storage of its own, empty. */
  async newContext() {
    const { userContext } = await this.#session.send("browser.createUserContext", {});
    return new Context(this.#session, userContext);
  }

  /** The storage of the profile, which the next browser finds again. */
  defaultContext() {
    return new Context(this.#session, "default");
  }
}

class Context {
  #session;
  #id;
  #offline = false;

  constructor(session, id) {
    this.#session = session;
    this.#id = id;
  }

  async newPage() {
    const { context } = await this.#session.send("browsingContext.create", { type: "tab", userContext: this.#id });
    return new Page(this.#session, context);
  }

  /**
   * Takes the network away from pages and their workers, or gives it back. What is under way goes on, and scripts come still, as
   * they would from the cache. BiDi's own way (`emulation.setNetworkConditions`) takes those away too, and leaves
   * `navigator.onLine` of workers as it is.
   */
  async setOffline(offline) {
    this.#offline = offline;
    await this.#session.filterRequests(offline && ((url) => /\.(js|wasm)$/.test(url)));
    const { contexts } = await this.#session.send("browsingContext.getTree", { "moz:scope": "chrome" });
    await this.#session.call(contexts[0].context, String(tellProcesses), { type: "boolean", value: offline });
  }

  async close() {
    if (this.#offline) await this.setOffline(false);
    await this.#session.send("browser.removeUserContext", { userContext: this.#id });
  }
}

class Page {
  #session;
  #id;

  constructor(session, id) {
    this.#session = session;
    this.#id = id;
  }

  async goto(url) {
    await this.#session.send("browsingContext.navigate", { context: this.#id, url, wait: "complete" });
  }

  async reload() {
    await this.#session.send("browsingContext.reload", { context: this.#id, wait: "complete" });
  }

  async close() {
    await this.#session.send("browsingContext.close", { context: this.#id });
  }

  /** Calls a function in the page. What goes in and what comes out travels as JSON. */
  async evaluate(work, argument) {
    const call = `async (json) => JSON.stringify(await (${work})(json === "" ? undefined : JSON.parse(json)))`;
    const json = { type: "string", value: JSON.stringify(argument) ?? "" };
    const { type, result, exceptionDetails } = await this.#session.call(this.#id, call, json, describeCall(work, argument));
    if (type === "exception") throw new Error(exceptionDetails.text);
    return result.type === "string" ? JSON.parse(result.value) : undefined;
  }
}

/** Runs in the browser itself: has the processes of pages, those to come too, take it that there is no network. */
function tellProcesses(offline) {
  const tell = `if (Services.appinfo.processType === Services.appinfo.PROCESS_TYPE_CONTENT) Services.io.offline = ${offline};`;
  Services.ppmm.loadProcessScript(`data:,${tell}`, true);
}
