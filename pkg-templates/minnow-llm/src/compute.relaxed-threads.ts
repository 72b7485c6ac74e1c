import { join } from "./compute.js";
import * as wasm from "./wasm/relaxed-threads/minnow.js";

join(wasm);
