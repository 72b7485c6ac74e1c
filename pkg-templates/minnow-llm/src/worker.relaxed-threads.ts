import { startShared } from "./threads.js";
import { start } from "./worker.js";
import * as wasm from "./wasm/relaxed-threads/minnow.js";

const address = new URL("./wasm/relaxed-threads/minnow_bg.wasm", import.meta.url);
// Bundlers find a worker by this very expression, with the address written out.
const spawn = () => new Worker(new URL("./compute.relaxed-threads.js", import.meta.url), { type: "module" });

start(wasm, (threads, instantiated) => startShared(wasm, address, threads, spawn, instantiated));
