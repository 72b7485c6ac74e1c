// Gemma 3 270M says in the browser what it says in llama.cpp: windows, soft norms and a large vocabulary, in both
// instruction sets.
import { basename } from "node:path";
import { testAnswers } from "./golden.mjs";

/** Builds by name; what they do with other numbers of threads is tested with a smaller model. */
const RUNS = {
  simd: { variant: "simd-threads", threads: 2 },
  relaxed: { variant: "relaxed-threads", threads: 2 },
};
const CONTEXT = 1024;

const file = process.env.MINNOW_MODEL_GEMMA3;
if (!file) throw new Error("set MINNOW_MODEL_GEMMA3 to the path of gemma-3-270m-q4_k_m.gguf, or run `cargo xtask test`");
const source = `models/${basename(file)}`;
await testAnswers("gemma3", { source, mounts: { [`/${source}`]: { file } }, contextLength: CONTEXT, runs: RUNS });
