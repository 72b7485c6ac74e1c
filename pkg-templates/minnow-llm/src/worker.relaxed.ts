import { start } from "./worker.js";
import * as wasm from "./wasm/relaxed/minnow.js";

start(wasm, () => wasm.default({ module_or_path: new URL("./wasm/relaxed/minnow_bg.wasm", import.meta.url) }));
