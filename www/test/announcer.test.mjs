import assert from "node:assert/strict";
import test from "node:test";
import { Announcer } from "../src/announcer.js";

/** An announcer and the list of what it said. */
function listen() {
  const said = [];
  return { said, announcer: new Announcer({ set textContent(text) { said.push(text); } }) };
}

test("whole sentences are said, a while apart, and the rest at the end", () => {
  const { said, announcer } = listen();
  announcer.begin("Answering");
  announcer.update("The sky", 0);
  announcer.update("The sky is **blue**. It", 100);
  announcer.update("The sky is **blue**. It is wide. And", 200);
  announcer.update("The sky is **blue**. It is wide. And high. So", 5000);
  announcer.end("The sky is **blue**. It is wide. And high. So be it", "Stopped.");
  assert.deepEqual(said, ["Answering", "The sky is blue.", "It is wide. And high.", "So be it Stopped."]);
});
