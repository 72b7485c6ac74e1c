// What a screen reader hears of an answer that arrives word by word: whole sentences, a few seconds apart, instead of
// every token. The transcript itself is not live; this hidden region is.

const MIN_GAP_MS = 2500;
/** The end of a sentence or a line: nothing before it will change any more. */
const BOUNDARY = /[.!?…。！？:][")\]»”]*\s|\n/g;

/** Reads a growing text aloud through a live region. */
export class Announcer {
  #region;
  #spoken = 0;
  #last = -Infinity;

  /** @param {HTMLElement} region an element with aria-live="polite" */
  constructor(region) {
    this.#region = region;
  }

  /** Says one thing at once. @param {string} text */
  say(text) {
    this.#region.textContent = text;
  }

  /** A new text begins. @param {string} [opening] said first */
  begin(opening = "") {
    this.#spoken = 0;
    this.#last = -Infinity;
    this.say(opening);
  }

  /**
   * The text so far. Says what is new up to the last complete sentence, if the previous words have had their time.
   * @param {string} text
   * @param {number} now milliseconds of any steady clock
   */
  update(text, now) {
    const end = lastBoundary(text);
    if (end <= this.#spoken || now - this.#last < MIN_GAP_MS) return;
    this.say(plain(text.slice(this.#spoken, end)));
    this.#spoken = end;
    this.#last = now;
  }

  /** The text is complete: says the rest, and how it ended. @param {string} text @param {string} ending */
  end(text, ending) {
    this.say(`${plain(text.slice(this.#spoken))} ${ending}`.trim());
    this.#spoken = text.length;
  }
}

/** Where the last complete sentence of `text` ends. */
function lastBoundary(text) {
  let end = 0;
  for (const match of text.matchAll(BOUNDARY)) end = match.index + match[0].length;
  return end;
}

/** Without Markdown's marks, which are noise when spoken. */
const plain = (text) => text.replace(/[`*~]+/g, "").replace(/[#>|\s]+/g, " ").trim();
