//! Chat templates: messages to prompt.
