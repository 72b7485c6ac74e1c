// What runs in a worker that computes beside the one of `worker.ts`: the same module, on the same memory.

import { crashReport } from "./errors.js";
import type { ErrorReport } from "./wasm/simd/minnow.js";

/**
 * What such a worker is sent by the engine's, once: through a port, because a page that passed it on would keep the memory until it collects
 * garbage, long after the model has been unloaded.
 */
export interface Invitation {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
}

/** What it tells the page: that it has begun, and why it stopped if it did before its end. */
export type FromCompute = "joined" | ErrorReport;

/** What a compute worker calls of its module. */
export interface Computing {
  initSync(invitation: Invitation): unknown;
  compute(): void;
  computeFailed(): void;
  failedAllocation(): number;
}

/** The part of a worker's global scope that is used; TypeScript's own type excludes the page's. */
interface ComputeScope {
  onmessage: ((event: MessageEvent<MessagePort>) => void) | null;
  postMessage(message: FromCompute): void;
  close(): void;
}

/** Waits for a port and there for the invitation, and computes until the model is dropped. */
export function join(wasm: Computing): void {
  const scope = self as unknown as ComputeScope;
  scope.onmessage = ({ data: port }) => {
    port.onmessage = ({ data }: MessageEvent<Invitation>) => {
      wasm.initSync(data);
      scope.postMessage("joined");
      try {
        wasm.compute();
      } catch (cause) {
        wasm.computeFailed();
        scope.postMessage(crashReport(wasm, cause));
      }
      scope.close();
    };
    port.onmessageerror = () => {
      throw new Error("no shared memory arrived");
    };
  };
}
