// Threads: workers that share one memory with the engine's worker, which starts them.

import type { Invitation } from "./compute.js";

/** Pages of 64 KiB that memory starts with: more than the modules ask for, which is what `crates/xtask` links them with and one. */
const INITIAL_PAGES = 128;
/** Most pages that memory may grow to: the whole address space, or what a browser short of it will reserve. */
const MAXIMUM_PAGES = [65536, 49152, 32768, 16384, 8192];

/** Workers that compute, held for the life of this one: a browser may end a worker that nothing refers to, in the middle of its work. */
const crew: Worker[] = [];

/** What starting needs of a module. */
export interface Shareable {
  default(input: { module_or_path: URL; memory: WebAssembly.Memory }): Promise<unknown>;
  useThreads(threads: number): void;
  compiledModule(): WebAssembly.Module;
}

/**
 * Instantiates the module of `address` on shared memory, to compute on `threads` threads, this worker's included; `spawn`
 * starts one of the others, once `instantiated` has been called. Fails, with none left behind, where memory is not granted or a worker
 * cannot be started.
 */
export async function startShared(wasm: Shareable, address: URL, threads: number, spawn: () => Worker, instantiated: () => void): Promise<void> {
  const memory = sharedMemory();
  await wasm.default({ module_or_path: address, memory });
  instantiated();
  wasm.useThreads(threads);
  await startWorkers(spawn, threads - 1, { module: wasm.compiledModule(), memory });
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

/** Starts `count` workers and waits until all are there; ends them all when one cannot be started. */
async function startWorkers(spawn: () => Worker, count: number, invitation: Invitation): Promise<void> {
  try {
    await Promise.all(
      Array.from({ length: count }, () => {
        const worker = spawn();
        crew.push(worker);
        return invite(worker, invitation);
      }),
    );
  } catch (cause) {
    for (const worker of crew) worker.terminate();
    throw cause;
  }
}

function invite(worker: Worker, invitation: Invitation): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.onmessage = () => {
      // From now on an error is a crash: it goes on to the engine's worker and to the page.
      worker.onerror = null;
      resolve();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message || "a worker's script could not be loaded"));
    };
    worker.onmessageerror = () => reject(new Error("a worker could not be sent the memory to share"));
    worker.postMessage(invitation);
  });
}
