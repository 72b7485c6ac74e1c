import type { Loaded } from "./wasm/simd/minnow.js";

let asked = false;

/** Asks the browser, once, not to evict what is stored, as soon as a model has been. Only a page may ask, not a worker. */
export function askToKeep({ stored, downloaded }: Loaded): void {
  const storage = globalThis.navigator?.storage;
  if (asked || !stored || downloaded === 0 || !storage?.persist) return;
  asked = true;
  // Whatever the answer, the model is stored; `models.usage()` tells.
  void storage.persisted().then((kept) => kept || storage.persist()).catch(() => {});
}
