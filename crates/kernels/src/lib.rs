//! Quantized block formats, packed weights and the arithmetic of a transformer, scalar and SIMD.
