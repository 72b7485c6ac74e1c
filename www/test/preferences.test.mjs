import assert from "node:assert/strict";
import test from "node:test";
import { defaults, requestOptions, valid } from "../src/preferences.js";

test("what is stored is put right before it is used", () => {
  const values = valid({ temperature: 9, top_k: "many", top_p: null, seed: null, max_tokens: null, contextLength: 10, system: 4, other: 1 });
  assert.deepEqual(values, { ...defaults(), temperature: 2, max_tokens: null, contextLength: 256 });
});

test("a request carries what is set and leaves out what is not", () => {
  const options = requestOptions({ ...defaults(), seed: 7, max_tokens: null, system: "Be brief." });
  assert.deepEqual(options, { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05, repeat_penalty: 1, seed: 7 });
  assert.equal(requestOptions({ ...defaults(), thinking: false }).enable_thinking, false);
});
