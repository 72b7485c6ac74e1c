// What the reader can set, with the ranges in which each is sensible. Sampling defaults are llama.cpp's.
import { store, stored } from "./storage.js";

/**
 * @typedef {object} Field
 * @property {string} name the request's own name, by OpenAI's or llama.cpp's convention
 * @property {string} label
 * @property {string} hint
 * @property {number | null} value the default; null leaves it to the engine
 * @property {boolean} [optional] may be left empty, which is null
 * @property {number} min
 * @property {number} max
 * @property {number} step
 */

/** @type {Field[]} */
export const SAMPLING = [
  { name: "temperature", label: "Temperature", hint: "0 always takes the likeliest token", value: 0.8, min: 0, max: 2, step: 0.05 },
  { name: "top_k", label: "Top-k", hint: "Only the k likeliest tokens; 0 keeps all", value: 40, min: 0, max: 200, step: 1 },
  { name: "top_p", label: "Top-p", hint: "The likeliest tokens up to this probability together", value: 0.95, min: 0, max: 1, step: 0.01 },
  { name: "min_p", label: "Min-p", hint: "Drops tokens this much less likely than the best", value: 0.05, min: 0, max: 1, step: 0.01 },
  { name: "repeat_penalty", label: "Repeat penalty", hint: "Above 1 avoids tokens just used", value: 1, min: 1, max: 2, step: 0.01 },
  { name: "seed", label: "Seed", hint: "The same seed gives the same answer; empty draws one", value: null, optional: true, min: 0, max: 4294967295, step: 1 },
];

/** @type {Field[]} */
export const LENGTH = [
  { name: "max_tokens", label: "Longest answer", hint: "Tokens; empty goes on to the end of the context", value: 1024, optional: true, min: 1, max: 131072, step: 1 },
  { name: "contextLength", label: "Context length", hint: "Tokens kept in memory; empty lets the device decide. Takes effect when a model is loaded", value: null, optional: true, min: 256, max: 131072, step: 256 },
];

const FIELDS = [...SAMPLING, ...LENGTH];
const KEY = "preferences";

/** Every setting at its default. */
export const defaults = () => ({ system: "", thinking: true, ...Object.fromEntries(FIELDS.map(({ name, value }) => [name, value])) });

/**
 * `values` with everything missing, mistyped or out of range put right.
 * @param {Record<string, unknown>} [values]
 */
export function valid(values = {}) {
  const result = defaults();
  if (typeof values.system === "string") result.system = values.system;
  if (typeof values.thinking === "boolean") result.thinking = values.thinking;
  for (const { name, optional, min, max } of FIELDS) {
    if (values[name] === null && optional) result[name] = null;
    if (Number.isFinite(values[name])) result[name] = Math.min(max, Math.max(min, values[name]));
  }
  return result;
}

/** The settings of the last visit. */
export const load = () => valid(stored(KEY));

/** Remembers the settings. @param {ReturnType<typeof defaults>} values */
export const save = (values) => store(KEY, values);

/** The part of a chat request that the settings decide. @param {ReturnType<typeof defaults>} values */
export function requestOptions(values) {
  const names = [...SAMPLING.map(({ name }) => name), "max_tokens"];
  const options = Object.fromEntries(names.filter((name) => values[name] !== null).map((name) => [name, values[name]]));
  // Templates that know the variable think unless told not to.
  return values.thinking ? options : { ...options, enable_thinking: false };
}
