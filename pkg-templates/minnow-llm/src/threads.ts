// The memory that the engine's worker shares with those that compute beside it.

import type { Invitation } from "./compute.js";

/** Pages of 64 KiB that memory starts with: more than the modules ask for, which is what `crates/xtask` links them with and one. */
const INITIAL_PAGES = 128;
/** Most pages that memory may grow to: the whole address space, or what a browser short of it will reserve. */
const MAXIMUM_PAGES = [65536, 49152, 32768, 16384, 8192];

/** What starting needs of a module. */
export interface Shareable {
  default(input: { module_or_path: URL; memory: WebAssembly.Memory }): Promise<unknown>;
  useThreads(threads: number): void;
  compiledModule(): WebAssembly.Module;
}

/**
 * Instantiates the module of `address` on shared memory, to compute on this thread and those that wait at the `ports`: they come when
 * they come. Fails where memory is not granted.
 */
export async function startShared(wasm: Shareable, address: URL, ports: MessagePort[]): Promise<void> {
  const memory = sharedMemory();
  await wasm.default({ module_or_path: address, memory });
  wasm.useThreads(ports.length + 1);
  const invitation: Invitation = { module: wasm.compiledModule(), memory };
  for (const port of ports) port.postMessage(invitation);
}

/** Memory that workers can share; its greatest size is reserved at once, and not every device grants it. */
function sharedMemory(): WebAssembly.Memory {
  let refusal: unknown;
  for (const maximum of MAXIMUM_PAGES) {
    try {
      return new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum, shared: true });
    } catch (cause) {
      refusal = cause;
    }
  }
  throw refusal;
}
