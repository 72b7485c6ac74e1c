// The chat: what is typed goes to the model, what the model says grows on the page.
import { Announcer } from "./announcer.js";
import { Conversation } from "./conversation.js";
import { byId, element } from "./dom.js";
import { explain, isAbort } from "./faults.js";
import { count, speed } from "./format.js";
import { requestOptions } from "./preferences.js";
import { Transcript } from "./transcript.js";

const NOTES = { length: "Reached the longest answer set.", abort: "Stopped." };

/** The view of one conversation. */
export class ChatView {
  #conversation = new Conversation();
  #announcer = new Announcer(byId("announcer"));
  #transcript = new Transcript({ scroller: byId("transcript"), list: byId("messages"), toEnd: byId("to-end") });
  #prompt = byId("prompt");
  /** @type {AbortController | undefined} */
  #running;

  /**
   * @param {object} options
   * @param {() => import("minnow-llm").Minnow | undefined} options.model the loaded model
   * @param {ReturnType<typeof import("./preferences.js").defaults>} options.preferences
   * @param {(facts: import("./figures.js").Facts) => void} options.onFigures
   */
  constructor({ model, preferences, onFigures }) {
    this.model = model;
    this.preferences = preferences;
    this.onFigures = onFigures;
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.#prompt.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    });
    byId("stop").addEventListener("click", () => this.stop());
    byId("suggestions").addEventListener("click", (event) => {
      if (event.target instanceof HTMLButtonElement) this.send(event.target.textContent);
    });
    this.#showMessages();
  }

  /** Puts the cursor where one writes. */
  focus() {
    this.#prompt.focus();
  }

  /** True while an answer is being written. */
  get busy() {
    return this.#running !== undefined;
  }

  /** Ends the answer being written; what is there stays. */
  stop() {
    this.#running?.abort();
  }

  /** Forgets the conversation. */
  clear() {
    this.stop();
    this.#conversation.clear();
    this.#showMessages();
    this.onFigures({ contextUsed: 0 });
    this.focus();
  }

  #showMessages() {
    this.#transcript.reset(this.#conversation.messages);
    byId("opening").hidden = this.#conversation.messages.length > 0;
  }

  /** Sends a text: what is typed, if no other is given. @param {string} [text] */
  send(text = this.#prompt.value) {
    const content = text.trim();
    if (!content || this.busy) return;
    this.#prompt.value = "";
    this.focus();
    byId("opening").hidden = true;
    this.#transcript.add(this.#conversation.add({ role: "user", content }));
    this.#answer();
  }

  async #answer() {
    const conversation = this.#conversation;
    const messages = conversation.request(this.preferences.system);
    const message = conversation.add({ role: "assistant", content: "" });
    const view = this.#transcript.add(message);
    const running = new AbortController();
    this.#setRunning(running);
    view.wait("Reading…");
    this.#announcer.begin("Answering");
    try {
      const end = await this.#stream(messages, message, view, running.signal);
      message.note = NOTES[end.reason];
      view.finish({ figures: figuresText(end), actions: message.content ? [] : [this.#retryButton()] });
      this.#announcer.end(message.content, message.note ?? "");
    } catch (error) {
      this.#failed(error, message, view);
    } finally {
      // A chat begun meanwhile has its own messages; this answer is not one of them.
      if (conversation.messages.includes(message)) conversation.save();
      this.#setRunning(undefined);
    }
  }

  /** Reads the answer into `message`; resolves to how it ended. */
  async #stream(messages, message, view, signal) {
    const request = { messages, stream: true, stream_options: { include_usage: true }, ...requestOptions(this.preferences) };
    const meter = new TokenMeter();
    const end = { reason: "stop" };
    const paint = onceAFrame(() => view.update());
    for await (const chunk of await this.model().chat.completions.create(request, { signal })) {
      const choice = chunk.choices[0];
      const { content = "", reasoning_content: reasoning = "" } = choice?.delta ?? {};
      if (content || reasoning) {
        message.content += content;
        message.reasoning = (message.reasoning ?? "") + reasoning;
        paint();
        this.#announcer.update(message.content, performance.now());
        this.onFigures({ tokensPerSecond: meter.add(performance.now()) });
      }
      if (choice?.finish_reason) end.reason = choice.finish_reason;
      if (chunk.usage) end.usage = chunk.usage;
      if (chunk.timings) end.timings = chunk.timings;
    }
    view.update();
    this.onFigures({ tokensPerSecond: end.timings?.predicted_per_second, contextUsed: end.usage?.total_tokens });
    this.#measureMemory();
    return end;
  }

  /** The cache grows with the conversation, and the module's memory with it. */
  async #measureMemory() {
    const metrics = await this.model()?.metrics().catch(() => undefined);
    this.onFigures({ memory: metrics?.memory.wasm });
  }

  #failed(error, message, view) {
    view.update();
    if (isAbort(error)) message.note = NOTES.abort;
    else view.fail(explain(error));
    view.finish({ actions: [this.#retryButton()] });
    this.#announcer.end(message.content, message.note ?? "");
  }

  #retryButton() {
    const button = element("button", { type: "button", className: "copy" }, "Try again");
    button.addEventListener("click", () => {
      if (this.busy) return;
      this.#conversation.dropAnswer();
      this.#transcript.removeLast();
      this.#answer();
      this.focus();
    });
    return button;
  }

  /** Exchanges the send and stop buttons, keeping the focus on the one that is there. */
  #setRunning(running) {
    this.#running = running;
    const [send, stop] = [byId("send"), byId("stop")];
    const focused = document.activeElement === send || document.activeElement === stop;
    send.hidden = running !== undefined;
    stop.hidden = running === undefined;
    if (focused) (running ? stop : this.#prompt).focus();
    byId("messages").setAttribute("aria-busy", String(running !== undefined));
  }
}

/** Tokens per second of the answer being written, counted in chunks. */
class TokenMeter {
  #first;
  #tokens = 0;

  /** Counts one. @param {number} now milliseconds @returns {number | undefined} tokens a second since the first */
  add(now) {
    this.#first ??= now;
    this.#tokens += 1;
    const seconds = (now - this.#first) / 1000;
    return seconds > 0 ? (this.#tokens - 1) / seconds : undefined;
  }
}

function figuresText({ usage, timings }) {
  const parts = [];
  if (usage) parts.push(`${count(usage.completion_tokens)} tokens`);
  if (timings?.predicted_per_second) parts.push(speed(timings.predicted_per_second));
  return parts.join(" · ");
}

/** `paint`, at most once a frame. */
function onceAFrame(paint) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      paint();
    });
  };
}
