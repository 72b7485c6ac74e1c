// The figures of this run: speed, build, memory, context, storage.
import { byId, element } from "./dom.js";
import { bytes, count, speed } from "./format.js";

/**
 * @typedef {object} Facts
 * @property {number} [tokensPerSecond] of the answer being written or the last one
 * @property {string} [build]
 * @property {string} [threads]
 * @property {number} [memory] bytes of wasm memory
 * @property {number} [contextUsed] tokens
 * @property {number} [contextLength] tokens
 * @property {{ used: number, quota: number }} [storage] bytes
 * @property {string[]} [reasons] why this build and these threads
 */

/** Shows what is known; a dash for what is not. @param {Facts} facts */
export function showFigures(facts) {
  const { tokensPerSecond, build, threads, memory, contextUsed, contextLength, storage, reasons = [] } = facts;
  const rows = [
    ["Speed", tokensPerSecond ? speed(tokensPerSecond) : ""],
    ["Build", build],
    ["Threads", threads],
    ["Memory", memory ? bytes(memory) : ""],
    ["Context", contextLength ? `${count(contextUsed ?? 0)} of ${count(contextLength)}` : ""],
    ["Storage", storage ? bytes(storage.used) : ""],
  ];
  byId("figures").replaceChildren(
    ...rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value || "–"))),
  );
  byId("why").hidden = reasons.length === 0;
  byId("why-text").replaceChildren(...reasons.map((reason) => element("p", { className: "small" }, reason)));
}
