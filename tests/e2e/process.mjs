// Programs that are started for a test: what they announce, and their end.
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ANSWER_MS, within } from "./limits.mjs";

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
  await within(ANSWER_MS, `the end of ${child.spawnfile}`, ended);
}

/** Bytes that a program that was spawned `detached` takes with everything it has started, shared pages divided among their users (Linux). */
export async function memory(child) {
  let bytes = 0;
  for (const id of await readdir("/proc")) {
    if (!/^\d+$/.test(id)) continue;
    try {
      // After the name in parentheses come the state, the parent and the process group.
      const [, , group] = (await readFile(`/proc/${id}/stat`, "utf8")).split(") ").at(-1).split(" ");
      if (Number(group) !== child.pid) continue;
      bytes += Number(/^Pss:\s+(\d+) kB/m.exec(await readFile(`/proc/${id}/smaps_rollup`, "utf8"))[1]) * 1024;
    } catch {
      // It has ended meanwhile.
    }
  }
  return bytes;
}
