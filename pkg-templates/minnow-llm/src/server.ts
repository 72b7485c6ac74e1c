// The worker's end of the page.

import type { Api, FromWorker, ToWorker } from "./rpc.js";
import type { ErrorReport } from "./wasm/simd/minnow.js";

/** The part of a worker's global scope that is used; TypeScript's own type excludes the page's. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  addEventListener(type: "error", listener: (event: ErrorEvent) => void): void;
  addEventListener(type: "unhandledrejection", listener: (event: PromiseRejectionEvent) => void): void;
  postMessage(message: FromWorker): void;
}

/**
 * Answers calls with the methods of `api`. What they throw is reported as it is when it is an
 * `ErrorReport`; an `AbortError` becomes one in the page. Anything else is a defect, and so is an
 * error outside any call: `crashReport` says what happened, and the page gives the worker up.
 */
export function serve(api: Api, crashReport: (cause: unknown) => ErrorReport): void {
  const scope = self as unknown as WorkerScope;
  const controllers = new Map<number, AbortController>();

  const crash = (cause: unknown) => {
    scope.postMessage({ type: "crash", error: isReport(cause) ? cause : crashReport(cause) });
  };
  scope.addEventListener("error", (event) => crash(event.error ?? event.message));
  scope.addEventListener("unhandledrejection", (event) => crash(event.reason));

  scope.onmessage = async ({ data }) => {
    if (data.type === "abort") return controllers.get(data.id)?.abort();
    const { id, method, args } = data;
    const controller = new AbortController();
    controllers.set(id, controller);
    const call = {
      signal: controller.signal,
      emit: (event: unknown) => scope.postMessage({ type: "event", id, event }),
    };
    try {
      const value = await api[method]?.(call, ...args);
      scope.postMessage({ type: "result", id, value });
    } catch (cause) {
      if (isAbort(cause)) scope.postMessage({ type: "aborted", id });
      else if (isReport(cause) && cause.code !== "worker_crashed") scope.postMessage({ type: "error", id, error: cause });
      else crash(cause);
    } finally {
      controllers.delete(id);
    }
  };
}

function isAbort(cause: unknown): boolean {
  return cause instanceof DOMException && cause.name === "AbortError";
}

function isReport(cause: unknown): cause is ErrorReport {
  return typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string" && "message" in cause;
}
