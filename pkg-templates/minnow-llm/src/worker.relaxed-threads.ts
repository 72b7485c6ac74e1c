import { startShared } from "./threads.js";
import { start } from "./worker.js";
import * as wasm from "./wasm/relaxed-threads/minnow.js";

const address = new URL("./wasm/relaxed-threads/minnow_bg.wasm", import.meta.url);

start(wasm, (ports) => startShared(wasm, address, ports));
