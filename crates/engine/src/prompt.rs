//! From a prompt to its tokens.

use chat::{Conversation, Template};
use tokenizer::{EncodeOptions, Tokenizer};

use crate::{Error, Prompt};

/// The prompt of a conversation.
pub(crate) fn render(
    template: Option<&Template>,
    conversation: &Conversation,
) -> Result<String, Error> {
    Ok(template.ok_or(Error::NoTemplate)?.render(conversation)?)
}

/// The tokens of a prompt.
pub(crate) fn tokens(
    prompt: &Prompt,
    tokenizer: &Tokenizer,
    template: Option<&Template>,
) -> Result<Vec<u32>, Error> {
    let encode = |text: &str, add_special| {
        tokenizer.encode(
            text,
            EncodeOptions {
                add_special,
                parse_special: true,
            },
        )
    };
    Ok(match prompt {
        Prompt::Tokens(tokens) => tokens.clone(),
        Prompt::Text(text) => encode(text, true),
        Prompt::Chat(conversation) => {
            let text = render(template, conversation)?;
            // Many templates write the BOS token themselves; the model must not see two.
            let bos = tokenizer.bos().and_then(|id| tokenizer.token_text(id));
            let has_bos = bos.is_some_and(|bos| !bos.is_empty() && text.starts_with(bos));
            encode(&text, !has_bos)
        }
    })
}
