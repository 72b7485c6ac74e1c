// Markdown that is still being written: each new text replaces only the blocks that changed, so that what is already
// read, selected or focused stays as it is. Everything is sanitized before it enters the page, and nothing that could
// ask another server for anything (images, media, frames, styles) survives.
import { Marked } from "marked";
import createDOMPurify from "dompurify";
import { copyButton } from "./copy.js";
import { element } from "./dom.js";

const marked = new Marked({
  renderer: {
    // HTML in an answer is something the model talks about: it is shown as it was written.
    html: ({ text }) => escaped(text),
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
  },
});
const purifier = createDOMPurify(window);
const ALLOWED = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre",
    "s", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["href", "title", "start", "align", "class"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  RETURN_DOM_FRAGMENT: true,
};

/** A container whose content is a growing Markdown text. */
export class MarkdownView {
  /** The raw text of each block shown, in order. */
  #blocks = [];

  /** @param {HTMLElement} container */
  constructor(container) {
    this.container = container;
  }

  /** Shows `text`, keeping every leading block that is the same as before. @param {string} text */
  update(text) {
    const all = marked.lexer(text);
    const tokens = all.filter(({ type }) => type !== "space");
    let same = 0;
    while (same < this.#blocks.length && same < tokens.length && this.#blocks[same] === tokens[same].raw) same += 1;
    while (this.container.childNodes.length > same) this.container.lastChild.remove();
    for (const token of tokens.slice(same)) this.container.append(block(token, all.links));
    this.#blocks = tokens.map(({ raw }) => raw);
  }
}

function escaped(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** One block of Markdown as one element. */
function block(token, links) {
  const html = marked.parser(Object.assign([token], { links }));
  const wrapper = element("div", { className: "block" });
  wrapper.append(purifier.sanitize(html, ALLOWED));
  for (const link of wrapper.querySelectorAll("a[href]")) Object.assign(link, { target: "_blank", rel: "noopener noreferrer" });
  for (const heading of wrapper.querySelectorAll("h1, h2, h3, h4, h5, h6")) deepen(heading);
  for (const pre of wrapper.querySelectorAll("pre")) frame(pre);
  for (const table of wrapper.querySelectorAll("table")) scrollable(table, "Table");
  return wrapper;
}

/**
 * Puts a heading just below the message's own (h2), keeping its look by class: answers begin at any level and skip some,
 * which would leave holes in the page's outline.
 */
function deepen(heading) {
  const deeper = element("h3", { className: `heading-${heading.tagName.slice(1)}` });
  deeper.append(...heading.childNodes);
  heading.replaceWith(deeper);
}

/** Gives a code block its language and a copy button. */
function frame(pre) {
  const language = /language-([\w+#-]+)/.exec(pre.querySelector("code")?.className ?? "")?.[1] ?? "";
  const copy = copyButton("code", () => pre.textContent);
  const head = element("div", { className: "code-head" }, element("span", {}, language), copy);
  const figure = element("div", { className: "code" }, head);
  pre.replaceWith(figure);
  figure.append(pre);
  scrollable(pre, language ? `${language} code` : "Code");
}

/** Makes wide content scroll by itself, also from the keyboard. */
function scrollable(node, label) {
  const box = element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": label });
  node.replaceWith(box);
  box.append(node);
}
