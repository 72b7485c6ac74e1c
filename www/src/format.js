// Numbers as people read them. Sizes are decimal (1 MB = 1,000,000 bytes), as model hubs and download bars show them.

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** Bytes with a unit: three significant digits, "98.4 MB". @param {number} count */
export function bytes(count) {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** A duration in words, rounded up so that it never promises too much: "8 s", "2 min 10 s". @param {number} seconds */
export function duration(seconds) {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
  const minutes = Math.ceil(whole / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Tokens per second: one decimal below a hundred. @param {number} perSecond */
export function speed(perSecond) {
  return `${perSecond.toFixed(perSecond < 99.95 ? 1 : 0)} tokens/s`;
}

/** A count with thousands separators. @param {number} value */
export function count(value) {
  return value.toLocaleString("en");
}
