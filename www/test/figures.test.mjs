import assert from "node:assert/strict";
import test from "node:test";
import { bytes, duration, speed } from "../src/format.js";
import { TransferRate } from "../src/transfer-rate.js";

test("sizes have three digits and never round up to 1000 of a unit", () => {
  const cases = { 0: "0 bytes", 999: "999 bytes", 1000: "1.00 kB", 98_362_432: "98.4 MB", 99_950_000: "100 MB", 999_499_999: "999 MB", 999_500_000: "1.00 GB", 1_107_409_472: "1.11 GB" };
  for (const [count, text] of Object.entries(cases)) assert.equal(bytes(Number(count)), text);
});

test("durations are rounded up", () => {
  const cases = [[0.2, "1 s"], [59.1, "1 min"], [61, "1 min 1 s"], [3599.5, "1 h 0 min"], [3601, "1 h 1 min"]];
  for (const [seconds, text] of cases) assert.equal(duration(seconds), text);
});

test("speeds keep a decimal while it says something", () => {
  assert.equal(speed(9.96), "10.0 tokens/s");
  assert.equal(speed(99.97), "100 tokens/s");
});

test("a rate is known after half a second and forgets what is older than five", () => {
  const rate = new TransferRate();
  rate.add(0, 0);
  rate.add(100, 400);
  assert.equal(rate.perSecond, undefined);
  assert.equal(rate.secondsLeft(1000), undefined);
  rate.add(1000, 1000);
  assert.equal(rate.perSecond, 1000);
  assert.equal(rate.secondsLeft(3000), 2);
  for (let now = 2000; now <= 12_000; now += 1000) rate.add(1000 + (now - 1000) / 10, now);
  assert.equal(rate.perSecond, 100);
});

test("a stalled download has no time left to show, and a new count starts anew", () => {
  const rate = new TransferRate();
  rate.add(500, 0);
  rate.add(500, 6000);
  assert.equal(rate.secondsLeft(1000), undefined);
  rate.add(10, 7000);
  assert.equal(rate.perSecond, undefined);
});
