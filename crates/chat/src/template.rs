//! Rendering a model's chat template.
//!
//! Templates are Jinja, written for Python's `jinja2` as Hugging Face's `transformers` sets it up.

use std::error::Error as _;

use minijinja::Environment;
use minijinja::value::Value;

use crate::environment::{self, Raised};
use crate::{Conversation, Error, ResponseFormat, context};

/// The format for models whose file has no template: what most models of the last years were trained on.
const CHATML: &str = "\
{%- for message in messages -%}
{{ '<|im_start|>' + message.role + '\\n' + (message.content or '') + '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\\n' }}
{%- endif -%}
";

/// The environment's name for the one template in it.
const NAME: &str = "chat_template";

/// The texts of the tokens that templates write around a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// The beginning-of-sequence token's text, or nothing.
    pub bos: String,
    /// The end-of-sequence token's text, or nothing.
    pub eos: String,
}

/// A compiled chat template.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    source: String,
    special: SpecialTokens,
    /// The template looks for the tools in the system message, as Phi-4-mini's does.
    tools_in_message: bool,
}

impl Template {
    /// Compiles `source`, the value of `tokenizer.chat_template`.
    ///
    /// # Errors
    /// [`Error::Template`] with the line if `source` is not a valid template.
    pub fn new(source: &str, special: SpecialTokens) -> Result<Self, Error> {
        let source = without_generation_tags(source);
        let mut environment = environment::new().map_err(|error| located(&error, &source))?;
        environment
            .add_template_owned(NAME, source.clone())
            .map_err(|error| located(&error, &source))?;
        Ok(Self {
            environment,
            tools_in_message: source.contains("'tools' in message"),
            source,
            special,
        })
    }

    /// The ChatML template, for a file that has none.
    pub fn chatml() -> Self {
        Self::new(CHATML, SpecialTokens::default()).expect("a valid template")
    }

    /// How the answers of models with this template mark thoughts and calls of tools.
    pub fn response_format(&self) -> ResponseFormat {
        ResponseFormat::from_template(&self.source)
    }

    /// The prompt of `conversation`.
    ///
    /// A message without content is first given to the template as such, and if the template cannot work with that,
    /// with an empty text: some tell tool calls by the one, and others fail unless they get the other.
    ///
    /// # Errors
    /// [`Error::Template`] if the template refuses the conversation (`raise_exception`) or cannot work with it.
    pub fn render(&self, conversation: &Conversation) -> Result<String, Error> {
        let render = |no_content: Value| {
            let variables = context::variables(
                conversation,
                &self.special,
                &no_content,
                self.tools_in_message,
            )?;
            self.environment.get_template(NAME)?.render(variables)
        };
        let lacks_content = conversation
            .messages
            .iter()
            .any(|message| message.content.is_none());
        match render(Value::from(())) {
            Err(error) if lacks_content && !is_raised(&error) => render(Value::from("")),
            result => result,
        }
        .map_err(|error| located(&error, &self.source))
    }
}

/// `source` with `{% generation %}` and `{% endgeneration %}` made void: they mark what a model is trained on, and
/// only `transformers` knows them.
fn without_generation_tags(source: &str) -> String {
    let mut result = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find("{%") {
        let (before, tag) = rest.split_at(open + 2);
        result.push_str(before);
        let name = tag.trim_start_matches(['-', '+']).trim_start();
        let word = &name[..name
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(name.len())];
        let replacement = match word {
            "generation" => "if true",
            "endgeneration" => "endif",
            _ => word,
        };
        result.push_str(&tag[..tag.len() - name.len()]);
        result.push_str(replacement);
        rest = &name[word.len()..];
    }
    result.push_str(rest);
    result
}

/// What `error` goes back to: one that is passed on has its cause as source.
fn innermost(error: &minijinja::Error) -> &minijinja::Error {
    let mut innermost = error;
    while let Some(cause) = innermost.source().and_then(|source| source.downcast_ref()) {
        innermost = cause;
    }
    innermost
}

/// Whether the template itself raised `error`.
fn is_raised(error: &minijinja::Error) -> bool {
    innermost(error)
        .source()
        .is_some_and(|source| source.is::<Raised>())
}

/// The line and cause of `error`.
fn located(error: &minijinja::Error, source: &str) -> Error {
    let innermost = innermost(error);
    let line = innermost.line().or(error.line()).unwrap_or(0);
    let detail = innermost.detail();
    let message = match detail {
        Some(detail) if is_raised(error) => {
            return Error::Template {
                line,
                message: detail.to_owned(),
            };
        }
        Some(detail) => format!("{}: {detail}", innermost.kind()),
        None => innermost.kind().to_string(),
    };
    let code = line
        .checked_sub(1)
        .and_then(|index| source.lines().nth(index))
        .map(str::trim);
    match code {
        Some(code) if code.len() <= MAX_QUOTED => Error::Template {
            line,
            message: format!("{message}, in `{code}`"),
        },
        _ => Error::Template { line, message },
    }
}

/// Bytes of a template's line up to which a message quotes it: templates written as one line are not shown whole.
const MAX_QUOTED: usize = 200;
