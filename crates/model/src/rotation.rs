//! Which rotary embedding a layer uses.

use kernels::rope::{Rope, RopeAngles};

use crate::Config;

/// What frequencies are divided by, pair by pair; each empty where the model has none.
#[derive(Debug)]
pub(crate) struct RopeFactors {
    /// Whatever the context.
    pub(crate) every: Vec<f32>,
    /// For contexts up to the original length.
    pub(crate) short: Vec<f32>,
    /// For longer contexts.
    pub(crate) long: Vec<f32>,
}

/// The rotary embeddings of a model.
#[derive(Debug)]
pub(crate) struct Ropes {
    general: Rope,
    /// Of the layers that see a window, where it is another.
    windowed: Option<Rope>,
}

/// Angles of a batch's positions by each of the embeddings, kept between calls as scratch.
#[derive(Debug, Default)]
pub(crate) struct Angles {
    general: RopeAngles,
    windowed: RopeAngles,
}

impl Ropes {
    /// Embeddings for sequences of up to `context_length` tokens. LongRoPE's factors are those for long contexts where
    /// sequences may become longer than the original context, even while they are short: as in llama.cpp, all keys of the
    /// cache are then rotated alike (Ding et al., *LongRoPE*, arXiv:2402.13753; `llama_model::get_rope_factors`).
    pub(crate) fn new(config: &Config, factors: &RopeFactors, context_length: usize) -> Self {
        let factors = match config.long_rope {
            false => &factors.every,
            true if context_length > config.original_context_length => &factors.long,
            true => &factors.short,
        };
        let windowed = config.sliding_window.as_ref();
        Self {
            general: Rope::new(&config.rope, factors),
            windowed: windowed
                .filter(|window| window.rope != config.rope)
                .map(|window| Rope::new(&window.rope, factors)),
        }
    }

    /// Computes the angles for `positions`.
    pub(crate) fn angles(&self, positions: &[u32], angles: &mut Angles) {
        self.general.angles(positions, &mut angles.general);
        if let Some(windowed) = &self.windowed {
            windowed.angles(positions, &mut angles.windowed);
        }
    }

    /// The embedding of layers that see a window, or of those that do not, and its angles.
    pub(crate) fn of<'a>(
        &'a self,
        windowed: bool,
        angles: &'a Angles,
    ) -> (&'a Rope, &'a RopeAngles) {
        match &self.windowed {
            Some(rope) if windowed => (rope, &angles.windowed),
            _ => (&self.general, &angles.general),
        }
    }
}

impl Angles {
    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.general.bytes() + self.windowed.bytes()
    }
}
