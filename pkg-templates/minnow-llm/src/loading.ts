// What may be asked of a model before it is there.

import { type ChatCompletions, chatRequests } from "./chat.js";
import { type Completions, textRequests } from "./completions.js";
import type { RequestOptions } from "./generation.js";
import type { Minnow } from "./minnow.js";
import type { GenerateRequest, Prompt } from "./wasm/simd/minnow.js";

/**
 * A model on its way. What is asked of it before it is there is computed as far as its weights have come, and answered when
 * it is there; it fails as the load does.
 */
export interface Loading extends Promise<Minnow> {
  readonly chat: { readonly completions: Pick<ChatCompletions, "create"> };
  readonly completions: Pick<Completions, "create">;
}

/** Makes a promise of a model one that can be asked already; `announce` is told each prompt at once. */
export function askable(loading: Promise<Minnow>, announce: (prompt: Prompt) => void): Loading {
  const create =
    <P, R>(toRequests: (params: P) => GenerateRequest[], answer: (minnow: Minnow, params: P, options: RequestOptions) => Promise<R>) =>
    async (params: P, options: RequestOptions = {}): Promise<R> => {
      options.signal?.throwIfAborted();
      announce(toRequests(params)[0]!.prompt);
      return answer(await unlessAborted(loading, options.signal), params, options);
    };
  return Object.assign(loading, {
    chat: { completions: { create: create(chatRequests, (minnow, params, options) => minnow.chat.completions.create(params, options)) } },
    completions: { create: create(textRequests, (minnow, params, options) => minnow.completions.create(params, options)) },
  }) as Loading;
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal!.reason);
    signal?.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal?.removeEventListener("abort", abort));
  });
}
