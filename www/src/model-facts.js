// What a loaded model says about itself, in the page's words.

const BUILDS = { simd: "SIMD", relaxed: "Relaxed SIMD", "simd-threads": "SIMD, threads", "relaxed-threads": "Relaxed SIMD, threads" };
const PARAMETER_UNITS = [
  [1e9, "B"],
  [1e6, "M"],
];

/**
 * The model's name and a line about it.
 * @param {import("minnow-llm").Minnow} minnow
 * @param {import("./models-view.js").Choice} chosen
 */
export function modelFacts({ info: { model, loaded } }, chosen) {
  const parts = [model.architecture, model.quantization, `${parameters(model.parameters)} parameters`];
  if (loaded.notStored) parts.push(`not kept on this device: ${loaded.notStored}`);
  return { name: chosen.name, details: parts.join(" · ") };
}

/** The build in use, and why. @param {import("minnow-llm").Minnow} minnow @returns {import("./figures.js").Facts} */
export function runFacts({ info }) {
  const build = BUILDS[info.variant] ?? info.variant;
  const threads = `${info.threads} ${info.threads === 1 ? "thread" : "threads"}`;
  return {
    build,
    threads,
    memory: info.memory.wasm,
    contextLength: info.contextLength,
    reasons: [`${build}: ${info.variantReason}.`, `${threads}: ${info.threadsReason}.`],
  };
}

/** A number of weights as model names write it: "135M", "1.7B". */
function parameters(count) {
  const [size, unit] = PARAMETER_UNITS.find(([size]) => count >= size) ?? [1, ""];
  return `${Number((count / size).toPrecision(2 + (count / size >= 100)))}${unit}`;
}
