// What runs in a worker that computes beside the one of `worker.ts`: the same module, on the same memory.

/** What the engine's worker sends, once. */
export interface Invitation {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
}

/** What a compute worker calls of its module. */
export interface Computing {
  initSync(invitation: Invitation): unknown;
  compute(): void;
  computeFailed(): void;
}

/** The part of a worker's global scope that is used; TypeScript's own type excludes the page's. */
interface ComputeScope {
  onmessage: ((event: MessageEvent<Invitation>) => void) | null;
  postMessage(message: "ready"): void;
  close(): void;
}

/** Waits for the invitation, says when it has started, and computes until the model is dropped. */
export function join(wasm: Computing): void {
  const scope = self as unknown as ComputeScope;
  scope.onmessage = ({ data }) => {
    wasm.initSync(data);
    scope.postMessage("ready");
    try {
      wasm.compute();
    } catch (cause) {
      wasm.computeFailed();
      throw cause;
    }
    scope.close();
  };
}
