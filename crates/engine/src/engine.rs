//! The engine.

use std::sync::Arc;

use crate::{Clock, EngineOptions, Error, Event, Metrics, Request, RequestId};

/// Works on requests.
pub struct Engine {
    _private: (),
}

impl Engine {
    /// Makes an engine.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOptions`] where the options contradict themselves or the model.
    pub fn new(
        _model: Arc<model::Model>,
        _tokenizer: Arc<tokenizer::Tokenizer>,
        _template: Option<chat::Template>,
        _options: EngineOptions,
        _pool: Box<dyn kernels::Pool>,
        _clock: Box<dyn Clock>,
    ) -> Result<Self, Error> {
        Ok(Self { _private: () })
    }

    /// Puts a request in line.
    ///
    /// # Errors
    ///
    /// Where the request can never be answered.
    pub fn submit(&mut self, _request: Request) -> Result<RequestId, Error> {
        Err(Error::NoTemplate)
    }

    /// Ends a request.
    pub fn cancel(&mut self, _id: RequestId) -> bool {
        false
    }

    /// Computes one batch.
    pub fn step(&mut self) -> Vec<Event> {
        Vec::new()
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        true
    }

    /// Counters and load.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics::default()
    }
}
