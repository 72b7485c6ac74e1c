//! How a model is loaded, as the page says it.

use kernels::kv::KvType;
use loader::Source;
use serde::Deserialize;
use tsify::Tsify;

use crate::io::{LoadOptions, Local};
use crate::request::Prompt;

/// Tokens of context when the page names none: enough for a long conversation, and small enough
/// that the cache of a model for phones fits beside its weights.
const DEFAULT_CONTEXT: usize = 4096;

/// How a model is fetched and kept.
#[derive(Deserialize, Tsify, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct FetchSettings {
    /// Headers for every request to the origins that the source names, not for mirrors elsewhere; name and value.
    #[tsify(optional)]
    headers: Vec<(String, String)>,
    /// Sent to the hub and to nobody else.
    #[tsify(optional)]
    hub_token: Option<String>,
    /// Base address of the hub; `https://huggingface.co` when left out.
    #[tsify(optional)]
    hub_endpoint: Option<String>,
    /// Origins that weights may come from; all when left out.
    #[tsify(optional)]
    allowed_origins: Option<Vec<String>>,
    /// Other sources of the same model, tried in turn where the ones before have failed.
    #[tsify(optional)]
    mirrors: Vec<String>,
    /// Whether to keep the model in the browser's storage; when left out, what is downloaded is kept, and files at hand are not.
    #[tsify(optional)]
    store: Option<bool>,
    /// Remove the models that have not been used for longest where the browser's storage has no room.
    #[tsify(optional)]
    evict: bool,
}

impl FetchSettings {
    /// The load's options, with the files it is given.
    ///
    /// # Errors
    /// Where a mirror is no source.
    pub(crate) fn into_options(self, local: Vec<Local>) -> Result<LoadOptions, loader::Error> {
        let mirrors = self.mirrors.iter().map(|mirror| Source::parse(mirror));
        Ok(LoadOptions {
            mirrors: mirrors.collect::<Result<_, _>>()?,
            headers: self.headers,
            hub_token: self.hub_token,
            hub_endpoint: self.hub_endpoint,
            allowed_origins: self.allowed_origins,
            store: self.store,
            evict: self.evict,
            local,
        })
    }
}

/// Number format of the key-value cache.
#[derive(Deserialize, Tsify, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub enum KvCache {
    /// Exact; twice the memory of `f16`.
    F32,
    /// Half precision.
    #[default]
    F16,
    /// Bytes with scales; half the memory of `f16`, at a small loss.
    #[serde(rename = "q8_0")]
    Q8_0,
}

/// How the engine is set up.
#[derive(Deserialize, Tsify, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct EngineSettings {
    /// Tokens one request may have, prompt and answer together; at most what the model was trained
    /// for, which is also the default up to 4096.
    #[tsify(optional)]
    context_length: Option<usize>,
    /// Number format of the key-value cache.
    #[tsify(optional)]
    kv_cache: KvCache,
    /// A prompt to compute while the model arrives: the request that then comes with it is answered at once.
    #[tsify(optional)]
    prefill: Option<Prompt>,
    /// Find out how many of the threads help, while answers are written, and use no more.
    #[tsify(optional)]
    tune_threads: bool,
}

impl EngineSettings {
    /// The prompt to compute while the model arrives.
    pub(crate) fn take_prompt(&mut self) -> Option<engine::Prompt> {
        self.prefill.take().map(engine::Prompt::from)
    }

    /// Whether to find out how many threads help.
    pub(crate) fn tunes_threads(&self) -> bool {
        self.tune_threads
    }

    /// The engine's options for a model trained on `trained` tokens of context.
    pub(crate) fn to_options(&self, trained: usize) -> engine::EngineOptions {
        let context = self.context_length.unwrap_or(DEFAULT_CONTEXT).min(trained);
        engine::EngineOptions {
            kv: match self.kv_cache {
                KvCache::F32 => KvType::F32,
                KvCache::F16 => KvType::F16,
                KvCache::Q8_0 => KvType::Q8_0,
            },
            ..engine::EngineOptions::with_context(context)
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test]
    fn the_context_is_what_was_asked_for_up_to_what_the_model_knows() {
        let context = |asked, trained| {
            let settings = EngineSettings {
                context_length: asked,
                ..EngineSettings::default()
            };
            settings.to_options(trained).context_length
        };
        assert_eq!(context(Some(512), 2048), 512);
        assert_eq!(context(Some(9000), 2048), 2048);
        assert_eq!(context(None, 2048), 2048);
        assert_eq!(context(None, 131_072), DEFAULT_CONTEXT);
    }
}
