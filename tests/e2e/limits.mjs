// How long things may take before they count as hung, and what is then said: a hang costs a minute or two and names itself,
// and the tests after it still run.
import { test as unlimited } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

/** Longest that a test may take, in milliseconds, unless it says otherwise: many times what it takes on two busy processors. */
const TEST_MS = 180_000;
/** Longest that a browser may take to answer. */
export const ANSWER_MS = 60_000;
/** Time between two looks at something that is waited for. */
const LOOK_MS = 50;
/** Characters of a function that are enough to know it by. */
const SHOWN = 160;

/** Node's `test`, with a limit. */
export function test(name, ...rest) {
  const work = rest.pop();
  return unlimited(name, { timeout: TEST_MS, ...rest[0] }, work);
}

/** Something took too long. */
export class Hung extends Error {}

/** What `work` comes to, or an error that says what took too long. */
export async function within(ms, what, work) {
  const end = new AbortController();
  const late = sleep(ms, undefined, { signal: end.signal }).then(
    () => {
      throw new Hung(`${what}: nothing after ${ms / 1000} s`);
    },
    () => {},
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    end.abort();
  }
}

/** Looks again and again until `look` gives something that is true, and gives that. */
export async function until(what, look) {
  const end = performance.now() + ANSWER_MS;
  let seen;
  while (!(seen = await look())) {
    if (performance.now() > end) throw new Hung(`${what}: not after ${ANSWER_MS / 1000} s`);
    await sleep(LOOK_MS);
  }
  return seen;
}

/** A call of a function in a page, in few words. */
export function describeCall(work, argument) {
  const short = (text = "") => (text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text);
  return `${short(String(work).replace(/\s+/g, " "))} with ${short(JSON.stringify(argument))}`;
}

/** Gives a page of Playwright's the limit that its `evaluate` lacks. */
export function limited(page) {
  const evaluate = page.evaluate.bind(page);
  page.evaluate = (work, argument) => within(ANSWER_MS, describeCall(work, argument), evaluate(work, argument));
  return page;
}
