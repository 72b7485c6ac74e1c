import type { ErrorReport } from "./wasm/simd/minnow.js";

/** What a trap in a module means. */
export function crashReport(wasm: { failedAllocation(): number }, cause: unknown): ErrorReport {
  const message = String(cause);
  let bytes = 0;
  try {
    bytes = wasm.failedAllocation();
  } catch {
    // The module never started.
  }
  if (bytes > 0) {
    return { code: "out_of_memory", message: `${bytes} bytes could not be allocated: choose a smaller model or context, or close other tabs` };
  }
  return { code: "worker_crashed", message: `the engine stopped; load the model again: ${message}` };
}
