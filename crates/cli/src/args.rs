//! Arguments that several commands share, by llama.cpp's names.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use engine::EngineOptions;
use kernels::kv::KvType;
use sampler::Params;

/// How to choose tokens. Defaults are llama.cpp's.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArgs {
    /// Always take the most likely token; the other options then only matter as far as they penalize
    #[arg(long)]
    greedy: bool,
    /// Temperature; 0 is greedy
    #[arg(long = "temp", alias = "temperature", value_name = "T", default_value_t = Params::default().temperature)]
    temperature: f32,
    /// Keep the K most likely tokens; 0 keeps all
    #[arg(long, value_name = "K", default_value_t = Params::default().top_k, allow_negative_numbers = true)]
    top_k: i32,
    /// Keep the most likely tokens up to this total probability; 1 keeps all
    #[arg(long, value_name = "P", default_value_t = Params::default().top_p)]
    top_p: f32,
    /// Keep tokens at least P times as likely as the most likely one; 0 keeps all
    #[arg(long, value_name = "P", default_value_t = Params::default().min_p)]
    min_p: f32,
    /// Locally typical sampling; 1 keeps all
    #[arg(long = "typical-p", alias = "typical", value_name = "P", default_value_t = Params::default().typical_p)]
    typical_p: f32,
    /// Penalize repeated tokens by this factor; 1 does not
    #[arg(long, value_name = "X", default_value_t = Params::default().repeat_penalty)]
    repeat_penalty: f32,
    /// Latest tokens that the penalties look at; 0 is none, -1 all
    #[arg(long, value_name = "N", default_value_t = Params::default().repeat_last_n, allow_negative_numbers = true)]
    repeat_last_n: i32,
    /// Subtract this for every occurrence of a token
    #[arg(long, value_name = "X", default_value_t = Params::default().frequency_penalty, allow_negative_numbers = true)]
    frequency_penalty: f32,
    /// Subtract this once for a token that has occurred
    #[arg(long, value_name = "X", default_value_t = Params::default().presence_penalty, allow_negative_numbers = true)]
    presence_penalty: f32,
    /// Add BIAS to the logit of token ID, e.g. 15043+1 or 15043-inf; may be given several times
    #[arg(short, long, value_name = "ID(+/-)BIAS", value_parser = parse_bias)]
    logit_bias: Vec<(u32, f32)>,
    /// Seed of the random generator; random if not given
    #[arg(short, long)]
    seed: Option<u64>,
}

impl SamplingArgs {
    pub(crate) fn params(&self) -> Params {
        let params = Params {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            typical_p: self.typical_p,
            repeat_penalty: self.repeat_penalty,
            repeat_last_n: self.repeat_last_n,
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            logit_bias: self.logit_bias.clone(),
            seed: self.seed.unwrap_or_else(seed_from_time),
        };
        if self.greedy {
            let Params {
                temperature,
                top_k,
                top_p,
                min_p,
                typical_p,
                ..
            } = Params::greedy();
            return Params {
                temperature,
                top_k,
                top_p,
                min_p,
                typical_p,
                ..params
            };
        }
        params
    }
}

/// Takes llama.cpp's `ID+BIAS` and `ID-BIAS`.
fn parse_bias(text: &str) -> Result<(u32, f32), String> {
    let explain =
        || format!("{text:?} is not a token id followed by + or - and a number, as in 15043+1");
    let sign = text.find(['+', '-']).ok_or_else(explain)?;
    let (id, bias) = text.split_at(sign);
    Ok((
        id.parse().map_err(|_| explain())?,
        bias.parse().map_err(|_| explain())?,
    ))
}

fn seed_from_time() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}

/// How long an answer may be.
#[derive(Debug, Clone, Args)]
pub(crate) struct LengthArgs {
    /// Most tokens to generate; -1 goes on until the model ends or the context is full
    #[arg(
        short = 'n',
        long = "predict",
        alias = "n-predict",
        value_name = "N",
        default_value_t = -1,
        allow_negative_numbers = true
    )]
    predict: i32,
}

impl LengthArgs {
    pub(crate) fn max_tokens(&self) -> Option<u32> {
        u32::try_from(self.predict).ok()
    }
}

/// How the engine is set up.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineArgs {
    /// Tokens of context; the model's own limit, but at most 4096, if not given
    #[arg(short, long, value_name = "N")]
    ctx_size: Option<usize>,
    /// Compute threads; 0 takes as many as the machine offers
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    pub(crate) threads: usize,
    /// Prompt tokens computed at a time
    #[arg(short, long, value_name = "N", default_value_t = EngineOptions::default().max_batch_tokens)]
    batch_size: usize,
    /// Number format of the key-value cache: f32, f16 or q8_0
    #[arg(long, value_name = "TYPE", default_value = "f16", value_parser = parse_kv)]
    pub(crate) kv_cache: KvType,
}

impl EngineArgs {
    /// The engine's options for a model made for `trained` tokens.
    pub(crate) fn options(&self, trained: usize) -> EngineOptions {
        let usual = EngineOptions::default().context_length.min(trained);
        let options = EngineOptions::with_context(self.ctx_size.unwrap_or(usual));
        // A terminal has one request at a time.
        EngineOptions {
            max_sequences: 1,
            max_batch_tokens: self.batch_size,
            kv: self.kv_cache,
            ..options
        }
    }
}

/// Takes the name of a number format of the key-value cache.
pub(crate) fn parse_kv(name: &str) -> Result<KvType, String> {
    KvType::from_name(name).ok_or_else(|| {
        let names: Vec<_> = KvType::ALL.into_iter().map(KvType::name).collect();
        format!("expected one of {}", names.join(", "))
    })
}
