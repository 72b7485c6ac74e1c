//! Finding calls of tools in content as it comes.

use serde_json::Value as Json;

use super::format::{Body, CallFormat};
use super::json_calls::{self, Call};
use super::{Piece, marked_calls, python_calls};

/// What an answer that is a call without a mark begins with, less white space.
const UNMARKED: [&str; 2] = [r#"{"name":"#, r#"{"type":"function","#];

/// Splits content at the marks of calls.
#[derive(Debug, Clone)]
pub(super) struct CallScanner {
    format: CallFormat,
    tools: Vec<Tool>,
    place: Place,
    /// Text that is not decided.
    held: String,
    /// Calls so far.
    count: usize,
}

/// What the reading of a call needs to know of a tool.
#[derive(Debug, Clone)]
pub(super) struct Tool {
    pub(super) name: String,
    /// The parameters that are texts.
    pub(super) texts: Vec<String>,
}

impl Tool {
    fn new(tool: &Json) -> Option<Self> {
        let definition = json_calls::definition(tool);
        let parameters = definition["parameters"]["properties"].as_object();
        let texts = parameters
            .into_iter()
            .flatten()
            .filter(|(_, schema)| schema["type"] == "string");
        Some(Self {
            name: definition["name"].as_str()?.to_owned(),
            texts: texts.map(|(name, _)| name.clone()).collect(),
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Before anything but white space: only here may a call begin without a mark.
    Start,
    Content,
    /// After a call: white space up to the next text is dropped.
    AfterCall,
    /// Within what may be a call, after the text that opened it.
    Call(String),
}

impl CallScanner {
    pub(super) fn new(format: CallFormat, tools: &[Json]) -> Self {
        Self {
            format,
            tools: tools.iter().filter_map(Tool::new).collect(),
            place: Place::Start,
            held: String::new(),
            count: 0,
        }
    }

    /// Appends the pieces that `text` completes.
    pub(super) fn push(&mut self, text: &str, pieces: &mut Vec<Piece>) {
        self.held.push_str(text);
        while self.step(pieces) {}
    }

    /// Appends what was held back.
    pub(super) fn finish(&mut self, pieces: &mut Vec<Piece>) {
        let held = std::mem::take(&mut self.held);
        match std::mem::replace(&mut self.place, Place::Start) {
            Place::Call(open) => self.call(&open, &held, "", pieces),
            Place::AfterCall if held.trim().is_empty() => {}
            _ => content(&held, pieces),
        }
        self.count = 0;
    }

    /// Takes what is decided off `held`; whether there is more to look at.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> bool {
        if let Place::Call(open) = &self.place {
            let Some(close) = self.format.close else {
                return false;
            };
            let Some(end) = self.held.find(close) else {
                return false;
            };
            let rest = self.held.split_off(end + close.len());
            let body = std::mem::replace(&mut self.held, rest);
            let open = open.clone();
            self.call(&open, &body[..end], close, pieces);
            return true;
        }
        if self.place == Place::AfterCall {
            let space = self.held.len() - self.held.trim_start().len();
            self.held.drain(..space);
        }
        if self.held.is_empty() {
            return false;
        }
        if self.place == Place::Start && self.format.body == Body::Objects {
            match unmarked(&self.held) {
                Some(true) => {
                    self.place = Place::Call(String::new());
                    return true;
                }
                None => return false,
                Some(false) => {}
            }
        }
        let mark = self
            .format
            .opens
            .iter()
            .filter_map(|open| Some((self.held.find(open)?, open.len())))
            .min();
        if let Some((start, length)) = mark {
            let before = self.held[..start].trim_end().len();
            content(&self.held[..before], pieces);
            let rest = self.held.split_off(start + length);
            let open = std::mem::replace(&mut self.held, rest);
            self.place = Place::Call(open[before..].to_owned());
            return true;
        }
        let decided = self.decided();
        content(&self.held[..decided], pieces);
        self.held.drain(..decided);
        if decided > 0 {
            self.place = Place::Content;
        }
        false
    }

    /// Bytes at the start of what is held that cannot belong to a mark, nor to white space before one.
    fn decided(&self) -> usize {
        let begun = |open: &&str| {
            let lengths = (1..open.len()).rev().filter(|&n| open.is_char_boundary(n));
            lengths
                .into_iter()
                .find(|&n| self.held.ends_with(&open[..n]))
        };
        let mark = self
            .format
            .opens
            .iter()
            .filter_map(begun)
            .max()
            .unwrap_or(0);
        self.held[..self.held.len() - mark].trim_end().len()
    }

    /// Appends the calls in `body`, or all of it as content if it cannot be read.
    fn call(&mut self, open: &str, body: &str, close: &str, pieces: &mut Vec<Piece>) {
        match self.read(body) {
            Some(calls) => {
                for Call {
                    id,
                    name,
                    arguments,
                } in calls
                {
                    let index = self.count;
                    self.count += 1;
                    pieces.push(Piece::ToolCall {
                        index,
                        id,
                        name,
                        arguments,
                    });
                }
                self.place = Place::AfterCall;
            }
            None => {
                content(&[open, body, close].concat(), pieces);
                self.place = Place::Content;
            }
        }
    }

    /// The calls in `body`: at least one.
    fn read(&self, body: &str) -> Option<Vec<Call>> {
        let body = body.trim();
        let calls = match self.format.body {
            Body::Tagged if body.starts_with('<') => {
                vec![marked_calls::function(body, &self.tools)?]
            }
            Body::Tagged | Body::List => json_calls::list(body)?,
            Body::Mistral if body.starts_with('[') => json_calls::list(body)?,
            Body::Mistral => marked_calls::mistral(body)?,
            Body::DeepSeek => marked_calls::deepseek(body)?,
            Body::Objects => self.known(json_calls::objects(body)?)?,
            Body::Fenced => {
                let calls = json_calls::list(body).or_else(|| python_calls::calls(body));
                self.known(calls?)?
            }
        };
        (!calls.is_empty()).then_some(calls)
    }

    /// `calls` if they are calls of the tools at hand: what is not marked clearly may be any other JSON.
    fn known(&self, calls: Vec<Call>) -> Option<Vec<Call>> {
        let known = |call: &Call| self.tools.iter().any(|tool| tool.name == call.name);
        calls.iter().all(known).then_some(calls)
    }
}

/// Appends `text` to the content.
fn content(text: &str, pieces: &mut Vec<Piece>) {
    if text.is_empty() {
        return;
    }
    match pieces.last_mut() {
        Some(Piece::Content(last)) => last.push_str(text),
        _ => pieces.push(Piece::Content(text.to_owned())),
    }
}

/// Whether `text` begins a call without a mark; `None` while it is too short to tell.
fn unmarked(text: &str) -> Option<bool> {
    let spaceless = || text.chars().filter(|c| !c.is_whitespace());
    let begins = |mark: &&str| spaceless().take(mark.len()).eq(mark.chars());
    if UNMARKED.iter().any(begins) {
        return Some(true);
    }
    let may_begin = |mark: &&str| mark.chars().zip(spaceless()).all(|(a, b)| a == b);
    match UNMARKED.iter().any(may_begin) {
        true => None,
        false => Some(false),
    }
}
