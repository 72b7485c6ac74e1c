import { join } from "./compute.js";
import * as wasm from "./wasm/simd-threads/minnow.js";

join(wasm);
