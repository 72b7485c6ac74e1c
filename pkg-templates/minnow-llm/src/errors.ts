import type { ErrorCode, ErrorReport } from "./wasm/simd/minnow.js";

export type { ErrorCode };

/**
 * Everything that fails in Minnow, except aborts, which are `AbortError` as everywhere on the web.
 * The message says what happened and what to do about it; the code is for programs.
 */
export class MinnowError extends Error {
  override readonly name = "MinnowError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** @internal */
  static from(report: ErrorReport): MinnowError {
    return new MinnowError(report.code, report.message);
  }
}

/** An argument that cannot be used. */
export function invalidRequest(message: string): MinnowError {
  return new MinnowError("invalid_request", message);
}

/** What a trap in a module means. */
export function crashReport(wasm: { failedAllocation(): number }, cause: unknown): ErrorReport {
  let bytes = 0;
  try {
    bytes = wasm.failedAllocation();
  } catch {
    // The module never started.
  }
  return bytes > 0
    ? { code: "out_of_memory", message: `${bytes} bytes could not be allocated: choose a smaller model or context, or close other tabs` }
    : { code: "worker_crashed", message: `the engine stopped; load the model again: ${String(cause)}` };
}
