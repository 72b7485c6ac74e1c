import { start } from "./worker.js";
import * as wasm from "./wasm/simd/minnow.js";

start(wasm, () => wasm.default({ module_or_path: new URL("./wasm/simd/minnow_bg.wasm", import.meta.url) }));
