import { invalidRequest } from "./errors.js";
import type { FetchSettings } from "./wasm/simd/minnow.js";
import type { SourceInput } from "./worker.js";

/**
 * Where a model comes from: `hf:owner/repo:QUANT`, `hf:owner/repo/file.gguf`, an address (of a split
 * set: any of its files), the addresses of all shards or raw parts, a file, files or a stream at hand, or `file:NAME`, a file
 * that has been stored.
 */
export type ModelSource = string | URL | Blob | ReadableStream<Uint8Array> | FileList | readonly (string | URL)[] | readonly Blob[];

/** How a model is fetched and kept. */
export interface FetchOptions {
  /** Headers for every request to the origins that the source names; mirrors elsewhere do not get them. */
  headers?: HeadersInit;
  /** Sent to the hub and to nobody else. */
  hubToken?: string;
  /** Base address of the hub; default `https://huggingface.co`. */
  hubEndpoint?: string;
  /** Origins that weights may come from; default all. */
  allowedOrigins?: string[];
  /** Other sources of the same model, tried in turn where the ones before have failed. */
  mirrors?: (string | URL)[];
  /**
   * Whether the model is kept in the browser's storage. Default true for what is downloaded, false for files at hand; of these
   * `true` keeps a copy, which `file:NAME` loads the next time.
   */
  store?: boolean;
  /** Remove the models that have not been used for longest where the browser's storage has no room. Default false. */
  evict?: boolean;
}

/** The source as the worker takes it: absolute addresses, or files. */
export function toSourceInput(source: ModelSource): SourceInput {
  const one = typeof source === "string" || source instanceof URL || source instanceof Blob || source instanceof ReadableStream;
  const list: unknown[] = one ? [source] : Array.from<unknown>(source);
  if (list.length === 0) throw invalidRequest("the source names no model: give an address, hf:owner/repo:QUANT, or files");
  if (list.every((item) => item instanceof Blob || item instanceof ReadableStream)) return { files: list };
  if (list.every((item) => typeof item === "string" || item instanceof URL)) return { addresses: list.map(toAddress) };
  throw invalidRequest("a source is an address, a list of addresses, a file, or a list of files, and nothing mixed");
}

/** What of a source the page cannot keep: a stream is read by one. */
export function toTransfer(source: ModelSource): Transferable[] {
  return source instanceof ReadableStream ? [source] : [];
}

export function toFetchSettings(options: FetchOptions): FetchSettings {
  const { headers, store, hubToken, hubEndpoint, allowedOrigins, mirrors, evict } = options;
  return {
    ...(headers && { headers: [...new Headers(headers)] }),
    ...(hubToken !== undefined && { hubToken }),
    ...(hubEndpoint !== undefined && { hubEndpoint: toAddress(hubEndpoint) }),
    ...(allowedOrigins && { allowedOrigins: [...allowedOrigins] }),
    ...(mirrors && { mirrors: mirrors.map(toAddress) }),
    ...(store !== undefined && { store }),
    ...(evict && { evict }),
  };
}

/** Relative addresses are the page's, not the worker's. */
function toAddress(address: string | URL): string {
  const text = String(address);
  if (/^(hf|file):/.test(text)) return text;
  try {
    return new URL(text, globalThis.document?.baseURI ?? globalThis.location?.href).href;
  } catch {
    throw invalidRequest(`${JSON.stringify(text)} is not an address: give https://host/model.gguf or hf:owner/repo:QUANT`);
  }
}
