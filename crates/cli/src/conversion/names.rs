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
const LAYER: [(&str, &str); 19] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    // BitNet's norms before the second projections: 1bitLLM's names and Microsoft's.
    ("self_attn.inner_attn_ln", "attn_sub_norm"),
    ("self_attn.attn_sub_norm", "attn_sub_norm"),
    ("mlp.ffn_layernorm", "ffn_sub_norm"),
    ("mlp.ffn_sub_norm", "ffn_sub_norm"),
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

/// Names of encoders outside layers.
const ENCODER: [(&str, &str); 8] = [
    ("embeddings.word_embeddings", "token_embd"),
    ("embeddings.position_embeddings", "position_embd"),
    ("embeddings.token_type_embeddings", "token_types"),
    ("embeddings.LayerNorm", "token_embd_norm"),
    ("emb_ln", "token_embd_norm"),
    ("classifier", "cls"),
    ("classifier.dense", "cls"),
    ("classifier.out_proj", "cls.output"),
];

/// Names in an encoder's layer: BERT's, then Nomic's.
const ENCODER_LAYER: [(&str, &str); 15] = [
    ("attention.self.query", "attn_q"),
    ("attention.self.key", "attn_k"),
    ("attention.self.value", "attn_v"),
    ("attention.output.dense", "attn_output"),
    ("attention.output.LayerNorm", "attn_output_norm"),
    ("intermediate.dense", "ffn_up"),
    ("output.dense", "ffn_down"),
    ("output.LayerNorm", "layer_output_norm"),
    ("attn.Wqkv", "attn_qkv"),
    ("attn.out_proj", "attn_output"),
    ("norm1", "attn_output_norm"),
    ("mlp.fc11", "ffn_up"),
    ("mlp.fc12", "ffn_gate"),
    ("mlp.fc2", "ffn_down"),
    ("norm2", "layer_output_norm"),
];

/// The name for a module in a table.
fn find(table: &[(&str, &'static str)], module: &str) -> Option<&'static str> {
    let found = table.iter().find(|(name, _)| *name == module);
    found.map(|(_, gguf)| *gguf)
}

/// Takes a name apart; `None` if it is unknown.
pub(super) fn name(family: Family, source: &str) -> Option<Name> {
    if family.is_encoder() {
        return encoder_name(source);
    }
    // BitNet's logits are products with its embeddings.
    if source == "lm_head.weight" && family.is_ternary() {
        return None;
    }
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

/// As [`name`], for encoders. What only their training needed is skipped: they are used for embeddings and scores.
fn encoder_name(source: &str) -> Option<Name> {
    let source = source.strip_prefix("bert.").unwrap_or(source);
    let is_of_training = [
        "embeddings.position_ids",
        "pooler.dense.",
        "cls.predictions",
        "cls.seq_relationship",
    ]
    .iter()
    .any(|prefix| source.starts_with(prefix));
    if is_of_training {
        return Some(Name::Skipped);
    }
    let (module, parameter) = source.rsplit_once('.')?;
    // The second names are those of files from TensorFlow.
    let parameter = match parameter {
        "weight" | "gamma" => "weight",
        "bias" | "beta" => "bias",
        _ => return None,
    };
    let in_layer = ["encoder.layer.", "encoder.layers."]
        .iter()
        .find_map(|prefix| module.strip_prefix(prefix));
    let Some(in_layer) = in_layer else {
        let found = find(&ENCODER, module)?;
        return Some(Name::Tensor(format!("{found}.{parameter}")));
    };
    let (layer, module) = in_layer.split_once('.')?;
    let layer: u32 = layer.parse().ok()?;
    let found = find(&ENCODER_LAYER, module)?;
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
        assert_eq!(name(Family::BitNet, "lm_head.weight"), None);
    }

    #[test]
    fn names_of_encoders_are_taken_apart() {
        let tensor = |name: &str| Some(Name::Tensor(name.to_owned()));
        let bert = |source| name(Family::Bert, source);
        assert_eq!(
            bert("bert.embeddings.LayerNorm.gamma"),
            tensor("token_embd_norm.weight")
        );
        assert_eq!(
            bert("encoder.layer.11.attention.output.LayerNorm.beta"),
            tensor("blk.11.attn_output_norm.bias")
        );
        assert_eq!(
            name(Family::NomicBert, "encoder.layers.3.mlp.fc12.weight"),
            tensor("blk.3.ffn_gate.weight")
        );
        assert_eq!(bert("cls.predictions.bias"), Some(Name::Skipped));
        assert_eq!(bert("embeddings.position_ids"), Some(Name::Skipped));
        assert_eq!(bert("model.layers.0.mlp.up_proj.weight"), None);
    }
}
