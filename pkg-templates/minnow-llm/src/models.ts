import type { WorkerClient } from "./client.js";
import { MinnowError } from "./errors.js";
import { launchStore } from "./launch.js";
import { askToKeep } from "./persistence.js";
import { type FetchOptions, type ModelSource, toFetchSettings, toSourceInput, toTransfer } from "./source.js";
import type { Loaded, ModelInfo, Progress, StoredModel, Usage, Verification } from "./wasm/simd/minnow.js";
import type { WorkerApi } from "./worker.js";

export interface PullOptions extends FetchOptions {
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

export interface VerifyOptions extends Omit<PullOptions, "store"> {
  /** Fetch what is damaged or missing again, by its ranges, from where the model came from. Default false. */
  repair?: boolean;
}

/** What `verify` did about what it found. */
export interface Repair {
  /** Damaged and missing parts that have been fetched again. */
  repaired: number;
}

export interface InspectOptions extends FetchOptions {
  signal?: AbortSignal;
}

/** The models kept in this browser: `Minnow.models`. */
export class ModelStore {
  /** Downloads a model into the store, or what is missing of it, or copies a file there, without loading it. */
  async pull(source: ModelSource, { onProgress, signal, ...options }: PullOptions = {}): Promise<Loaded> {
    const loaded = await withWorker((client) =>
      client.call("pull", [toSourceInput(source), toFetchSettings({ store: true, ...options })], { signal, onEvent: onProgress, transfer: toTransfer(source) }),
    );
    askToKeep(loaded);
    return loaded;
  }

  /** Reads what a model's header says; nothing else is downloaded, and nothing is kept. */
  inspect(source: ModelSource, { signal, ...options }: InspectOptions = {}): Promise<ModelInfo> {
    return withWorker((client) => client.call("inspect", [toSourceInput(source), toFetchSettings(options)], { signal, transfer: toTransfer(source) }));
  }

  /** Every stored model, whole or partial, the one used last first. */
  list(): Promise<StoredModel[]> {
    return withWorker((client) => client.call("listModels", []));
  }

  /** Reads a stored model and checks every part of it. What is damaged is fetched again: at once with `repair`, else by the next load. */
  verify(id: string, { repair, onProgress, signal, ...options }: VerifyOptions = {}): Promise<Verification & Repair> {
    return withWorker((client) => client.call("verifyModel", [id, repair ? toFetchSettings(options) : undefined], { signal, onEvent: onProgress }));
  }

  /** Removes a model by its `id`; false if there is none of that name. */
  remove(id: string): Promise<boolean> {
    return withWorker((client) => client.call("removeModel", [id]));
  }

  /** Removes every model. */
  clear(): Promise<void> {
    return withWorker((client) => client.call("clearModels", []));
  }

  /** A stored model's file as a stream; of a split set one at a time, by its name in `list()`. */
  async export(id: string, file?: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const client = await launchStore();
    const ending = async <T>(work: Promise<T>): Promise<T> => {
      try {
        return await work;
      } catch (error) {
        end(client);
        throw error;
      }
    };
    await ending(client.call("openExport", [id, file]));
    return new ReadableStream(
      {
        async pull(stream) {
          const bytes = await ending(client.call("nextExport", []));
          if (bytes) return stream.enqueue(bytes);
          stream.close();
          end(client);
        },
        cancel: () => end(client),
      },
      { highWaterMark: 0 },
    );
  }

  /** Bytes stored, and what the browser grants. */
  usage(): Promise<Usage> {
    return withWorker((client) => client.call("storageUsage", []));
  }
}

/** The store lives in a worker of its own for the time of a call. */
export async function withWorker<T>(use: (client: WorkerClient<WorkerApi>) => Promise<T>): Promise<T> {
  const client = await launchStore();
  try {
    return await use(client);
  } finally {
    end(client);
  }
}

function end(client: WorkerClient<WorkerApi>): void {
  void client.close(new MinnowError("model_not_loaded", "the worker of this call has ended"));
}
