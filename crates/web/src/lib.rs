//! The JavaScript binding: the only crate that knows the browser.
