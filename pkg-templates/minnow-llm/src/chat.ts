import type { WorkerClient } from "./client.js";
import { invalidRequest } from "./errors.js";
import { type RequestOptions, type TokenEvent, checkOptions, responseHead, run, runStreamed, toRequests, totalUsage } from "./generation.js";
import type { ChatCompletion, ChatCompletionChunk, ChatCompletionMessage, ChatCompletionParams } from "./openai.js";
import type { Stream } from "./stream.js";
import type { ChatInput, GenerateRequest, TokenLogprobs, ToolCall } from "./wasm/simd/minnow.js";
import type { WorkerApi } from "./worker.js";

const OWN_OPTIONS = ["messages", "max_completion_tokens", "top_logprobs", "enable_thinking", "chat_template_kwargs", "tools", "tool_choice"];

/** `minnow.chat.completions` */
export class ChatCompletions {
  readonly #client: WorkerClient<WorkerApi>;
  readonly #model: string;

  /** @internal */
  constructor(client: WorkerClient<WorkerApi>, model: string) {
    this.#client = client;
    this.#model = model;
  }

  /** Answers a conversation. Fails with a `MinnowError`, or with an `AbortError` when aborted. */
  create(params: ChatCompletionParams & { stream: true }, options?: RequestOptions): Promise<Stream<ChatCompletionChunk>>;
  create(params: ChatCompletionParams & { stream?: false | null }, options?: RequestOptions): Promise<ChatCompletion>;
  create(params: ChatCompletionParams, options?: RequestOptions): Promise<ChatCompletion | Stream<ChatCompletionChunk>>;
  async create(params: ChatCompletionParams, { signal }: RequestOptions = {}): Promise<ChatCompletion | Stream<ChatCompletionChunk>> {
    signal?.throwIfAborted();
    const requests = chatRequests(params);
    const head = responseHead("chatcmpl", this.#model);
    if (!params.stream) return this.#whole(requests, head, signal);
    return this.#streamed(requests, head, signal, params.stream_options?.include_usage === true);
  }

  async #whole(requests: GenerateRequest[], head: Head, signal: AbortSignal | undefined): Promise<ChatCompletion> {
    const parts = requests.map(() => ({ content: "", reasoning: "", calls: [] as ToolCall[], logprobs: [] as TokenLogprobs[] }));
    const onToken = (index: number, event: TokenEvent) => {
      const part = parts[index]!;
      part.content += event.content;
      part.reasoning += event.reasoning;
      part.calls.push(...event.tool_calls);
      if (event.logprobs) part.logprobs.push(event.logprobs);
    };
    const finished = await run(this.#client, requests, signal, { onToken }).finished;
    return {
      ...head,
      object: "chat.completion",
      choices: finished.map((end, index) => {
        const part = parts[index]!;
        const message = delta(part.content + end.content, part.reasoning + end.reasoning, [...part.calls, ...end.tool_calls]);
        return {
          index,
          message: { role: "assistant", content: "", ...message },
          logprobs: requests[index]!.logprobs === undefined ? null : { content: part.logprobs },
          finish_reason: end.reason,
        };
      }),
      usage: totalUsage(finished),
      timings: finished[0]!.timings,
    };
  }

  #streamed(requests: GenerateRequest[], head: Head, signal: AbortSignal | undefined, includeUsage: boolean): Promise<Stream<ChatCompletionChunk>> {
    const common = { ...head, object: "chat.completion.chunk" as const, ...(includeUsage && { usage: null }) };
    return runStreamed<ChatCompletionChunk>(
      this.#client,
      requests,
      signal,
      (stream) => {
        const send = (choice: ChatCompletionChunk["choices"][number], more?: Partial<ChatCompletionChunk>) =>
          stream.push({ ...common, choices: [choice], ...more });
        requests.forEach((_, index) => send({ index, delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null }));
        return {
          onToken(index, { content, reasoning, tool_calls, logprobs }) {
            if (!content && !reasoning && !tool_calls[0] && !logprobs) return;
            send({ index, delta: delta(content, reasoning, tool_calls), logprobs: logprobs ? { content: [logprobs] } : null, finish_reason: null });
          },
          onFinished(index, { content, reasoning, tool_calls, reason, timings }) {
            send({ index, delta: delta(content, reasoning, tool_calls), logprobs: null, finish_reason: reason }, { timings });
          },
        };
      },
      (stream, finished) => {
        if (includeUsage) stream.push({ ...common, choices: [], usage: totalUsage(finished) });
      },
    );
  }
}

type Head = ReturnType<typeof responseHead>;

function delta(content: string, reasoning: string, tool_calls: ToolCall[]): Partial<ChatCompletionMessage> {
  return { ...(content && { content }), ...(reasoning && { reasoning_content: reasoning }), ...(tool_calls[0] && { tool_calls }) };
}

/** The engine's requests, one for each choice. */
export function chatRequests(params: ChatCompletionParams): GenerateRequest[] {
  checkOptions(params, OWN_OPTIONS);
  if (!Array.isArray(params.messages) || params.messages.length === 0) {
    throw invalidRequest("messages must be a list with at least one message");
  }
  if (params.top_logprobs && !params.logprobs) throw invalidRequest("top_logprobs needs logprobs: true");
  const { tools, tool_choice } = params;
  if (tool_choice && tool_choice !== "auto" && tool_choice !== "none") throw invalidRequest('tool_choice must be "auto" or "none"');
  const chat: ChatInput = {
    messages: params.messages,
    ...(tools && tool_choice !== "none" && { tools }),
    ...(params.enable_thinking !== undefined && { enableThinking: params.enable_thinking }),
    ...(params.chat_template_kwargs && { templateKwargs: params.chat_template_kwargs }),
  };
  const sampling = { ...params, max_tokens: params.max_completion_tokens ?? params.max_tokens ?? null };
  return toRequests({ chat }, sampling, params.logprobs ? (params.top_logprobs ?? 0) : undefined);
}
