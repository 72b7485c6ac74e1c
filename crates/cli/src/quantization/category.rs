//! What a tensor is for, as far as it decides about its type.

use gguf::TensorInfo;

/// Tensors that are treated alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    Output,
    TokenEmbedding,
    /// Values, and what has values in it.
    AttentionValue,
    AttentionKey,
    AttentionOutput,
    FeedForwardDown,
    Other,
}

impl Category {
    pub(super) fn of(name: &str) -> Self {
        /// Parts of names, in the order in which they are looked for.
        const PARTS: [(&str, Category); 6] = [
            ("attn_qkv.weight", Category::AttentionValue),
            ("attn_kv_b.weight", Category::AttentionValue),
            ("attn_v.weight", Category::AttentionValue),
            ("attn_k.weight", Category::AttentionKey),
            ("attn_output.weight", Category::AttentionOutput),
            ("ffn_down", Category::FeedForwardDown),
        ];
        match name {
            "output.weight" => Self::Output,
            "token_embd.weight" | "per_layer_token_embd.weight" => Self::TokenEmbedding,
            _ => PARTS
                .iter()
                .find(|(part, _)| name.contains(part))
                .map_or(Self::Other, |&(_, category)| category),
        }
    }
}

/// Parts of the names of matrices that stay as they are: norms, routers, positions, and small or sensitive ones of
/// families beyond Minnow's own.
const KEPT: [&str; 27] = [
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v",
    "time_mix_a",
    "time_mix_g",
    "time_mix_decay_w",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
];

/// Whether a tensor may change its type: matrices of weights do.
pub(super) fn is_quantizable(tensor: &TensorInfo) -> bool {
    let is_matrix = tensor.shape.iter().skip(1).any(|&rows| rows > 1);
    is_matrix
        && tensor.name.ends_with("weight")
        && !matches!(
            tensor.name.as_str(),
            "position_embd.weight" | "token_types.weight"
        )
        && !KEPT.iter().any(|part| tensor.name.contains(part))
}
