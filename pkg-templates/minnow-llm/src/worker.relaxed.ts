import { start } from "./worker.js";
import * as wasm from "./wasm/relaxed/minnow.js";

start(wasm, new URL("./wasm/relaxed/minnow_bg.wasm", import.meta.url));
