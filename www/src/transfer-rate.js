// Speed and time left of a download, from the progress it reports.

/** How far back the average looks, in milliseconds: long enough to be steady, short enough to follow a change. */
const WINDOW_MS = 5000;
/** Less history than this gives no figure: the first chunks say little. */
const MIN_SPAN_MS = 500;

/** A moving average over the last five seconds of reports. */
export class TransferRate {
  #samples = [];

  /**
   * Takes one report. A count that falls (a new file, a new stage) starts the average anew.
   * @param {number} loaded bytes so far
   * @param {number} now milliseconds of any steady clock
   */
  add(loaded, now) {
    if (loaded < (this.#samples.at(-1)?.loaded ?? 0)) this.#samples = [];
    this.#samples.push({ loaded, now });
    while (this.#samples.length > 2 && now - this.#samples[1].now >= WINDOW_MS) this.#samples.shift();
  }

  /** Bytes a second, or undefined while too little is known. */
  get perSecond() {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    const span = last ? last.now - first.now : 0;
    return span >= MIN_SPAN_MS ? ((last.loaded - first.loaded) * 1000) / span : undefined;
  }

  /** Seconds until `total` bytes, or undefined while unknown or stalled. @param {number} total */
  secondsLeft(total) {
    const rate = this.perSecond;
    return rate > 0 ? Math.max(0, total - this.#samples.at(-1).loaded) / rate : undefined;
  }
}
