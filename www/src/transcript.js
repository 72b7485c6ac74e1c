// The messages on the page: one article each, the last of which may still be growing.
import { copyButton } from "./copy.js";
import { element } from "./dom.js";
import { MarkdownView } from "./markdown.js";

/** Closer to the end than this, in pixels, the view follows the text. */
const FOLLOW_PX = 80;

/** The scrolling list of messages. */
export class Transcript {
  #following = true;

  /** @param {{ scroller: HTMLElement, list: HTMLElement, toEnd: HTMLElement }} parts */
  constructor({ scroller, list, toEnd }) {
    this.scroller = scroller;
    this.list = list;
    this.toEnd = toEnd;
    scroller.addEventListener("scroll", () => this.#look(), { passive: true });
    toEnd.addEventListener("click", () => this.scrollToEnd());
    new ResizeObserver(() => this.#following && this.scrollToEnd()).observe(list);
  }

  /** Shows these messages instead of those before. @param {import("./conversation.js").Message[]} messages */
  reset(messages) {
    this.list.replaceChildren();
    for (const message of messages) this.add(message);
    this.scrollToEnd();
  }

  /** Adds a message and returns its view. @param {import("./conversation.js").Message} message */
  add(message) {
    const view = new MessageView(message);
    this.list.append(view.article);
    this.scrollToEnd();
    return view;
  }

  /** Takes the last message off the page. */
  removeLast() {
    this.list.lastElementChild?.remove();
  }

  scrollToEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#look();
  }

  #look() {
    const below = this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight;
    this.#following = below < FOLLOW_PX;
    this.toEnd.hidden = this.#following;
  }
}

/** One message. */
export class MessageView {
  #reasoning;
  #reasoningText = element("div", { className: "reasoning-text" });
  #body = element("div", { className: "message-body" });
  #foot = element("footer", { className: "message-foot", hidden: true });
  #markdown = new MarkdownView(this.#body);

  /** @param {import("./conversation.js").Message} message */
  constructor(message) {
    this.message = message;
    const mine = message.role === "user";
    const summary = element("summary", {}, "Thinking");
    this.#reasoning = element("details", { className: "reasoning", hidden: true }, summary, this.#reasoningText);
    this.article = element(
      "article",
      { className: `message message-${message.role}` },
      element("h2", { className: "visually-hidden" }, mine ? "You" : "Minnow"),
      this.#reasoning,
      this.#body,
      this.#foot,
    );
    if (mine) this.#body.textContent = message.content;
    else this.update();
    if (!mine && message.content) this.finish();
  }

  /** Shows the message as it is now. */
  update() {
    const { content, reasoning = "" } = this.message;
    this.#reasoning.hidden = !reasoning.trim();
    this.#reasoningText.textContent = reasoning.trim();
    this.#reasoning.firstChild.textContent = content ? "Thought before answering" : "Thinking…";
    this.#markdown.update(content);
  }

  /** While nothing has been said yet: what is being done. @param {string} text */
  wait(text) {
    this.#body.replaceChildren(element("p", { className: "muted waiting" }, text));
  }

  /**
   * The answer is complete: its copy button, how it ended, its figures.
   * @param {{ figures?: string, actions?: HTMLElement[] }} [end]
   */
  finish({ figures = "", actions = [] } = {}) {
    const copy = copyButton("answer", () => this.message.content);
    copy.hidden = !this.message.content;
    const note = element("span", { className: "note" }, this.message.note ?? "");
    this.#foot.replaceChildren(copy, ...actions, note, element("span", { className: "muted" }, figures));
    this.#foot.hidden = false;
  }

  /** Shows an error in place of the rest. @param {{ code: string, title: string, message: string, remedy: string }} fault */
  fail({ code, title, message, remedy }) {
    const box = element(
      "div",
      { className: "message-fault", role: "alert" },
      element("p", { className: "fault-code" }, code),
      element("p", {}, element("strong", {}, title)),
      element("p", {}, message),
      element("p", { className: "muted" }, remedy),
    );
    this.#body.after(box);
  }
}
