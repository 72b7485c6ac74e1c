// Light or dark: the system's choice until the reader makes one. Loaded before the first paint.
import { stored, store } from "./storage.js";

const CHOICES = ["system", "light", "dark"];
const KEY = "theme";
const META = [...document.querySelectorAll('meta[name="theme-color"]')];
const COLORS = META.map((meta) => meta.content);

let choice = CHOICES.includes(stored(KEY)) ? stored(KEY) : "system";
apply();

/** The reader's choice: "system", "light" or "dark". */
export const theme = () => choice;

/** Goes on to the next choice and remembers it. */
export function nextTheme() {
  choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
  store(KEY, choice);
  apply();
}

function apply() {
  if (choice === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  META.forEach((meta, index) => {
    meta.content = choice === "system" ? COLORS[index] : COLORS[CHOICES.indexOf(choice) - 1];
  });
}
