// Calls from the page to its worker. The worker's implementation is the only declaration: a client
// typed with it knows every method's arguments, events and result.

import type { ErrorReport } from "./wasm/simd/minnow.js";

/** What a method in the worker is given before its arguments. */
export interface Call<Event = never> {
  /** Fires when the page no longer wants the answer. */
  readonly signal: AbortSignal;
  /** Tells the page something before the answer is there. */
  emit(event: Event): void;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- any method at all
export type Method = (call: Call<any>, ...args: any[]) => unknown;

/** A worker's methods by name. */
export type Api = Record<string, Method>;

export type ArgumentsOf<M extends Method> = M extends (call: never, ...args: infer A) => unknown ? A : never;
export type EventOf<M extends Method> = M extends (call: Call<infer E>, ...args: never[]) => unknown ? E : never;
export type ResultOf<M extends Method> = Awaited<ReturnType<M>>;

/** Page to worker. */
export type ToWorker =
  | { type: "call"; id: number; method: string; args: unknown[] }
  | { type: "abort"; id: number };

/** Worker to page. */
export type FromWorker =
  | { type: "event"; id: number; event: unknown }
  | { type: "result"; id: number; value: unknown }
  | { type: "aborted"; id: number }
  | { type: "error"; id: number; error: ErrorReport }
  | { type: "crash"; error: ErrorReport };
