//! How each family of models marks its thoughts and its calls, by the text of its chat template.

/// How a family of models marks its thoughts and its calls of tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseFormat {
    /// What opens a thought, and what closes it.
    pub(super) thought: [&'static str; 2],
    pub(super) calls: Option<CallFormat>,
}

/// How calls of tools are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallFormat {
    /// What a call, or a list of calls, may begin with.
    pub(super) opens: &'static [&'static str],
    /// What it ends with; where absent, or not written, it ends with the answer.
    pub(super) close: Option<&'static str>,
    pub(super) body: Body,
    /// The marks are control tokens, which decoding leaves out unless asked to show them.
    control: bool,
}

/// What stands between the marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// An object with a name and arguments, or `<function=name><parameter=key>value</parameter></function>`.
    Tagged,
    /// A list of objects, or one.
    List,
    /// A list of objects, or a name, `[ARGS]` and an object.
    Mistral,
    /// Objects, also without a mark where the answer begins with one.
    Objects,
    /// Calls with marks of their own around name and arguments.
    DeepSeek,
    /// An object, a list or Python in a block of code, which may be any other code.
    Fenced,
}

/// `<tool_call>…</tool_call>`: Hermes, Qwen, SmolLM3 and many others.
const TAGGED: CallFormat = CallFormat {
    opens: &["<tool_call>"],
    close: Some("</tool_call>"),
    body: Body::Tagged,
    control: false,
};

const MISTRAL: CallFormat = CallFormat {
    opens: &["[TOOL_CALLS]"],
    close: None,
    body: Body::Mistral,
    control: true,
};

const DEEPSEEK: CallFormat = CallFormat {
    opens: &["<｜tool▁calls▁begin｜>"],
    close: Some("<｜tool▁calls▁end｜>"),
    body: Body::DeepSeek,
    control: true,
};

/// Phi-4-mini's; Granite's is the same without an end.
const PHI: CallFormat = CallFormat {
    opens: &["<|tool_call|>"],
    close: Some("<|/tool_call|>"),
    body: Body::List,
    control: true,
};

/// Llama 3's.
const LLAMA: CallFormat = CallFormat {
    opens: &["<|python_tag|>"],
    close: None,
    body: Body::Objects,
    control: true,
};

/// Gemma's templates know no tools; these are the blocks in which its models call those that a prompt describes.
const GEMMA: CallFormat = CallFormat {
    opens: &["```tool_code", "```tool_call", "```json"],
    close: Some("```"),
    body: Body::Fenced,
    control: false,
};

/// Marks of thought but `<think>`.
const BRACKETED_THOUGHT: [&str; 2] = ["[THINK]", "[/THINK]"];

impl Default for ResponseFormat {
    /// Thoughts between `<think>` and `</think>`, and no calls.
    fn default() -> Self {
        Self {
            thought: ["<think>", "</think>"],
            calls: None,
        }
    }
}

impl ResponseFormat {
    /// The format of models with the chat template `source`, by what it writes around the calls of earlier turns.
    pub fn from_template(source: &str) -> Self {
        let writes = |mark: &str| source.contains(mark);
        let calls = match () {
            () if writes("<tool_call>") => Some(TAGGED),
            () if writes("[TOOL_CALLS]") => Some(MISTRAL),
            () if writes("<｜tool▁calls▁begin｜>") => Some(DEEPSEEK),
            () if writes("<|tool|>") || writes("<|tool_call|>") => Some(PHI),
            () if writes("<|start_header_id|>ipython") => Some(LLAMA),
            () if writes("<start_of_turn>") => Some(GEMMA),
            () => None,
        };
        let mut format = Self {
            calls,
            ..Self::default()
        };
        if BRACKETED_THOUGHT.into_iter().all(writes) {
            format.thought = BRACKETED_THOUGHT;
        }
        format
    }

    /// Whether the marks of calls are control tokens: an answer is to be decoded with these shown, or its calls cannot
    /// be told from text.
    pub fn shows_control_tokens(&self) -> bool {
        self.calls.is_some_and(|calls| calls.control)
    }
}
