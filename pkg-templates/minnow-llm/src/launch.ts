// Starting a worker: the build that suits this browser, or the next best where that one cannot be started.

import { type Choice, type Variant, type Wishes, choose, hasThreads } from "./capabilities.js";
import { WorkerClient } from "./client.js";
import { MinnowError } from "./errors.js";
import type { WorkerApi } from "./worker.js";

/** A worker that is ready, and how it came to be this one. */
export interface Launched extends Choice {
  client: WorkerClient<WorkerApi>;
}

/** Starts a worker to run a model in. */
export async function launch(wishes: Wishes, signal?: AbortSignal): Promise<Launched> {
  const choice = chosen(wishes);
  try {
    return await started(choice, choice.threads, signal);
  } catch (error) {
    const single = singleThreaded(choice.variant);
    if (wishes.variant || single === choice.variant || signal?.aborted) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    return started({ ...choice, variant: single, threads: 1, threadsReason: `${choice.threads} could not be started: ${reason}` }, 1, signal);
  }
}

/** Starts a worker for the model store: the build that a model would run in, so that the module is fetched once, without its threads. */
export async function launchStore(): Promise<WorkerClient<WorkerApi>> {
  const choice = chosen({});
  try {
    return (await started(choice, 1)).client;
  } catch {
    return (await started({ ...choice, variant: singleThreaded(choice.variant) }, 1)).client;
  }
}

function chosen(wishes: Wishes): Choice {
  if (typeof Worker === "undefined") {
    throw new MinnowError("unsupported_browser", "there are no web workers here: Minnow runs in a browser, not on a server");
  }
  const { variant, ...rest } = choose(wishes);
  if (variant === null) throw new MinnowError("unsupported_browser", rest.variantReason);
  return { variant, ...rest };
}

/**
 * What threads may take to start once the module is there, in milliseconds: all that is still to be fetched are two small scripts.
 * But Firefox, where many workers come and go, now and then never runs one, and the worker that started it stands still.
 */
const THREADS_MS = 8_000;

async function started(choice: Choice, threads: number, signal?: AbortSignal): Promise<Launched> {
  const client = new WorkerClient<WorkerApi>(createWorker(choice.variant));
  let late: ReturnType<typeof setTimeout> | undefined;
  const onEvent = () => {
    late = setTimeout(() => client.crash(new MinnowError("worker_crashed", `the threads did not start within ${THREADS_MS / 1000} s; load the model again`)), THREADS_MS);
  };
  try {
    await client.call("start", [threads], { signal, onEvent });
    return { client, ...choice };
  } catch (error) {
    void client.close(new MinnowError("model_not_loaded", "the worker could not be started"));
    throw error;
  } finally {
    clearTimeout(late);
  }
}

function singleThreaded(variant: Variant): Variant {
  return hasThreads(variant) ? (variant.replace("-threads", "") as Variant) : variant;
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
