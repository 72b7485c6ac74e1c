/**
 * What a streaming request returns. Iterate it once, with `for await`; leaving the loop early
 * cancels the request, and so does {@link Stream.abort}.
 */
export class Stream<T> implements AsyncIterable<T> {
  readonly #abort: (reason?: unknown) => void;
  #queue: T[] = [];
  #ended: { error?: unknown } | undefined;
  #wake: (() => void) | undefined;
  #taken = false;

  /** @internal */
  constructor(abort: (reason?: unknown) => void) {
    this.#abort = abort;
  }

  /** Cancels the request; the iteration throws an `AbortError`. */
  abort(reason?: unknown): void {
    this.#abort(reason);
  }

  /** @internal */
  push(item: T): void {
    this.#queue.push(item);
    this.#wake?.();
  }

  /** @internal */
  end(): void {
    this.#ended ??= {};
    this.#wake?.();
  }

  /** Items that nobody has taken yet are dropped. @internal */
  fail(error: unknown): void {
    this.#ended ??= { error };
    this.#queue = [];
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    if (this.#taken) throw new TypeError("this stream has been iterated already");
    this.#taken = true;
    try {
      for (;;) {
        const items = this.#queue;
        this.#queue = [];
        yield* items;
        if (this.#queue.length > 0) continue;
        if (this.#ended) {
          if ("error" in this.#ended) throw this.#ended.error;
          return;
        }
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      if (!this.#ended) this.#abort();
    }
  }

  /** The same items as a web stream, whose cancellation cancels the request. */
  toReadableStream(): ReadableStream<T> {
    const iterator = this[Symbol.asyncIterator]();
    return new ReadableStream<T>({
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: () => this.abort(),
    });
  }
}
