// The workers that compute beside the engine's, on its memory. The page starts them, and not the engine's worker: Firefox now and
// then does not return from a `new Worker` in a worker, for ever.

import type { FromCompute } from "./compute.js";
import { MinnowError } from "./errors.js";

/** What may become of a worker. */
interface Fates {
  /** It could not be started, and will not compute. */
  lost(reason: string): void;
  /** It stopped in the middle of its work. */
  crashed(error: MinnowError): void;
}

/** Refers to its workers for as long as it is there: a browser may end one that nothing refers to, in the middle of its work. */
export class Crew {
  readonly #fates: Fates;
  /** With each worker when it has begun to compute or is lost. */
  readonly #settled = new Map<Worker, Promise<void>>();

  constructor(fates: Fates) {
    this.#fates = fates;
  }

  /** Takes a worker in, and gives the port where it waits for its invitation. */
  add(worker: Worker): MessagePort {
    const { lost, crashed } = this.#fates;
    const settled = new Promise<void>((resolve) => {
      worker.onmessage = ({ data }: MessageEvent<FromCompute>) => (data === "joined" ? resolve() : crashed(MinnowError.from(data)));
      worker.onerror = worker.onmessageerror = (event: Event) => {
        event.preventDefault();
        worker.terminate();
        lost((event as ErrorEvent).message || "a worker's script could not be loaded");
        resolve();
      };
    });
    this.#settled.set(worker, settled);
    const { port1, port2 } = new MessageChannel();
    worker.postMessage(port1, [port1]);
    return port2;
  }

  /** Waits until it is known of each whether it computes, or for so many milliseconds. */
  settle(most: number): Promise<unknown> {
    return Promise.race([Promise.all(this.#settled.values()), new Promise((resolve) => setTimeout(resolve, most))]);
  }

  /** Ends all of them at once. */
  end(): void {
    for (const worker of this.#settled.keys()) worker.terminate();
  }
}
