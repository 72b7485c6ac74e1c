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
