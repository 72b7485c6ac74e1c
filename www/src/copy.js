// Buttons that copy a text, and say whether it worked.
import { element } from "./dom.js";

const ANSWER_MS = 1600;

/**
 * A button that reads "Copy", and to a screen reader says what.
 * @param {string} what
 * @param {() => string} text what goes to the clipboard
 */
export function copyButton(what, text) {
  const label = document.createTextNode("Copy");
  const button = element("button", { type: "button", className: "copy" }, label, element("span", { className: "visually-hidden" }, ` ${what}`));
  button.addEventListener("click", async () => {
    const copied = await navigator.clipboard.writeText(text()).then(() => true, () => false);
    label.data = copied ? "Copied" : "Not allowed to copy";
    setTimeout(() => {
      label.data = "Copy";
    }, ANSWER_MS);
  });
  return button;
}
