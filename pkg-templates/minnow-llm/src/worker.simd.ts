import { start } from "./worker.js";
import * as wasm from "./wasm/simd/minnow.js";

start(wasm, new URL("./wasm/simd/minnow_bg.wasm", import.meta.url));
