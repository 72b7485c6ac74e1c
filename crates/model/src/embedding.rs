//! Embeddings: what the states of a text's tokens come to, and the scores of ranking heads.

use kernels::{Activations, Pool, activation::soft_cap, softmax::softmax};

use crate::step::project;
use crate::weights::RankingHead;
use crate::{Context, Error, Input, SeqId, Want};

/// How the states of a text's tokens become its embedding (`pooling_type`; llama.cpp, `llama_pooling_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// They do not: each token's state is given.
    None,
    /// Their mean.
    Mean,
    /// The first token's.
    Cls,
    /// The last token's.
    Last,
    /// Scores that a head gives to one token's state: to the last one's where tokens see only those before them, else
    /// to the first one's.
    Rank,
}

impl Pooling {
    /// Every kind, in the order of the numbers that stand for them in files.
    pub const ALL: [Self; 5] = [Self::None, Self::Mean, Self::Cls, Self::Last, Self::Rank];

    /// llama.cpp's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::Last => "last",
            Self::Rank => "rank",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pooling| pooling.name() == name)
    }
}

/// One text's embedding under way.
///
/// It holds a sequence of the context it was begun with, until the last part is computed or [`Embedding::abandon`] is
/// called.
#[derive(Debug)]
pub struct Embedding {
    tokens: Vec<u32>,
    pooling: Pooling,
    seq: SeqId,
    /// How many of the tokens are computed.
    done: usize,
    /// What was pooled so far: the sum of states, or all that are to be given.
    pooled: Vec<f32>,
}

impl Embedding {
    /// Begins the embedding of a text of `tokens`, pooled as the model's file says unless `pooling` is given.
    ///
    /// # Errors
    /// [`Error::EmptyInput`]; [`Error::BeyondPositions`] if the model has no embeddings for so many positions;
    /// [`Error::NoRankingHead`] if scores are asked of a model without such a head.
    pub fn new(
        context: &mut Context,
        tokens: Vec<u32>,
        pooling: Option<Pooling>,
    ) -> Result<Self, Error> {
        let model = context.model();
        let pooling = pooling.unwrap_or(model.config.pooling);
        if tokens.is_empty() {
            return Err(Error::EmptyInput);
        }
        let longest = model.config.context_length;
        if model.positions.is_some() && tokens.len() > longest {
            return Err(Error::BeyondPositions {
                tokens: tokens.len(),
                positions: longest,
            });
        }
        if pooling == Pooling::Rank && model.ranking.is_none() {
            return Err(Error::NoRankingHead);
        }
        Ok(Self {
            tokens,
            pooling,
            seq: context.create(),
            done: 0,
            pooled: Vec::new(),
        })
    }

    /// What it comes to.
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// Tokens of the text.
    pub fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// How many of them are computed.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Computes the next `most` tokens (at least 1), or all of them where tokens see those after them, and gives the
    /// embedding when these were the last: `[embedding_length]`, or one score for each label, or for [`Pooling::None`]
    /// `[tokens, embedding_length]`. It is not normalized.
    ///
    /// # Errors
    /// [`Error::CacheFull`] and [`Error::OutOfMemory`], after which the same call can be tried again, and
    /// [`Error::TokenOutOfRange`].
    pub fn advance(
        &mut self,
        context: &mut Context,
        most: usize,
    ) -> Result<Option<Vec<f32>>, Error> {
        let causal = context.model().config.causal;
        let left = self.tokens.len() - self.done;
        let count = if causal { left.min(most.max(1)) } else { left };
        let is_last = count == left;
        let from_last = self.pooling == Pooling::Last || self.pooling == Pooling::Rank && causal;
        let want = match self.pooling {
            Pooling::None | Pooling::Mean => Want::All,
            _ if from_last && is_last => Want::Last,
            _ if !from_last && self.done == 0 => Want::First,
            _ => Want::None,
        };
        let input = Input {
            seq: self.seq,
            tokens: &self.tokens[self.done..self.done + count],
            logits: want,
        };
        let states = context.states(&input)?;
        self.done += count;
        if self.pooling == Pooling::Mean {
            let states = states.values();
            let width = states.len() / count;
            self.pooled.resize(width, 0.0);
            for state in states.chunks_exact(width) {
                for (sum, x) in self.pooled.iter_mut().zip(state) {
                    *sum += x;
                }
            }
        } else {
            self.pooled.extend_from_slice(states.values());
        }
        if !is_last {
            return Ok(None);
        }
        context.release(self.seq);
        let pooled = std::mem::take(&mut self.pooled);
        Ok(Some(self.finish(context, pooled)))
    }

    /// Forgets what was computed and gives its place in the cache back; [`Self::advance`] begins again.
    pub fn restart(&mut self, context: &mut Context) {
        context.release(self.seq);
        self.seq = context.create();
        self.done = 0;
        self.pooled.clear();
    }

    /// Gives the sequence back without having computed all.
    pub fn abandon(self, context: &mut Context) {
        context.release(self.seq);
    }

    fn finish(&self, context: &Context, mut pooled: Vec<f32>) -> Vec<f32> {
        match (self.pooling, &context.model().ranking) {
            (Pooling::Mean, _) => {
                let count = self.tokens.len() as f32;
                pooled.iter_mut().for_each(|x| *x /= count);
                pooled
            }
            (Pooling::Rank, Some(head)) => head.scores(context.pool(), &pooled),
            _ => pooled,
        }
    }
}

impl RankingHead {
    /// `W tanh(W_inner · state + b_inner) + b`, or `W · state + b`, as probabilities where the family wants them.
    fn scores(&self, pool: &dyn Pool, state: &[f32]) -> Vec<f32> {
        let mut x = Activations::new();
        x.reset(1, state.len()).copy_from_slice(state);
        if let Some(inner) = &self.inner {
            let mut hidden = vec![0.0; inner.weight.rows()];
            project(pool, inner, &mut x, &mut hidden);
            // A cap of 1 is the hyperbolic tangent.
            soft_cap(1.0, &mut hidden);
            x.reset(1, hidden.len()).copy_from_slice(&hidden);
        }
        let mut scores = vec![0.0; self.output.weight.rows()];
        project(pool, &self.output, &mut x, &mut scores);
        if self.softmax {
            softmax(&mut scores);
        }
        scores
    }
}

/// Scales an embedding to length 1, so that products of two are cosines; one of length 0 stays as it is.
pub fn normalize(embedding: &mut [f32]) {
    let squares: f64 = embedding.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    if squares > 0.0 {
        let scale = squares.sqrt().recip() as f32;
        embedding.iter_mut().for_each(|x| *x *= scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_files_and_names_are_llama_cpps() {
        let names = Pooling::ALL.map(Pooling::name);
        assert_eq!(names, ["none", "mean", "cls", "last", "rank"]);
        for pooling in Pooling::ALL {
            assert_eq!(Pooling::from_name(pooling.name()), Some(pooling));
        }
        assert_eq!(Pooling::from_name("max"), None);
    }

    #[test]
    fn lengths_become_one() {
        let mut embedding = [3.0, -4.0];
        normalize(&mut embedding);
        assert_eq!(embedding, [0.6, -0.8]);
        let mut tiny = [1e-30, 0.0];
        normalize(&mut tiny);
        assert_eq!(tiny, [1.0, 0.0]);
        let mut zeros = [0.0; 2];
        normalize(&mut zeros);
        assert_eq!(zeros, [0.0; 2]);
    }
}
