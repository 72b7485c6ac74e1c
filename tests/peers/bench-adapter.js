// Minnow, as an engine of this bench: see page.js for who calls what.
import { Minnow } from '/minnow/index.js';

export default class Engine {
  async load(url, { threads, nCtx }) {
    this.minnow = await Minnow.load(url, { threads, contextLength: nCtx });
    return this.minnow.info;
  }

  async prompt({ ids, text }) {
    this.input = ids ?? text;
  }

  async generate(n, onToken) {
    const stream = await this.minnow.completions.create({
      prompt: this.input, max_tokens: n, temperature: 0, ignore_eos: true, stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      if (chunk.usage) this.usage = chunk.usage;
      if (chunk.timings) this.timings = chunk.timings;
      const choice = chunk.choices[0];
      if (choice && !choice.finish_reason) onToken(choice.text);
    }
  }

  stats() {
    return { n_prompt: this.usage?.prompt_tokens, n_new: this.usage?.completion_tokens, ...this.timings };
  }

  async wasmBytes() {
    return (await this.minnow.metrics()).memory.wasm;
  }

  async dispose() {
    await this.minnow?.unload();
  }
}
