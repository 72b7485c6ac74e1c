//! The whole chain for one sequence.

use rand_pcg::{
    Pcg32,
    rand_core::{Rng, SeedableRng},
};

use crate::{
    Error, Params,
    candidates::{Candidate, Candidates, weight},
    filters::{self, Typical},
    penalties::Penalties,
};

/// Chooses the tokens of one sequence. Random numbers come from PCG XSH RR 64/32 (O'Neill 2014), seeded with
/// [`Params::seed`]; one draw is used for every token that is not chosen greedily. After the first tokens nothing is
/// allocated.
#[derive(Debug, Clone)]
pub struct Sampler {
    params: Params,
    penalties: Penalties,
    candidates: Candidates,
    typical: Typical,
    random: Pcg32,
}

impl Sampler {
    /// A sampler with no tokens accepted yet.
    ///
    /// # Errors
    ///
    /// As [`Params::validate`].
    pub fn new(params: Params) -> Result<Self, Error> {
        params.validate()?;
        Ok(Self {
            penalties: Penalties::new(&params),
            candidates: Candidates::default(),
            typical: Typical::default(),
            random: Pcg32::seed_from_u64(params.seed),
            params,
        })
    }

    /// The parameters it was made with.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Chooses a token. `logits`: `[vocabulary]`; -inf forbids a token. The caller tells with [`Sampler::accept`] that
    /// the token has become part of the sequence.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] for logits that are NaN or +infinity (also after bias and penalties),
    /// [`Error::NoCandidates`] where all are -inf, [`Error::UnknownToken`] where a bias or an accepted token lies
    /// beyond the vocabulary. The random state has then not moved.
    pub fn sample(&mut self, logits: &[f32]) -> Result<u32, Error> {
        let Params {
            temperature,
            top_k,
            top_p,
            min_p,
            typical_p,
            ..
        } = self.params;
        let greedy = temperature == 0.0;
        // Every filter but the typical one keeps the most likely token, so it alone will do.
        let keep = match usize::try_from(top_k) {
            _ if greedy && typical_p >= 1.0 => Some(1),
            Ok(k) if k > 0 => Some(k),
            _ => None,
        };
        self.candidates
            .load(logits, self.penalties.adjustments(), keep)?;
        self.typical.apply(&mut self.candidates, typical_p);
        filters::top_p(&mut self.candidates, top_p);
        filters::min_p(&mut self.candidates, min_p);
        Ok(if greedy {
            self.candidates.ranked(0).id
        } else {
            self.draw(temperature).id
        })
    }

    /// Remembers a token of the prompt or of the answer, for the penalties.
    pub fn accept(&mut self, id: u32) {
        self.penalties.accept(id);
    }

    /// Draws from `softmax(logits / temperature)` by inverting the cumulative distribution.
    fn draw(&mut self, temperature: f32) -> Candidate {
        let max = self.candidates.max_logit();
        let items = self.candidates.items();
        let share = |item: &Candidate| weight((item.logit - max) / temperature);
        let total: f64 = items.iter().map(share).sum();
        let mut left = unit_interval(&mut self.random) * total;
        let drawn = items.iter().find(|item| {
            left -= share(item);
            left < 0.0
        });
        // Rounding may leave a sliver beyond the last item.
        *drawn.unwrap_or(&items[items.len() - 1])
    }
}

/// Uniform in `[0, 1)` with all 53 bits that a double can tell apart there.
fn unit_interval(random: &mut Pcg32) -> f64 {
    const BITS: u32 = f64::MANTISSA_DIGITS;
    (random.next_u64() >> (u64::BITS - BITS)) as f64 / (1u64 << BITS) as f64
}
