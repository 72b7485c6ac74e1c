import { startShared } from "./threads.js";
import { start } from "./worker.js";
import * as wasm from "./wasm/simd-threads/minnow.js";

const address = new URL("./wasm/simd-threads/minnow_bg.wasm", import.meta.url);

start(wasm, (ports) => startShared(wasm, address, ports));
