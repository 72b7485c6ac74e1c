/// <reference lib="esnext.disposable" preserve="true" />

export type { Capabilities, Choice, Variant, Wishes } from "./capabilities.js";
export type { ChatCompletions } from "./chat.js";
export type { Completions } from "./completions.js";
export { type ErrorCode, MinnowError } from "./errors.js";
export type { RequestOptions } from "./generation.js";
export type { Loading } from "./loading.js";
export { type EngineOptions, type LoadOptions, Minnow, type MinnowInfo, type TemplateOptions, type TokenizeOptions } from "./minnow.js";
export type { InspectOptions, ModelStore, PullOptions, Repair, VerifyOptions } from "./models.js";
export type * from "./openai.js";
export type { FetchOptions, ModelSource } from "./source.js";
export type { Stream } from "./stream.js";
export type {
  ChatMessage, Loaded, LoadTimes, Memory, Metrics, ModelInfo, Needs, Prediction, Progress, SessionInfo, Stage, StoredModel, Timings, TokenLogprobs, TokenProbability, ToolCall, Usage as StorageUsage, Verification,
} from "./wasm/simd/minnow.js";
