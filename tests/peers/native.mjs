// llama.cpp's own benchmark, as an engine that takes its turn among the others.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** One run of llama-bench in the shape of a browser's repetition: prompt and decode speeds only. */
export async function runNative(executable, modelPath, threads, { promptTokens, newTokens }) {
  const { stdout } = await promisify(execFile)(executable, [
    '-m', modelPath, '-p', String(promptTokens), '-n', String(newTokens), '-t', String(threads), '-r', '1', '-o', 'json',
  ], { maxBuffer: 1 << 24 });
  const tests = JSON.parse(stdout);
  const speed = (test) => test?.avg_ts ?? null;
  return {
    decode: { tg_tps: speed(tests.find((test) => test.n_prompt === 0)) },
    prompt: { pp_tps: speed(tests.find((test) => test.n_prompt > 0)) },
    build: tests[0]?.build_number,
  };
}
