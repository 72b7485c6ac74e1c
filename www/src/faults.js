// What went wrong, in the reader's words: a title and a remedy for each error code of minnow-llm.

const OFFLINE = "Connect to the network and try again, or choose a model that is already on this device.";
const OTHER = "Choose another model, or another quantization of this one.";

/** @type {Record<string, { title: string, remedy: string }>} */
const KNOWN = {
  unsupported_browser: { title: "This browser is too old", remedy: "Update it: WebAssembly SIMD, workers and IndexedDB are needed." },
  unknown_architecture: { title: "This kind of model is not supported", remedy: "Llama, Qwen2 and Qwen3 models work. Choose one of those." },
  unsupported_quantization: { title: "This quantization is not supported", remedy: OTHER },
  malformed_model: { title: "The model file is damaged", remedy: "Remove it if it is kept on this device, and download it again." },
  not_a_gguf: { title: "This is not a GGUF file", remedy: "Check the address: it must lead to the .gguf file itself, not to a page about it." },
  download_failed: { title: "The download failed", remedy: "Check the address and the network. What has arrived is kept, so that another try goes on from there." },
  integrity_mismatch: { title: "The file does not match its checksum", remedy: "Try again: only the damaged part is fetched anew." },
  quota_exceeded: { title: "There is not enough storage", remedy: "Remove a model that is kept on this device, or choose a smaller one." },
  out_of_memory: { title: "There is not enough memory", remedy: "Close other tabs, choose a smaller model, or lower the context length in the settings." },
  context_overflow: { title: "The conversation is too long", remedy: "Start a new chat, or raise the context length in the settings and load the model again." },
  invalid_request: { title: "The request was not understood", remedy: "Check the settings and the address." },
  template_error: { title: "The model's chat template failed", remedy: OTHER },
  model_not_loaded: { title: "The model is not loaded any more", remedy: "Load it again." },
  worker_crashed: { title: "The engine stopped", remedy: "Load the model again; if it happens twice, choose a smaller one." },
};

/** True for the error that a cancelled operation ends with. @param {unknown} error */
export const isAbort = (error) => error instanceof Error && error.name === "AbortError";

/** Error messages start small and have no full stop, so that programs can join them; readers expect both. */
function sentence(text) {
  const start = /^[a-z]+ /.test(text) ? text[0].toUpperCase() + text.slice(1) : text;
  return /[.!?]$/.test(start) ? start : `${start}.`;
}

/**
 * An error as the page shows it.
 * @param {unknown} error
 * @returns {{ code: string, title: string, message: string, remedy: string }}
 */
export function explain(error) {
  const code = typeof error?.code === "string" ? error.code : (error?.name ?? "error");
  const message = sentence(error instanceof Error ? error.message : String(error));
  const known = KNOWN[code] ?? { title: "Something went wrong", remedy: "Try again; reloading the page often helps." };
  const remedy = code === "download_failed" && globalThis.navigator?.onLine === false ? OFFLINE : known.remedy;
  return { code, message, title: known.title, remedy };
}
