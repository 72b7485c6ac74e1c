import { type Capabilities, type Choice, type Wishes, capabilities } from "./capabilities.js";
import { ChatCompletions } from "./chat.js";
import type { WorkerClient } from "./client.js";
import { Completions } from "./completions.js";
import { MinnowError } from "./errors.js";
import { launch } from "./launch.js";
import { type Loading, askable } from "./loading.js";
import { ModelStore, withWorker } from "./models.js";
import { askToKeep } from "./persistence.js";
import { type FetchOptions, type ModelSource, toFetchSettings, toSourceInput, toTransfer } from "./source.js";
import type { ChatInput, ChatMessage, EngineSettings, FetchSettings, Metrics, Prediction, Progress, Prompt, SessionInfo } from "./wasm/simd/minnow.js";
import type { SourceInput, WorkerApi } from "./worker.js";

export interface EngineOptions extends Omit<EngineSettings, "prefill" | "tuneThreads"> {
  /**
   * A text or a conversation to compute while the model arrives: the completion that is then asked for with it begins at
   * once. A conversation is taken as `chat.completions.create` takes it without tools. What is already asked for
   * while the model is {@link Loading} needs no such announcement.
   */
  prefill?: string | ChatMessage[];
}

export interface LoadOptions extends FetchOptions, EngineOptions, Wishes {
  /** Called as bytes arrive, and when a new stage begins. */
  onProgress?: (progress: Progress) => void;
  /** Ends the load, in every stage. */
  signal?: AbortSignal;
}

/** A loaded model, and how it is run. */
export interface MinnowInfo extends SessionInfo, Choice {}

export interface TokenizeOptions {
  /** Read the text of control tokens, such as `<|im_end|>`, as those tokens. Default false. */
  special?: boolean;
  /** Put the beginning-of-sequence token first where the model wants it. Default true. */
  bos?: boolean;
}

export interface TemplateOptions {
  /** Tool definitions in OpenAI's shape. */
  tools?: object[];
  /** End the prompt where the assistant's answer starts. Default true. */
  addGenerationPrompt?: boolean;
  /** Ask a model that can reason before it answers to do so, or not to. */
  enableThinking?: boolean;
  /** Further variables for the template. */
  templateKwargs?: Record<string, unknown>;
}

/** What a loaded model waits for threads at most, in milliseconds, to know how many they are. */
const CREW_MS = 1000;

/** A model, loaded into a worker of its own. */
export class Minnow implements AsyncDisposable {
  /** The models kept in this browser. */
  static readonly models: ModelStore = new ModelStore();

  /** OpenAI's chat completions. */
  readonly chat: { readonly completions: ChatCompletions };
  /** OpenAI's completions: no chat template. */
  readonly completions: Completions;
  /** What was loaded, how it is run, and the memory it took when it had been loaded. */
  readonly info: MinnowInfo;
  readonly #client: WorkerClient<WorkerApi>;

  private constructor(client: WorkerClient<WorkerApi>, info: MinnowInfo) {
    const name = info.model.name || info.loaded.id;
    this.#client = client;
    this.info = info;
    this.chat = { completions: new ChatCompletions(client, name) };
    this.completions = new Completions(client, name);
  }

  /**
   * Loads a model: from the browser's storage where it is kept, else from its source.
   *
   * Fails with a `MinnowError`, or with the signal's reason when aborted; what has been downloaded
   * by then is kept for the next time. Requests need not wait: see {@link Loading}.
   */
  static load(source: ModelSource, options: LoadOptions = {}): Loading {
    let launched!: (client: WorkerClient<WorkerApi>) => void;
    const client = new Promise<WorkerClient<WorkerApi>>((resolve) => (launched = resolve));
    return askable(Minnow.#load(source, options, launched), (prompt) => {
      // The request itself says what is wrong, if anything is.
      client.then((client) => client.call("prefill", [prompt])).catch(() => {});
    });
  }

  static async #load(source: ModelSource, options: LoadOptions, launched: (client: WorkerClient<WorkerApi>) => void): Promise<Minnow> {
    const { onProgress, signal, variant, threads } = options;
    signal?.throwIfAborted();
    const args = toArguments(source, options);
    // "auto" and nothing are no numbers.
    args[2].tuneThreads = !Number(threads);
    const { client, crew, choice } = await launch({ variant, threads }, signal);
    launched(client);
    try {
      const session = await client.call("load", args, { signal, onEvent: onProgress, transfer: toTransfer(source) });
      askToKeep(session.loaded);
      await crew.settle(CREW_MS);
      return new Minnow(client, { ...session, ...choice });
    } catch (error) {
      void client.close(new MinnowError("model_not_loaded", "the model could not be loaded"));
      throw error;
    }
  }

  /** Predicts whether a model runs here, and how fast, from its header and a short measurement; nothing else is downloaded. */
  static canRun(source: ModelSource, options: FetchOptions & EngineOptions & { signal?: AbortSignal } = {}): Promise<Prediction> {
    const { signal } = options;
    return withWorker((client) => client.call("canRun", toArguments(source, options), { signal, transfer: toTransfer(source) }));
  }

  /** What this browser has, and so what Minnow will use; loads and downloads nothing. */
  static capabilities(): Capabilities {
    return capabilities();
  }

  /** The token ids of a text. */
  async tokenize(text: string, { special = false, bos = true }: TokenizeOptions = {}): Promise<number[]> {
    return Array.from(await this.#client.call("tokenize", [text, bos, special]));
  }

  /** The text of token ids; `special` shows control tokens too. */
  detokenize(ids: Iterable<number>, { special = false }: { special?: boolean } = {}): Promise<string> {
    return this.#client.call("detokenize", [Uint32Array.from(ids), special]);
  }

  /** How many tokens a text is, or a conversation with its template around it. */
  countTokens(prompt: string | ChatMessage[], options: TemplateOptions = {}): Promise<number> {
    return this.#client.call("countTokens", [toPrompt(prompt, options)]);
  }

  /** The prompt that a conversation becomes with the model's own template. */
  applyChatTemplate(messages: ChatMessage[], options: TemplateOptions = {}): Promise<string> {
    return this.#client.call("applyChatTemplate", [toChatInput(messages, options)]);
  }

  /** Counters since the model was loaded, its present load, the memory it takes and the threads it computes on now. */
  async metrics(): Promise<Metrics & Pick<SessionInfo, "memory" | "threads">> {
    const [metrics, { memory, threads }] = await Promise.all([this.#client.call("metrics", []), this.#client.call("info", [])]);
    return { ...metrics, memory, threads };
  }

  /** Ends the worker and frees everything; requests under way are rejected. The stored files stay. */
  unload(): Promise<void> {
    return this.#client.close(new MinnowError("model_not_loaded", "the model has been unloaded: load it again"));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.unload();
  }
}

function toArguments(source: ModelSource, options: FetchOptions & EngineOptions): [SourceInput, FetchSettings, EngineSettings] {
  const { contextLength, kvCache, prefill } = options;
  const engine = { ...(contextLength !== undefined && { contextLength }), ...(kvCache && { kvCache }), ...(prefill && { prefill: toPrompt(prefill) }) };
  return [toSourceInput(source), toFetchSettings(options), engine];
}

function toPrompt(prompt: string | ChatMessage[], options: TemplateOptions = {}): Prompt {
  return typeof prompt === "string" ? { text: prompt } : { chat: toChatInput(prompt, options) };
}

function toChatInput(messages: ChatMessage[], options: TemplateOptions): ChatInput {
  return { messages, ...options };
}
