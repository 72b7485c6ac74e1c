import type { WorkerClient } from "./client.js";
import { invalidRequest } from "./errors.js";
import { type RequestOptions, type TokenEvent, checkOptions, responseHead, run, runStreamed, toRequests, totalUsage } from "./generation.js";
import type { Completion, CompletionLogprobs, CompletionParams } from "./openai.js";
import type { Stream } from "./stream.js";
import type { GenerateRequest, TokenLogprobs } from "./wasm/simd/minnow.js";
import type { WorkerApi } from "./worker.js";

/** `minnow.completions` */
export class Completions {
  readonly #client: WorkerClient<WorkerApi>;
  readonly #model: string;

  /** @internal */
  constructor(client: WorkerClient<WorkerApi>, model: string) {
    this.#client = client;
    this.#model = model;
  }

  /** Goes on from a prompt, without any chat template. Fails as `chat.completions.create` does. */
  create(params: CompletionParams & { stream: true }, options?: RequestOptions): Promise<Stream<Completion>>;
  create(params: CompletionParams & { stream?: false | null }, options?: RequestOptions): Promise<Completion>;
  create(params: CompletionParams, options?: RequestOptions): Promise<Completion | Stream<Completion>>;
  async create(params: CompletionParams, { signal }: RequestOptions = {}): Promise<Completion | Stream<Completion>> {
    signal?.throwIfAborted();
    const requests = textRequests(params);
    const head = { ...responseHead("cmpl", this.#model), object: "text_completion" as const };
    if (!params.stream) return this.#whole(requests, head, signal);
    return this.#streamed(requests, head, signal, params.stream_options?.include_usage === true);
  }

  async #whole(requests: GenerateRequest[], head: Head, signal: AbortSignal | undefined): Promise<Completion> {
    const parts = requests.map(() => ({ text: "", logprobs: new LogprobCollector() }));
    const onToken = (index: number, { content, logprobs }: TokenEvent) => {
      const part = parts[index]!;
      if (logprobs) part.logprobs.add(logprobs);
      part.text += content;
    };
    const finished = await run(this.#client, requests, signal, { onToken }).finished;
    return {
      ...head,
      choices: finished.map((end, index) => ({
        index,
        text: parts[index]!.text + end.content,
        logprobs: requests[index]!.logprobs === undefined ? null : parts[index]!.logprobs.take(),
        finish_reason: end.reason,
      })),
      usage: totalUsage(finished),
      timings: finished[0]!.timings,
    };
  }

  #streamed(requests: GenerateRequest[], head: Head, signal: AbortSignal | undefined, includeUsage: boolean): Promise<Stream<Completion>> {
    const collectors = requests.map(() => new LogprobCollector());
    return runStreamed<Completion>(
      this.#client,
      requests,
      signal,
      (stream) => ({
        onToken(index, { content, logprobs }) {
          if (!content && !logprobs) return;
          const collector = collectors[index]!;
          if (logprobs) collector.add(logprobs);
          stream.push({ ...head, choices: [{ index, text: content, logprobs: logprobs ? collector.take() : null, finish_reason: null }] });
        },
        onFinished(index, { content, reason, timings }) {
          stream.push({ ...head, choices: [{ index, text: content, logprobs: null, finish_reason: reason }], timings });
        },
      }),
      (stream, finished) => {
        if (includeUsage) stream.push({ ...head, choices: [], usage: totalUsage(finished) });
      },
    );
  }
}

type Head = ReturnType<typeof responseHead> & { object: "text_completion" };

/** OpenAI's older shape of log-probabilities: parallel lists instead of objects. */
class LogprobCollector {
  #found: CompletionLogprobs = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
  #offset = 0;

  add({ token, logprob, top_logprobs }: TokenLogprobs): void {
    this.#found.tokens.push(token);
    this.#found.token_logprobs.push(logprob);
    this.#found.top_logprobs.push(Object.fromEntries(top_logprobs.map((top) => [top.token, top.logprob])));
    this.#found.text_offset.push(this.#offset);
    this.#offset += token.length;
  }

  /** What was added since the last call. */
  take(): CompletionLogprobs {
    const found = this.#found;
    this.#found = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
    return found;
  }
}

/** The engine's requests, one for each choice. */
export function textRequests(params: CompletionParams): GenerateRequest[] {
  checkOptions(params, ["prompt"]);
  const { prompt } = params;
  if (typeof prompt === "string") return toRequests({ text: prompt }, params, params.logprobs ?? undefined);
  if (Array.isArray(prompt) && prompt.every(Number.isSafeInteger)) {
    return toRequests({ tokens: prompt }, params, params.logprobs ?? undefined);
  }
  throw invalidRequest("prompt must be a text or a list of token ids");
}
