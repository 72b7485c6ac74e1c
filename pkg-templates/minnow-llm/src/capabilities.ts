import { MinnowError } from "./errors.js";

/** The build of the WebAssembly module. */
export type Variant = "simd" | "relaxed" | "simd-threads" | "relaxed-threads";

/** How a model is run, and why so. */
export interface Choice {
  variant: Variant;
  /** Why this build. */
  variantReason: string;
  /** Threads that compute, or, where the number is left to the engine, that can; `metrics()` tells how many do now. */
  threads: number;
  /** Why so many. */
  threadsReason: string;
}

/** What the caller may ask for. */
export interface Wishes {
  /** The build of the WebAssembly module; default the best that this browser has. */
  variant?: Variant | undefined;
  /** Threads to compute on; default `"auto"`, those of the browser's processors that help, which is measured while answers are written. */
  threads?: number | "auto" | undefined;
}

/** What this browser has, as far as Minnow uses it. */
export interface Capabilities extends Omit<Choice, "variant"> {
  /** The build that will be used; null where Minnow cannot run. */
  variant: Variant | null;
  /** Processors that the browser reports. */
  processors: number;
  crossOriginIsolated: boolean;
  /** Bytes that one model and its cache can have at most: a 32-bit module's address space. */
  memoryLimit: number;
  storage: {
    /** Whether there is IndexedDB, without which no model can be kept. */
    indexedDB: boolean;
    /** Whether there is the origin private file system, which is read much faster. */
    opfs: boolean;
    /**
     * Where the bytes of a model will be: `"memory"` keeps nothing. Whether there is room, `models.usage()` tells; a browser that
     * refuses all the same, as some do in private windows, is noticed by the load: `info.loaded.notStored`.
     */
    kind: "opfs" | "indexeddb" | "memory";
    /** Why there. */
    reason: string;
    /** Whether two tabs can agree on who writes. */
    locks: boolean;
  };
}

const ADDRESS_SPACE = 2 ** 32;

/** Most threads that can be asked for; no device that runs a browser gains from more. */
const MOST_THREADS = 64;
/**
 * Up to so many processors all compute. Of more, half do, for the others tend to be second threads of the same cores, or
 * small cores that the rest would wait for; …
 */
const ALL_OF = 4;
/** … and no more than this: a few cores use up the memory's bandwidth, which is what decoding waits for. */
const HALF_UP_TO = 8;

// Modules of one function each, `(func (export "f") (result i32) …)`, that only a browser with the feature accepts. Bytes: header;
// type section; function section; export section; code section.
const PROBE_HEAD = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7f, 3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0];
/** `i32.const 1; i8x16.splat; i8x16.extract_lane_s 0` */
const SIMD = [...PROBE_HEAD, 10, 11, 1, 9, 0, 0x41, 1, 0xfd, 0x0f, 0xfd, 0x15, 0, 0x0b];
/** `i32.const 1; i8x16.splat`, twice, `i32.const 1; i32x4.splat; i32x4.relaxed_dot_i8x16_i7x16_add_s; i32x4.extract_lane 0` */
const RELAXED = [
  ...PROBE_HEAD, 10, 22, 1, 20, 0,
  0x41, 1, 0xfd, 0x0f, 0x41, 1, 0xfd, 0x0f, 0x41, 1, 0xfd, 0x11, 0xfd, 0x93, 2, 0xfd, 0x1b, 0, 0x0b,
];
/** What the latter gives: four products and the number they are added to, which the first engines with relaxed SIMD lost. */
const FIVE = 5;

/** What a probe gives, or null where it is refused. */
function run(module: number[]): unknown {
  try {
    const { f } = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(module))).exports;
    return (f as () => number)();
  } catch {
    return null;
  }
}

/** Looks at what is there; loads and downloads nothing. */
export function capabilities(): Capabilities {
  return {
    ...choose({}),
    processors: processors(),
    crossOriginIsolated: isIsolated(),
    memoryLimit: ADDRESS_SPACE,
    storage: storage(),
  };
}

/** What the model store will find: `crates/web/src/io/store` looks for it, in a worker. */
function storage(): Capabilities["storage"] {
  const browser = globalThis.navigator as Partial<Navigator> | undefined;
  const database = typeof indexedDB === "object" && indexedDB !== null;
  // Synchronous handles show themselves in workers only; every browser with these two has them there.
  const opfs = typeof globalThis.FileSystemFileHandle === "function" && browser?.storage?.getDirectory !== undefined;
  const [kind, reason]: [Capabilities["storage"]["kind"], string] = !database
    ? ["memory", "this browser has no IndexedDB here"]
    : opfs
      ? ["opfs", "this browser has a private file system"]
      : ["indexeddb", "this browser has no private file system here"];
  return { indexedDB: database, opfs, kind, reason, locks: browser?.locks !== undefined };
}

/** The best way to run a model here that meets the caller's wishes; its `variant` is null where there is none. */
export function choose({ variant, threads = "auto" }: Wishes): Omit<Choice, "variant"> & { variant: Variant | null } {
  if (threads !== "auto" && !(Number.isInteger(threads) && threads >= 1)) {
    throw new MinnowError("invalid_request", `threads is ${threads}: give a whole number from 1, or "auto"`);
  }
  const [count, threadsReason] = chooseThreads(threads, variant);
  if (variant) return { variant, variantReason: "the caller asked for it", threads: count, threadsReason };
  const [simd, variantReason]: ["simd" | "relaxed" | null, string] = run(RELAXED) === FIVE
    ? ["relaxed", "this browser has relaxed SIMD"]
    : run(SIMD) !== null
      ? ["simd", "this browser has SIMD, but not relaxed SIMD"]
      : [null, "this browser has no WebAssembly SIMD: update it, or use another"];
  return { variant: simd && count > 1 ? `${simd}-threads` : simd, variantReason, threads: count, threadsReason };
}

function chooseThreads(wanted: number | "auto", variant: Variant | undefined): [number, string] {
  if (wanted === 1) return [1, "the caller asked for one"];
  if (variant && !hasThreads(variant)) return [1, `the ${variant} build has one`];
  if (!isIsolated()) return [1, "more need a cross-origin isolated page, which this is not"];
  if (wanted === "auto") {
    const all = processors();
    const some = all <= ALL_OF ? all : Math.min(Math.max(Math.floor(all / 2), ALL_OF), HALF_UP_TO);
    return [some, `processors reported: ${all}`];
  }
  if (wanted > MOST_THREADS) return [MOST_THREADS, `the caller asked for ${wanted}, and there are at most ${MOST_THREADS}`];
  return [wanted, `the caller asked for ${wanted}`];
}

/** Whether a build computes on several threads. */
function hasThreads(variant: Variant): boolean {
  return variant.endsWith("-threads");
}

function processors(): number {
  return (globalThis.navigator as Partial<Navigator> | undefined)?.hardwareConcurrency ?? 1;
}

/** Whether workers may share memory here. */
function isIsolated(): boolean {
  return (globalThis.crossOriginIsolated ?? false) && typeof SharedArrayBuffer === "function";
}
