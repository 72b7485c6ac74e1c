// Starting a worker: the build that suits this browser, or the next best where that one cannot be started.

import { type Choice, type Variant, type Wishes, choose } from "./capabilities.js";
import { WorkerClient } from "./client.js";
import { Crew } from "./crew.js";
import { MinnowError } from "./errors.js";
import type { WorkerApi } from "./worker.js";

/** A worker that is ready. */
export interface Launched {
  client: WorkerClient<WorkerApi>;
  /** Those that compute beside it: they come while it is at work already, … */
  crew: Crew;
  /** … and this says so when one will not. */
  choice: Choice;
}

/** Starts a worker to run a model in, with `most` threads at most; of the build without threads where that with them cannot be started. */
export async function launch(wishes: Wishes, signal?: AbortSignal, most = Infinity): Promise<Launched> {
  const choice = chosen(wishes);
  const threads = Math.min(choice.threads, most);
  try {
    return await started(choice, threads, signal);
  } catch (error) {
    const single = choice.variant.replace("-threads", "") as Variant;
    if (wishes.variant || single === choice.variant || signal?.aborted) throw error;
    return started({ ...choice, variant: single, threads: 1, threadsReason: `${threads} could not be started: ${(error as Error).message}` }, 1, signal);
  }
}

/** Starts a worker for the model store: the build that a model would run in, so that the module is fetched once, without its threads. */
export async function launchStore(): Promise<WorkerClient<WorkerApi>> {
  return (await launch({}, undefined, 1)).client;
}

function chosen(wishes: Wishes): Choice {
  if (typeof Worker === "undefined") {
    throw new MinnowError("unsupported_browser", "there are no web workers here: Minnow runs in a browser, not on a server");
  }
  const { variant, ...rest } = choose(wishes);
  if (variant === null) throw new MinnowError("unsupported_browser", rest.variantReason);
  return { variant, ...rest };
}

/** Starts the engine's worker, and beside it those that compute on its memory: nothing waits for them. */
async function started(choice: Choice, threads: number, signal?: AbortSignal): Promise<Launched> {
  const crew = new Crew({
    lost(reason) {
      choice.threads--;
      choice.threadsReason = `${threads} could not be started: ${reason}`;
      client.call("loseThread", []).catch(() => {});
    },
    crashed: (error) => client.crash(error),
  });
  const client = new WorkerClient<WorkerApi>(createWorker(choice.variant), () => crew.end());
  try {
    const ports = Array.from({ length: threads - 1 }, () => crew.add(createComputeWorker(choice.variant)));
    await client.call("start", [ports], { signal, transfer: ports });
    return { client, crew, choice };
  } catch (error) {
    void client.close(new MinnowError("model_not_loaded", "the worker could not be started"));
    throw error;
  }
}

/** Bundlers find a worker by these very expressions, with the address written out. */
function createWorker(variant: Variant): Worker {
  switch (variant) {
    case "relaxed-threads":
      return new Worker(new URL("./worker.relaxed-threads.js", import.meta.url), { type: "module" });
    case "simd-threads":
      return new Worker(new URL("./worker.simd-threads.js", import.meta.url), { type: "module" });
    case "relaxed":
      return new Worker(new URL("./worker.relaxed.js", import.meta.url), { type: "module" });
    case "simd":
      return new Worker(new URL("./worker.simd.js", import.meta.url), { type: "module" });
  }
}

function createComputeWorker(variant: Variant): Worker {
  return variant === "relaxed-threads"
    ? new Worker(new URL("./compute.relaxed-threads.js", import.meta.url), { type: "module" })
    : new Worker(new URL("./compute.simd-threads.js", import.meta.url), { type: "module" });
}
