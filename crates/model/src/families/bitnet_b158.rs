//! BitNet b1.58 2B4T, as Microsoft's bitnet.cpp stores it.
//!
//! As BitNet in llama.cpp's files, with the gate squared above 0:
//!
//! ```text
//! x ← x + W_down RMSNorm(ReLU(W_gate f)² ⊙ W_up f)
//! ```
//!
//! Matrices are stored as I2_S, which has their scale with them.
//!
//! Source: Ma et al., *BitNet b1.58 2B4T Technical Report*, arXiv:2504.12285, section 2; `transformers`,
//! `modeling_bitnet.py`; bitnet.cpp's llama.cpp, `build_bitnet_158` in `src/llama.cpp`.

use kernels::activation::Activation;

use super::{Family, bitnet};

pub(super) const FAMILY: Family = Family {
    configure: |_, config| {
        config.activation = Activation::ReluSquared;
        Ok(())
    },
    ..bitnet::FAMILY
};
