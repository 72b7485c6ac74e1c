import assert from "node:assert/strict";
import test from "node:test";
import { explain, isAbort } from "../src/faults.js";

test("an error is shown with its code, its own message as a sentence, and a remedy", () => {
  const error = Object.assign(new Error("the model needs 3 GB"), { code: "out_of_memory" });
  const { code, title, message, remedy } = explain(error);
  assert.deepEqual([code, title, message], ["out_of_memory", "There is not enough memory", "The model needs 3 GB."]);
  assert.match(remedy, /smaller model/);
});

test("an address at the start of a message stays as it is", () => {
  assert.equal(explain(new Error("https://example.com/a.gguf answered 404")).message, "https://example.com/a.gguf answered 404.");
});

test("errors without a code have their name as one", () => {
  assert.equal(explain(new TypeError("x is not a function")).code, "TypeError");
  assert.equal(explain("broken").code, "error");
});

test("an abort is told from a failure", () => {
  assert.ok(isAbort(new DOMException("stopped", "AbortError")));
  assert.ok(!isAbort(new Error("stopped")));
});
