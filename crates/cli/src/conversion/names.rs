//! Names of tensors in transformers and in GGUF.

use super::Family;

/// What a name in a safetensors file stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A tensor of its own.
    Tensor(String),
    /// One expert's matrix of a tensor that holds all experts'.
    Expert { tensor: String, expert: usize },
    /// Nothing that is needed: positions that are computed, vision.
    Skipped,
}

/// Names outside layers.
const GLOBAL: [(&str, &str); 3] = [
    ("embed_tokens", "token_embd"),
    ("norm", "output_norm"),
    ("lm_head", "output"),
];

/// Names in a layer.
const LAYER: [(&str, &str); 15] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    // Phi 3: gate and up in one.
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    // The router of a mixture of experts.
    ("mlp.gate", "ffn_gate_inp"),
];

/// Takes a name apart; `None` if it is unknown.
pub(super) fn name(family: Family, source: &str) -> Option<Name> {
    let is_vision = [
        "vision_tower.",
        "multi_modal_projector.",
        "model.vision_tower.",
        "model.multi_modal_projector.",
    ]
    .iter()
    .any(|prefix| source.starts_with(prefix));
    let is_computed = source.ends_with(".rotary_emb.inv_freq");
    // Gemma's output matrix is its embeddings; some files have it twice.
    let is_double = source == "lm_head.weight" && family.is_gemma();
    if is_vision || is_computed || is_double {
        return Some(Name::Skipped);
    }
    let rest = [
        "model.language_model.",
        "language_model.model.",
        "language_model.",
        "model.",
    ]
    .iter()
    .find_map(|prefix| source.strip_prefix(prefix))
    .unwrap_or(source);
    let (module, parameter) = rest.rsplit_once('.')?;
    if !matches!(parameter, "weight" | "bias") {
        return None;
    }
    let find = |table: &[(&str, &'static str)], module: &str| {
        table
            .iter()
            .find(|(name, _)| *name == module)
            .map(|(_, gguf)| *gguf)
    };
    let Some(in_layer) = module.strip_prefix("layers.") else {
        return Some(Name::Tensor(format!(
            "{}.{parameter}",
            find(&GLOBAL, module)?
        )));
    };
    let (layer, module) = in_layer.split_once('.')?;
    let layer: u32 = layer.parse().ok()?;
    if let Some(expert) = module.strip_prefix("mlp.experts.") {
        let (expert, matrix) = expert.split_once('.')?;
        let matrix = find(&LAYER, &format!("mlp.{matrix}"))?;
        return Some(Name::Expert {
            tensor: format!("blk.{layer}.{matrix}_exps.{parameter}"),
            expert: expert.parse().ok()?,
        });
    }
    let found = match module {
        "post_attention_layernorm" if family.is_gemma() => "post_attention_norm",
        "post_attention_layernorm" => "ffn_norm",
        _ => find(&LAYER, module)?,
    };
    Some(Name::Tensor(format!("blk.{layer}.{found}.{parameter}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let tensor = |name: &str| Some(Name::Tensor(name.to_owned()));
        let llama = |source| name(Family::Llama, source);
        assert_eq!(llama("lm_head.weight"), tensor("output.weight"));
        assert_eq!(
            llama("model.layers.12.self_attn.q_proj.bias"),
            tensor("blk.12.attn_q.bias")
        );
        assert_eq!(
            llama("model.layers.0.post_attention_layernorm.weight"),
            tensor("blk.0.ffn_norm.weight")
        );
        assert_eq!(
            name(
                Family::Gemma3,
                "language_model.model.layers.0.post_attention_layernorm.weight"
            ),
            tensor("blk.0.post_attention_norm.weight")
        );
        assert_eq!(name(Family::Gemma3, "lm_head.weight"), Some(Name::Skipped));
        assert_eq!(
            name(
                Family::Qwen3Moe,
                "model.layers.3.mlp.experts.7.down_proj.weight"
            ),
            Some(Name::Expert {
                tensor: "blk.3.ffn_down_exps.weight".to_owned(),
                expert: 7
            })
        );
        assert_eq!(llama("model.layers.0.surprise.weight"), None);
    }
}
