// From the options a user gives to requests the engine takes, and the running of them.

import type { WorkerClient } from "./client.js";
import { invalidRequest } from "./errors.js";
import type { SamplingParams, Usage } from "./openai.js";
import { Stream } from "./stream.js";
import type { GenerateRequest, Prompt, StepEvent } from "./wasm/simd/minnow.js";
import type { WorkerApi } from "./worker.js";

export type TokenEvent = Extract<StepEvent, { type: "token" }>;
export type FinishedEvent = Extract<StepEvent, { type: "finished" }>;

export interface RequestOptions {
  /** Cancels the request. */
  signal?: AbortSignal;
}

const MOST_CHOICES = 128;
/** OpenAI's limit. */
const MOST_ALTERNATIVES = 20;

/** Options that go to the engine as they are, and how many decimals they may have. */
const NUMBERS = {
  max_tokens: "integer",
  temperature: "number",
  top_k: "integer",
  top_p: "number",
  min_p: "number",
  typical_p: "number",
  repeat_penalty: "number",
  repeat_last_n: "integer",
  frequency_penalty: "number",
  presence_penalty: "number",
} as const satisfies Partial<Record<keyof GenerateRequest, "integer" | "number">>;

const COMMON = new Set([
  ...Object.keys(NUMBERS), "logit_bias", "seed", "stop", "n", "ignore_eos", "stream", "stream_options", "model", "user", "metadata", "store", "logprobs",
]);

/** Refuses options that nothing would come of: a typing error, or something Minnow does not have. */
export function checkOptions(params: object, own: readonly string[]): void {
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && !COMMON.has(name) && !own.includes(name)) {
      throw invalidRequest(`there is no option ${JSON.stringify(name)} here; there are: ${[...own, ...COMMON].join(", ")}`);
    }
  }
}

/** One engine request for each of the `n` choices. */
export function toRequests(prompt: Prompt, params: SamplingParams, alternatives: number | undefined): GenerateRequest[] {
  const request: GenerateRequest = { prompt };
  for (const [name, kind] of Object.entries(NUMBERS) as [keyof typeof NUMBERS, "integer" | "number"][]) {
    const value = params[name];
    if (value !== undefined && value !== null) request[name] = checkNumber(name, value, kind);
  }
  if (params.stop !== undefined && params.stop !== null) {
    request.stop = typeof params.stop === "string" ? [params.stop] : params.stop;
  }
  if (params.logit_bias) request.logit_bias = params.logit_bias;
  if (params.ignore_eos) request.ignore_eos = true;
  if (alternatives !== undefined) {
    request.logprobs = checkNumber("the number of alternatives", alternatives, "integer", 0, MOST_ALTERNATIVES);
  }
  const choices = checkNumber("n", params.n ?? 1, "integer", 1, MOST_CHOICES);
  const seed = params.seed ?? undefined;
  if (seed === undefined) return Array.from({ length: choices }, () => request);
  checkNumber("seed", seed, "integer", 0);
  return Array.from({ length: choices }, (_, index) => ({ ...request, seed: seed + index }));
}

function checkNumber(name: string, value: unknown, kind: "integer" | "number", least = -Infinity, most = Infinity): number {
  if (typeof value !== "number" || Number.isNaN(value)) throw invalidRequest(`${name} must be a number, but is ${JSON.stringify(value)}`);
  if (kind === "integer" && !Number.isSafeInteger(value)) throw invalidRequest(`${name} must be a whole number, but is ${value}`);
  if (value < least || value > most) throw invalidRequest(`${name} is ${value}, but must be from ${least} to ${most}`);
  return value;
}

export interface Handlers {
  onToken(index: number, event: TokenEvent): void;
  onFinished?(index: number, event: FinishedEvent): void;
}

export interface Running {
  /** Settles when the engine has accepted or refused every request. */
  accepted: Promise<unknown>;
  /** Settles when all have ended. */
  finished: Promise<FinishedEvent[]>;
}

/** A controller that aborts when `signal` does, and lets go of it once aborted. */
function follower(signal: AbortSignal | undefined): AbortController {
  const controller = new AbortController();
  if (signal?.aborted) controller.abort(signal.reason);
  signal?.addEventListener("abort", () => controller.abort(signal.reason), { signal: controller.signal });
  return controller;
}

/**
 * Runs requests side by side and tells each token with the index of its choice. When one fails, or
 * `signal` fires, all end.
 */
export function run(
  client: WorkerClient<WorkerApi>,
  requests: GenerateRequest[],
  signal: AbortSignal | undefined,
  { onToken, onFinished }: Handlers,
): Running {
  const ending = follower(signal);
  const running = requests.map((request, index) => {
    let accept = () => {};
    const accepted = new Promise<void>((resolve) => (accept = resolve));
    const finished = client
      .call("generate", [request], {
        signal: ending.signal,
        onEvent: (event) => {
          if (event.type === "accepted") accept();
          else if (event.type === "token") onToken(index, event);
        },
      })
      .then((event) => {
        onFinished?.(index, event);
        return event;
      });
    return { accepted: Promise.race([accepted, finished]), finished };
  });
  const finished = Promise.all(running.map((one) => one.finished));
  // Nothing is left to end when all have answered; this lets go of the caller's signal.
  finished.then(
    () => ending.abort(),
    (error: unknown) => ending.abort(error),
  );
  return { accepted: Promise.all(running.map((one) => one.accepted)), finished };
}

/**
 * Streams what `handlers` push. Resolves when the engine has accepted the requests, so that a bad
 * request is refused before there is a stream.
 */
export async function runStreamed<T>(
  client: WorkerClient<WorkerApi>,
  requests: GenerateRequest[],
  signal: AbortSignal | undefined,
  handlers: (stream: Stream<T>) => Handlers,
  onEnd: (stream: Stream<T>, finished: FinishedEvent[]) => void,
): Promise<Stream<T>> {
  const ending = follower(signal);
  const stream = new Stream<T>((reason) => ending.abort(reason));
  const { accepted, finished } = run(client, requests, ending.signal, handlers(stream));
  finished.then(
    (events) => {
      onEnd(stream, events);
      stream.end();
      ending.abort();
    },
    (error: unknown) => stream.fail(error),
  );
  await accepted;
  return stream;
}

/** The usage of all choices: OpenAI counts the prompt once. */
export function totalUsage(finished: FinishedEvent[]): Usage {
  const prompt_tokens = finished[0]?.usage.prompt_tokens ?? 0;
  const completion_tokens = finished.reduce((sum, { usage }) => sum + usage.completion_tokens, 0);
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: finished[0]?.usage.cached_tokens ?? 0 },
  };
}

/** What every response of one request carries. */
export function responseHead(prefix: string, model: string): { id: string; created: number; model: string } {
  const random = Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36).padStart(7, "0"));
  return { id: `${prefix}-${random.join("")}`, created: Math.floor(Date.now() / 1000), model };
}
