// What runs in the worker: the wasm module, driven step by step. The entries for each variant, such as
// `worker.simd.ts`, hand it the module they were built with.

import { crashReport } from "./errors.js";
import type { Repair } from "./models.js";
import type { Call } from "./rpc.js";
import { serve } from "./server.js";
import type * as Wasm from "./wasm/simd/minnow.js";
import type {
  ChatInput, EngineSettings, ErrorReport, FetchSettings, GenerateRequest, Loaded, Metrics, ModelExport, ModelInfo, Prediction, Progress, Prompt, Session, SessionInfo, StepEvent, StoredModel, Usage, Verification,
} from "./wasm/simd/minnow.js";

type FinishedEvent = Extract<StepEvent, { type: "finished" }>;

/** A model by address, or as files at hand. */
export type SourceInput = { addresses: string[] } | { files: (Blob | ReadableStream)[] };

/** The module's exports, apart from how each build of it is instantiated. */
type Module = Omit<typeof Wasm, "default" | "initSync">;

export type WorkerApi = ReturnType<typeof createApi>;

/** Starts the module, to compute on this thread and those that wait at the ports. */
type Instantiate = (ports: MessagePort[]) => Promise<unknown>;

/** Answers the page's calls with `wasm`, which `instantiate` starts. */
export function start(wasm: Module, instantiate: Instantiate): void {
  serve(createApi(wasm, instantiate), (cause) => crashReport(wasm, cause));
}

function createApi(wasm: Module, instantiate: Instantiate) {
  let starting: Promise<unknown> | undefined;
  let session: Session | undefined;
  let runner: Runner | undefined;
  let exporting: ModelExport | undefined;
  /** What has been asked for while the model was loaded, and the load does not know of yet. */
  const prompts: Prompt[] = [];

  const loaded = (): Session => session ?? fail({ code: "model_not_loaded", message: "no model is loaded" });

  return {
    /** Instantiates the module, and invites the threads that wait at the ports; comes before all other calls. */
    async start(_: Call, ports: MessagePort[]): Promise<void> {
      try {
        await (starting = instantiate(ports));
      } catch (cause) {
        fail({ code: "unsupported_browser", message: `the WebAssembly module could not be started: ${String(cause)}` });
      }
    },

    /** One of the other threads will not come. */
    async loseThread(_: Call): Promise<void> {
      await starting;
      wasm.loseThread();
    },

    async load(call: Call<Progress>, source: SourceInput, fetching: FetchSettings, engine: EngineSettings): Promise<SessionInfo> {
      const { addresses, files } = split(source);
      session = await wasm.load(addresses, files, fetching, engine, call.signal, (progress: Progress) => call.emit(progress), () => prompts.shift());
      runner = new Runner(session);
      return session.info();
    },

    /** Has a prompt computed as far as the model has come that is being loaded. */
    prefill(_: Call, prompt: Prompt): void {
      if (!session) prompts.push(prompt);
    },

    generate(call: Call<StepEvent | { type: "accepted" }>, request: GenerateRequest): Promise<FinishedEvent> {
      loaded();
      return runner!.run(request, call);
    },

    tokenize: (_: Call, text: string, bos: boolean, special: boolean): Uint32Array => loaded().tokenize(text, bos, special),
    detokenize: (_: Call, ids: Uint32Array, special: boolean): string => loaded().detokenize(ids, special),
    countTokens: (_: Call, prompt: Prompt): number => loaded().countTokens(prompt),
    applyChatTemplate: (_: Call, input: ChatInput): string => loaded().applyChatTemplate(input),
    info: (_: Call): SessionInfo => loaded().info(),
    metrics: (_: Call): Metrics => loaded().metrics(),

    async pull(call: Call<Progress>, source: SourceInput, fetching: FetchSettings): Promise<Loaded> {
      const { addresses, files } = split(source);
      return wasm.pull(addresses, files, fetching, call.signal, (progress: Progress) => call.emit(progress));
    },

    async inspect(call: Call, source: SourceInput, fetching: FetchSettings): Promise<ModelInfo> {
      const { addresses, files } = split(source);
      return wasm.inspect(addresses, files, fetching, call.signal);
    },

    async canRun(call: Call, source: SourceInput, fetching: FetchSettings, engine: EngineSettings): Promise<Prediction> {
      const { addresses, files } = split(source);
      return wasm.canRun(addresses, files, fetching, engine, call.signal);
    },

    async listModels(_: Call): Promise<StoredModel[]> {
      return wasm.listModels();
    },

    async removeModel(_: Call, id: string): Promise<boolean> {
      return wasm.removeModel(id);
    },

    /** A model that is not right is loaded, which repairs it. */
    async verifyModel(call: Call<Progress>, id: string, repair?: FetchSettings): Promise<Verification & Repair> {
      const report = (progress: Progress) => call.emit(progress);
      const found = await wasm.verifyModel(id, !!repair, call.signal, report);
      if (!repair || found.ok) return { ...found, repaired: 0 };
      const { stored } = await wasm.pull([id], [], repair, call.signal, report);
      return { ...found, ok: stored, repaired: stored ? found.damaged + found.missing : 0 };
    },

    async openExport(_: Call, id: string, file?: string): Promise<void> {
      exporting = await wasm.exportModel(id, file);
    },

    /** The next bytes of the file that was opened; nothing after the last. */
    async nextExport(_: Call): Promise<Uint8Array<ArrayBuffer> | undefined> {
      return exporting?.next() as Promise<Uint8Array<ArrayBuffer> | undefined>;
    },

    async clearModels(_: Call): Promise<void> {
      await wasm.clearModels();
    },

    async storageUsage(_: Call): Promise<Usage> {
      return wasm.storageUsage();
    },
  };
}

/** Milliseconds of steps between turns of the event loop: a turn takes a tenth, and requests to cancel wait for one. */
const TURN_EVERY = 8;

/** Steps a session for as long as it has something to do, with turns of the event loop in between. */
class Runner {
  readonly #session: Session;
  readonly #requests = new Map<number, Active>();
  /** A message to oneself comes after those that wait already; timers would be slowed down. */
  readonly #turn = new MessageChannel();
  #running = false;

  constructor(session: Session) {
    this.#session = session;
    this.#turn.port1.onmessage = () => this.#steps();
    this.#next();
  }

  run(request: GenerateRequest, call: Call<StepEvent | { type: "accepted" }>): Promise<FinishedEvent> {
    return new Promise((resolve, reject) => {
      call.signal.throwIfAborted();
      const id = this.#session.submit(request);
      this.#requests.set(id, { call, resolve, reject });
      call.signal.addEventListener("abort", () => this.#session.cancel(id));
      call.emit({ type: "accepted" });
      if (!this.#running) this.#next();
    });
  }

  #next(): void {
    this.#running = !this.#session.isIdle();
    if (this.#running) this.#turn.port2.postMessage(null);
  }

  #steps(): void {
    const until = performance.now() + TURN_EVERY;
    do this.#step();
    while (!this.#session.isIdle() && performance.now() < until);
    this.#next();
  }

  #step(): void {
    for (const event of this.#session.step()) {
      const request = this.#requests.get(event.id);
      if (!request) continue;
      if (event.type === "token" || event.type === "prefill") {
        request.call.emit(event);
        continue;
      }
      this.#requests.delete(event.id);
      if (event.type === "failed") request.reject(event.error);
      else if (event.reason === "abort") request.reject(request.call.signal.reason);
      else request.resolve(event);
    }
  }
}

interface Active {
  call: Call<StepEvent>;
  resolve(event: FinishedEvent): void;
  reject(cause: unknown): void;
}

function split(source: SourceInput): { addresses: string[]; files: (Blob | ReadableStream)[] } {
  return { addresses: [], files: [], ...source };
}

function fail(report: ErrorReport): never {
  throw report;
}
