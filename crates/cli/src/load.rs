//! From files to a model, a tokenizer and a chat template.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use gguf::Metadata;
use model::{Builder, Model};
use tokenizer::Tokenizer;

use crate::{files::ModelFiles, progress};

/// Metadata key of a model's chat template.
const TEMPLATE_KEY: &str = "tokenizer.chat_template";

/// Bytes handed to the builder at a time, as a browser reads its store.
const CHUNK: usize = 4 << 20;

/// A model ready to run.
pub(crate) struct Loaded {
    pub(crate) model: Arc<Model>,
    pub(crate) tokenizer: Arc<Tokenizer>,
    pub(crate) template: Option<chat::Template>,
}

/// Reads a whole model, with a progress bar on standard error where that is a terminal.
pub(crate) fn load(path: &Path) -> Result<Loaded> {
    let files = ModelFiles::open(path)?;
    let metadata = &files.first_header().metadata;
    Ok(Loaded {
        tokenizer: Arc::new(tokenizer(metadata)?),
        template: template(metadata)?,
        model: Arc::new(weights(&files)?),
    })
}

/// The tokenizer that a model's metadata describe.
pub(crate) fn tokenizer(metadata: &Metadata) -> Result<Tokenizer> {
    Tokenizer::from_metadata(metadata).context("the model's tokenizer can't be used")
}

/// The model's chat template, if it has one.
pub(crate) fn template(metadata: &Metadata) -> Result<Option<chat::Template>> {
    let Some(source) = metadata.string(TEMPLATE_KEY)? else {
        return Ok(None);
    };
    let tokenizer = tokenizer(metadata)?;
    let text = |id: Option<u32>| {
        id.and_then(|id| tokenizer.token_text(id))
            .unwrap_or_default()
            .to_owned()
    };
    let special = chat::SpecialTokens {
        bos: text(tokenizer.bos()),
        eos: text(tokenizer.eos()),
    };
    chat::Template::new(source, special)
        .context("the model's chat template can't be used")
        .map(Some)
}

/// The weights alone.
pub(crate) fn weights(files: &ModelFiles) -> Result<Model> {
    let mut builder = Builder::new(files.headers())?;
    let bar = progress::bytes("reading", files.size());
    for tensor in files.tensors() {
        let (tensor, bytes) = tensor?;
        for chunk in bytes.chunks(CHUNK) {
            builder.write(&tensor.name, chunk)?;
            bar.inc(chunk.len() as u64);
        }
    }
    bar.finish_and_clear();
    Ok(builder.finish()?)
}
