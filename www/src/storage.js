// Small things remembered between visits, as JSON under one prefix. A browser that refuses storage forgets them, no more.

const PREFIX = "minnow-demo:";

/** What was stored under `key`, or undefined. @param {string} key */
export function stored(key) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + key) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}

/** Remembers `value` under `key`; undefined forgets it. @param {string} key @param {unknown} value */
export function store(key, value) {
  try {
    if (value === undefined) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // Storage refused or full: the page works without.
  }
}
