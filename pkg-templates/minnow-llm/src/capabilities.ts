import { MinnowError } from "./errors.js";

/** The build of the WebAssembly module. */
export type Variant = "simd" | "relaxed";

/** What this browser has, as far as Minnow uses it. */
export interface Capabilities {
  /** The build that will be used; null where Minnow cannot run. */
  variant: Variant | null;
  /** Why that one. */
  variantReason: string;
  /** Threads that will compute. */
  threads: number;
  /** Why so many. */
  threadsReason: string;
  /** Processors that the browser reports. */
  processors: number;
  crossOriginIsolated: boolean;
  /** Bytes that one model and its cache can have at most: a 32-bit module's address space. */
  memoryLimit: number;
  storage: {
    /** Whether models can be kept. */
    indexedDB: boolean;
    /** Whether two tabs can agree on who writes. */
    locks: boolean;
  };
}

const ADDRESS_SPACE = 2 ** 32;

// Modules of one function each, `(func (result v128) …)`, that only a browser with the feature
// accepts. Bytes: header; type section; function section; code section.
const PROBE_HEAD = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0];
/** `i32.const 0; i8x16.splat` */
const SIMD = [...PROBE_HEAD, 10, 8, 1, 6, 0, 0x41, 0, 0xfd, 0x0f, 0x0b];
/** `i32.const 0; i8x16.splat`, twice, then `i16x8.relaxed_dot_i8x16_i7x16_s` */
const RELAXED = [...PROBE_HEAD, 10, 15, 1, 13, 0, 0x41, 0, 0xfd, 0x0f, 0x41, 0, 0xfd, 0x0f, 0xfd, 0x92, 2, 0x0b];

function accepts(module: number[]): boolean {
  return typeof WebAssembly === "object" && WebAssembly.validate(new Uint8Array(module));
}

/** Looks at what is there; loads and downloads nothing. */
export function capabilities(): Capabilities {
  const [variant, variantReason]: [Variant | null, string] = accepts(RELAXED)
    ? ["relaxed", "this browser has relaxed SIMD"]
    : accepts(SIMD)
      ? ["simd", "this browser has SIMD, but not relaxed SIMD"]
      : [null, "this browser has no WebAssembly SIMD: update it, or use another"];
  const browser = globalThis.navigator as Partial<Navigator> | undefined;
  return {
    variant,
    variantReason,
    threads: 1,
    threadsReason: "this version computes on one thread",
    processors: browser?.hardwareConcurrency ?? 1,
    crossOriginIsolated: globalThis.crossOriginIsolated ?? false,
    memoryLimit: ADDRESS_SPACE,
    storage: { indexedDB: typeof indexedDB === "object", locks: browser?.locks !== undefined },
  };
}

/** Starts the worker of a variant; by default, of the one this browser is best at. */
export function startWorker(wanted?: Variant): { worker: Worker; variant: Variant; variantReason: string } {
  if (typeof Worker === "undefined") {
    throw new MinnowError("unsupported_browser", "there are no web workers here: Minnow runs in a browser, not on a server");
  }
  const found = capabilities();
  const variant = wanted ?? found.variant;
  if (variant === null) throw new MinnowError("unsupported_browser", found.variantReason);
  const variantReason = wanted ? "the caller asked for it" : found.variantReason;
  // Bundlers find a worker by this very expression, with the address written out.
  const worker =
    variant === "relaxed"
      ? new Worker(new URL("./worker.relaxed.js", import.meta.url), { type: "module" })
      : new Worker(new URL("./worker.simd.js", import.meta.url), { type: "module" });
  return { worker, variant, variantReason };
}
