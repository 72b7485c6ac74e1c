// The page's end of the worker.

import { MinnowError } from "./errors.js";
import type { Api, ArgumentsOf, EventOf, FromWorker, ResultOf, ToWorker } from "./rpc.js";

interface Pending {
  onEvent: ((event: unknown) => void) | undefined;
  resolve(value: unknown): void;
  reject(reason: unknown): void;
}

export interface CallOptions<Event> {
  signal?: AbortSignal | undefined;
  onEvent?: ((event: Event) => void) | undefined;
  /** What the worker is given for good, such as a stream. */
  transfer?: Transferable[] | undefined;
}

/**
 * Clients whose worker has not answered. Nothing else may hold a client and its worker but the promise of the answer, and
 * that is held by the client: a browser may take all three for garbage while the worker is waiting for something.
 */
const waiting = new Set<unknown>();

/** Calls the methods of the `Api` that runs in a worker. */
export class WorkerClient<A extends Api> {
  readonly #worker: Worker;
  /** Calls that the worker has not answered, aborted ones included. */
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #ended: MinnowError | undefined;
  #onIdle: (() => void) | undefined;
  readonly #onEnd: () => void;

  /** `onEnd` is called when the worker is ended. */
  constructor(worker: Worker, onEnd: () => void) {
    this.#worker = worker;
    this.#onEnd = onEnd;
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#receive(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.crash(new MinnowError("worker_crashed", `the worker stopped; load the model again: ${event.message || "its script could not be loaded"}`));
    };
    worker.onmessageerror = () => {
      this.crash(new MinnowError("worker_crashed", "a message from the worker could not be read; load the model again"));
    };
  }

  /**
   * Calls a method. An abort rejects at once with the signal's reason, while the worker is still
   * winding up; events of an aborted call are dropped.
   */
  call<K extends keyof A & string>(
    method: K,
    args: ArgumentsOf<A[K]>,
    { signal, onEvent, transfer }: CallOptions<EventOf<A[K]>> = {},
  ): Promise<ResultOf<A[K]>> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#ended) throw this.#ended;
      const id = ++this.#lastId;
      const abort = () => {
        this.#post({ type: "abort", id });
        pending.onEvent = undefined;
        reject(signal?.reason);
      };
      const settle = <T>(how: (value: T) => void) => (value: T) => {
        signal?.removeEventListener("abort", abort);
        how(value);
      };
      const pending: Pending = {
        onEvent: onEvent as (event: unknown) => void,
        resolve: settle(resolve as (value: unknown) => void),
        reject: settle(reject),
      };
      this.#post({ type: "call", id, method, args }, transfer);
      this.#pending.set(id, pending);
      waiting.add(this);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Refuses further calls, waits for the worker to wind up the ones it has, and ends it. */
  async close(reason: MinnowError): Promise<void> {
    if (!this.#ended) {
      this.#ended = reason;
      for (const [id, pending] of this.#pending) {
        this.#post({ type: "abort", id });
        pending.reject(reason);
      }
    }
    if (this.#pending.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    this.#end();
  }

  #post(message: ToWorker, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #receive(message: FromWorker): void {
    if (message.type === "crash") return this.crash(MinnowError.from(message.error));
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    if (message.type === "event") return pending.onEvent?.(message.event);
    this.#pending.delete(message.id);
    if (message.type === "result") pending.resolve(message.value);
    else if (message.type === "error") pending.reject(MinnowError.from(message.error));
    else pending.reject(new DOMException("the operation was aborted", "AbortError"));
    if (this.#pending.size === 0) this.#idle();
  }

  #idle(): void {
    waiting.delete(this);
    this.#onIdle?.();
  }

  /** Ends the worker at once; calls under way and later ones are rejected with `error`. */
  crash(error: MinnowError): void {
    this.#ended ??= error;
    this.#end();
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    this.#idle();
  }

  #end(): void {
    this.#worker.terminate();
    this.#onEnd();
  }
}
