// What a TypeScript user writes; compiled, never run.

import { type ChatCompletionChunk, type Loading, Minnow, MinnowError, type Progress } from "minnow-llm";

export async function answer(question: string, signal: AbortSignal): Promise<string> {
  await using minnow = await Minnow.load("hf:owner/repo:Q8_0", {
    signal,
    contextLength: 4096,
    kvCache: "f16",
    threads: "auto",
    onProgress: ({ stage, loaded, total, file }: Progress) => console.log(stage, loaded / total, file),
  });
  const stream = await minnow.chat.completions.create(
    { messages: [{ role: "user", content: question }], stream: true, stream_options: { include_usage: true } },
    { signal },
  );
  let text = "";
  for await (const chunk of stream) {
    const seen: ChatCompletionChunk = chunk;
    text += seen.choices[0]?.delta.content ?? "";
  }
  const whole = await minnow.chat.completions.create({ messages: [{ role: "user", content: question }], logprobs: true });
  const first: number | undefined = whole.choices[0]?.logprobs?.content[0]?.logprob;
  const ids: number[] = await minnow.tokenize(text, { special: true });
  return `${await minnow.detokenize(ids)} ${first} ${whole.usage.total_tokens} ${whole.timings.predicted_per_second}`;
}

export async function impatient(prompt: string): Promise<string> {
  const loading: Loading = Minnow.load("hf:owner/repo:Q8_0");
  let text = "";
  for await (const { choices } of await loading.completions.create({ prompt, stream: true })) text += choices[0]?.text ?? "";
  const { choices } = await loading.chat.completions.create({ messages: [{ role: "user", content: text }] });
  await (await loading).unload();
  return choices[0]?.message.content ?? "";
}

export async function clean(files: FileList): Promise<string> {
  try {
    await Minnow.load(files);
  } catch (error) {
    if (error instanceof MinnowError && error.code === "unknown_architecture") return error.message;
    throw error;
  }
  for (const model of await Minnow.models.list()) await Minnow.models.remove(model.id);
  const { used, quota } = await Minnow.models.usage();
  return `${used} of ${quota}, ${Minnow.capabilities().variant}`;
}

// @ts-expect-error -- sampling options are numbers
export const wrong = (minnow: Minnow) => minnow.chat.completions.create({ messages: [], temperature: "warm" });
