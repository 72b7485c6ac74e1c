// The workers that compute beside the engine's, on its memory. The page starts them, and not the engine's worker: Firefox now and
// then does not return from a `new Worker` in a worker, for ever.

import type { FromCompute, Invitation } from "./compute.js";
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
  readonly #workers: Worker[] = [];
  /** For each worker, when it has begun to compute or is lost. */
  readonly #settled: Promise<void>[] = [];

  constructor(fates: Fates) {
    this.#fates = fates;
  }

  add(worker: Worker): void {
    const { lost, crashed } = this.#fates;
    const settled = new Promise<void>((resolve) => {
      const lose = (reason: string) => {
        worker.terminate();
        lost(reason);
        resolve();
      };
      worker.onmessage = ({ data }: MessageEvent<FromCompute>) => (data === "joined" ? resolve() : crashed(MinnowError.from(data)));
      worker.onmessageerror = () => lose("a worker could not be sent the memory to share");
      worker.onerror = (event) => {
        event.preventDefault();
        lose(event.message || "a worker's script could not be loaded");
      };
    });
    this.#workers.push(worker);
    this.#settled.push(settled);
  }

  /** Has all of them compute. */
  invite(invitation: Invitation): void {
    for (const worker of this.#workers) worker.postMessage(invitation);
  }

  /** Waits until it is known of each whether it computes, or for so many milliseconds. */
  async settle(most: number): Promise<void> {
    const late = new Promise((resolve) => setTimeout(resolve, most));
    await Promise.race([Promise.all(this.#settled), late]);
  }

  /** Ends all of them at once. */
  end(): void {
    for (const worker of this.#workers) worker.terminate();
  }
}
