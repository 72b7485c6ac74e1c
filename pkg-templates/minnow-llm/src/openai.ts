// OpenAI's request and response types, as far as Minnow has them, with llama.cpp's sampling
// options and llama-server's `timings` beside them.
// https://platform.openai.com/docs/api-reference/chat

import type { ChatMessage, Timings, TokenLogprobs, ToolCall } from "./wasm/simd/minnow.js";

/** Sampling options by llama.cpp's names, with its defaults; and where to stop. */
export interface SamplingParams {
  /** Most tokens to generate; until the context is full when left out. */
  max_tokens?: number | null;
  /** 0 always takes the most likely token. Default 0.8. */
  temperature?: number | null;
  /** Keep this many most likely tokens; 0 keeps all. Default 40. */
  top_k?: number | null;
  /** Keep the fewest tokens that together have this probability. Default 0.95. */
  top_p?: number | null;
  /** Keep tokens at least this times as likely as the most likely one. Default 0.05. */
  min_p?: number | null;
  /** Locally typical sampling; 1 is off. Default 1. */
  typical_p?: number | null;
  /** Makes recent tokens less likely when above 1. Default 1. */
  repeat_penalty?: number | null;
  /** How many latest tokens the penalties look at; -1 is all. Default 64. */
  repeat_last_n?: number | null;
  /** Subtracted from a recent token's logit once per occurrence. Default 0. */
  frequency_penalty?: number | null;
  /** Subtracted once from the logit of every recent token. Default 0. */
  presence_penalty?: number | null;
  /** Added to the logits of single tokens, by token id; `-Infinity` forbids one. */
  logit_bias?: Record<string, number> | null;
  /** The same seed gives the same answer; a random one when left out. */
  seed?: number | null;
  /** Texts that end the answer and are not part of it. */
  stop?: string | string[] | null;
  /** How many answers to give. Default 1. */
  n?: number | null;
  /** Go on past the model's end-of-generation tokens. */
  ignore_eos?: boolean | null;
  /** Send the answer as it is generated. */
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean } | null;
  /** Accepted for compatibility; the loaded model answers. */
  model?: string;
  /** Accepted for compatibility, and ignored. */
  user?: string;
  /** Accepted for compatibility, and ignored. */
  metadata?: Record<string, string> | null;
  /** Accepted for compatibility, and ignored. */
  store?: boolean | null;
}

export interface ChatCompletionParams extends SamplingParams {
  messages: ChatMessage[];
  /** OpenAI's newer name for `max_tokens`. */
  max_completion_tokens?: number | null;
  /** Report each token's log-probability. */
  logprobs?: boolean | null;
  /** How many alternatives to report with each token, 0 to 20. */
  top_logprobs?: number | null;
  /** Functions that the model may call; its chat template must know how to describe them. */
  tools?: { type: "function"; function: { name: string; description?: string; parameters?: object } }[] | null;
  /** `none` hides the tools from the model. Default `auto`. */
  tool_choice?: "auto" | "none" | null;
  /** Ask a model that can reason before it answers to do so, or not to. */
  enable_thinking?: boolean;
  /** Further variables for the chat template. */
  chat_template_kwargs?: Record<string, unknown>;
}

export interface CompletionParams extends SamplingParams {
  /** Text, or token ids. */
  prompt: string | number[];
  /** How many alternatives to report with each token, 0 to 20. */
  logprobs?: number | null;
}

export type FinishReason = "stop" | "length" | "abort" | "tool_calls";

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
}

export interface ChatLogprobs {
  content: TokenLogprobs[];
}

export interface ChatCompletionMessage {
  role: "assistant";
  content: string;
  /** What the model thought before it answered, if it did. */
  reasoning_content?: string;
  /** The tools that the model calls, if it does. When streaming, each comes whole. */
  tool_calls?: ToolCall[];
}

export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  /** Unix seconds. */
  created: number;
  model: string;
  choices: {
    index: number;
    message: ChatCompletionMessage;
    logprobs: ChatLogprobs | null;
    finish_reason: FinishReason;
  }[];
  usage: Usage;
  /** Of the first choice. */
  timings: Timings;
}

export interface ChatCompletionChunk {
  id: string;
  object: "chat.completion.chunk";
  /** Unix seconds. */
  created: number;
  model: string;
  /** Empty in the chunk that carries `usage`. */
  choices: {
    index: number;
    delta: Partial<ChatCompletionMessage>;
    logprobs: ChatLogprobs | null;
    finish_reason: FinishReason | null;
  }[];
  /** In the last chunk, with `stream_options.include_usage`. */
  usage?: Usage | null;
  /** In the chunk with a choice's `finish_reason`. */
  timings?: Timings;
}

export interface CompletionLogprobs {
  tokens: string[];
  token_logprobs: number[];
  top_logprobs: Record<string, number>[];
  /** Where each token's text starts in the answer. */
  text_offset: number[];
}

/** A whole completion, or a part of one when streaming. */
export interface Completion {
  id: string;
  object: "text_completion";
  /** Unix seconds. */
  created: number;
  model: string;
  /** Empty in the chunk that carries `usage` when streaming. */
  choices: {
    index: number;
    text: string;
    logprobs: CompletionLogprobs | null;
    /** Null while streaming goes on. */
    finish_reason: FinishReason | null;
  }[];
  /** When streaming: in the last chunk, with `stream_options.include_usage`. */
  usage?: Usage;
  /** Of the first choice; when streaming: in the chunk with a choice's `finish_reason`. */
  timings?: Timings;
}
