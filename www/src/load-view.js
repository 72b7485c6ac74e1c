// The page shown while a model loads: which stage, how many bytes, how fast, how long.
import { byId, element } from "./dom.js";
import { bytes, duration } from "./format.js";
import { TransferRate } from "./transfer-rate.js";

/** The stages of a load; a model that is kept is read instead of downloaded, and one kept in part is both. */
const STAGES = { resolve: "Find", download: "Download", read: "Read", prepare: "Prepare" };
/** The figures change at most this often: a number that flickers can't be read. */
const FIGURES_MS = 250;

/** The view of one load. */
export class LoadView {
  #rate = new TransferRate();
  #stage = "";
  #seen = new Set();
  #figuresAt = -Infinity;

  /** @param {(text: string) => void} announce says a change of stage */
  constructor(announce) {
    this.announce = announce;
  }

  /** A load begins. @param {string} name */
  begin(name) {
    byId("load-title").textContent = `Loading ${name}`;
    byId("stages").replaceChildren(
      ...Object.entries(STAGES).map(([stage, label]) => {
        const entry = element("li", {}, label);
        entry.dataset.stage = stage;
        return entry;
      }),
    );
    this.#stage = "";
    this.#seen.clear();
    this.update({ stage: "resolve", loaded: 0, total: 0 }, 0);
  }

  /**
   * Shows one report of `Minnow.load`.
   * @param {{ stage: string, loaded: number, total?: number, file?: string }} progress
   * @param {number} now milliseconds of any steady clock
   */
  update({ stage, loaded, total, file }, now) {
    if (stage !== this.#stage) this.#enter(stage);
    this.#rate.add(loaded, now);
    const done = total > 0 ? Math.min(1, loaded / total) : undefined;
    const bar = byId("load-bar");
    bar.classList.toggle("swim-unknown", done === undefined);
    bar.style.setProperty("--done", done ?? 0);
    if (now - this.#figuresAt < FIGURES_MS && done !== 1) return;
    this.#figuresAt = now;
    if (done === undefined) bar.removeAttribute("aria-valuenow");
    else bar.setAttribute("aria-valuenow", Math.floor(done * 100));
    const amount = total > 0 ? `${bytes(loaded)} of ${bytes(total)}` : loaded > 0 ? bytes(loaded) : "";
    const rate = this.#rate.perSecond;
    const left = total > 0 ? this.#rate.secondsLeft(total) : undefined;
    bar.setAttribute("aria-valuetext", [STAGES[stage] ?? stage, amount].filter(Boolean).join(": "));
    byId("load-bytes").textContent = amount;
    byId("load-speed").textContent = rate && loaded > 0 ? `${bytes(rate)}/s` : "";
    byId("load-left").textContent = left && loaded < total ? `${duration(left)} left` : "";
    byId("load-file").textContent = file ?? "";
  }

  #enter(stage) {
    this.#stage = stage;
    this.#rate = new TransferRate();
    this.#figuresAt = -Infinity;
    for (const entry of byId("stages").children) {
      const current = entry.dataset.stage === stage;
      entry.className = current ? "stage-now" : this.#seen.has(entry.dataset.stage) ? "stage-done" : "";
      if (current) entry.setAttribute("aria-current", "step");
      else entry.removeAttribute("aria-current");
    }
    this.#seen.add(stage);
    if (STAGES[stage]) this.announce(`${STAGES[stage]}…`);
  }
}
