//! Qwen 3's rerankers: language models of which only the logits of "yes" and "no" matter.
//!
//! Nothing in their configuration tells them from other models: as llama.cpp's converter (`conversion/qwen.py`) does, the
//! name is taken for it, of the folder, in the configuration or above the folder's README. Of the output projection two rows are kept.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use gguf::{Array, StringArray, Value};

use super::{Config, Entries, Family, Tensor};

/// In lower case.
const NAME: &str = "qwen3-reranker";

/// The answers, in the order of the classifier's rows.
const ANSWERS: [&str; 2] = ["yes", "no"];

/// The number of `llama_pooling_type` for scores.
const RANK: u32 = 4;

/// What a query and a document are put into.
const TEMPLATE: &str = "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n\
    <|im_start|>user\n<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n<Query>: {query}\n<Document>: {document}<|im_end|>\n\
    <|im_start|>assistant\n<think>\n\n</think>\n\n";

/// A reranker, by the ids of its answers.
#[derive(Debug)]
pub(crate) struct Reranker {
    rows: [usize; 2],
    /// Whether the output projection is the embedding.
    tied: bool,
}

impl Reranker {
    /// What the folder's model is if it is a reranker, given the keys of its vocabulary.
    pub(crate) fn of(
        family: Family,
        config: &Config,
        folder: &Path,
        vocabulary: &Entries,
    ) -> Result<Option<Self>> {
        if family != Family::Qwen3 || !is_named_so(config, folder) {
            return Ok(None);
        }
        let tokens = vocabulary.iter().find_map(|(key, value)| match value {
            Value::Array(Array::Strings(tokens)) if key == "tokenizer.ggml.tokens" => Some(tokens),
            _ => None,
        });
        let tokens = tokens.context("the folder has no vocabulary")?;
        let id = |answer: &str| {
            let mut texts = tokens.iter();
            texts
                .position(|text| text == answer.as_bytes())
                .with_context(|| {
                    format!(
                        "a reranker answers yes or no, but its vocabulary has no token \"{answer}\""
                    )
                })
        };
        Ok(Some(Self {
            rows: [id(ANSWERS[0])?, id(ANSWERS[1])?],
            tied: config
                .get("tie_word_embeddings")
                .is_some_and(|tied| tied == true),
        }))
    }

    /// The keys that tell a runtime what it is.
    pub(crate) fn entries() -> Entries {
        let list = |texts: &[&str]| {
            let mut strings = StringArray::new();
            texts.iter().for_each(|text| strings.push(text));
            Value::Array(Array::Strings(strings))
        };
        vec![
            ("qwen3.pooling_type".to_owned(), RANK.into()),
            ("qwen3.classifier.output_labels".to_owned(), list(&ANSWERS)),
            ("tokenizer.chat_templates".to_owned(), list(&["rerank"])),
            ("tokenizer.chat_template.rerank".to_owned(), TEMPLATE.into()),
        ]
    }

    /// Puts the classifier in the place of the output projection.
    pub(crate) fn classify(&self, tensors: &mut Vec<Tensor<'_>>) -> Result<()> {
        let source = match self.tied {
            true => "token_embd.weight",
            false => "output.weight",
        };
        let index = tensors.iter().position(|tensor| tensor.name == source);
        let index = index.with_context(|| format!("the folder has no {source}"))?;
        let classifier = tensors[index].some_rows("cls.output.weight", &self.rows);
        if !self.tied {
            tensors.remove(index);
        }
        tensors.push(classifier);
        Ok(())
    }
}

fn is_named_so(config: &Config, folder: &Path) -> bool {
    let names = |text: &str| text.to_lowercase().contains(NAME);
    let folder_name = folder.canonicalize().ok();
    folder_name
        .as_ref()
        .and_then(|path| path.file_name()?.to_str())
        .is_some_and(names)
        || config
            .get("_name_or_path")
            .and_then(serde_json::Value::as_str)
            .is_some_and(names)
        || fs::read_to_string(folder.join("README.md"))
            .is_ok_and(|text| text.to_lowercase().contains(&format!("# {NAME}")))
}
