// The messages of one chat, remembered until a new one begins.
import { store, stored } from "./storage.js";

const KEY = "conversation";

/**
 * @typedef {object} Message
 * @property {"user" | "assistant"} role
 * @property {string} content
 * @property {string} [reasoning] what the model thought first
 * @property {string} [note] how the answer ended, where it did not simply end
 */

/** The chat on the page. */
export class Conversation {
  /** @type {Message[]} */
  messages = validMessages(stored(KEY));

  /** Adds a message and returns it. @param {Message} message */
  add(message) {
    this.messages.push(message);
    return message;
  }

  /** Takes back the last answer, so that it can be asked for again. */
  dropAnswer() {
    if (this.messages.at(-1)?.role === "assistant") this.messages.pop();
  }

  /** Remembers the messages as they are. */
  save() {
    store(KEY, this.messages.length ? this.messages : undefined);
  }

  /** Forgets everything. */
  clear() {
    this.messages = [];
    this.save();
  }

  /** The messages in OpenAI's shape, with the system prompt in front if there is one. @param {string} system */
  request(system) {
    const spoken = this.messages.filter(({ role, content }) => role === "user" || content);
    const messages = spoken.map(({ role, content }) => ({ role, content }));
    return system.trim() ? [{ role: "system", content: system.trim() }, ...messages] : messages;
  }
}

/** What is stored, if it is what this page stores. */
function validMessages(value) {
  const known = ({ role, content }) => (role === "user" || role === "assistant") && typeof content === "string";
  return Array.isArray(value) && value.every((message) => message && known(message)) ? value : [];
}
