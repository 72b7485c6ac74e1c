// Programs that are started for a test: what they announce, and their end.
import { setTimeout as sleep } from "node:timers/promises";

const START_MS = 60_000;

/** What a program writes to its error output once it can be talked to: the first group of `pattern`. */
export function announced(child, pattern) {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stderr.on("data", (piece) => {
      text += piece;
      const found = pattern.exec(text);
      if (found) resolve(found[1]);
    });
    const failed = (what) => reject(new Error(`${child.spawnfile} ${what}: ${text.slice(-500)}`));
    child.once("error", (error) => failed(`could not be started (${error.message})`));
    child.once("exit", (code) => failed(`ended with ${code} at its start`));
    sleep(START_MS, undefined, { ref: false }).then(() => failed(`did not start within ${START_MS / 1000} s`));
  });
}

/** Ends a program that was spawned `detached`, and everything it has started, at once and without notice. */
export async function kill(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has just ended by itself.
  }
  await ended;
}
