//! Memory of a forward pass that is kept between calls: what to compute, and room for what is computed.

use kernels::Activations;
use kernels::attention::{self, Span};

use crate::cache::Cache;
use crate::rotation::Angles;
use crate::step::MixtureScratch;
use crate::{Config, Error, Input, SeqId, Want};

/// A checked batch, flattened: rows are the tokens of all inputs in order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Tokens to add to each sequence.
    pub(crate) appends: Vec<(SeqId, usize)>,
    /// `[rows]`
    pub(crate) tokens: Vec<u32>,
    /// `[rows]`: each token's place in its sequence.
    pub(crate) positions: Vec<u32>,
    /// For each kind of layers, the page tables of all inputs, one after the other.
    pub(crate) tables: Vec<Vec<u32>>,
    /// One for each input.
    pub(crate) spans: Vec<Span>,
    /// The rows whose logits are wanted, ascending.
    pub(crate) wanted: Vec<usize>,
}

impl Batch {
    /// Checks `inputs` and notes what is to be computed.
    pub(crate) fn plan(
        &mut self,
        inputs: &[Input],
        vocab_size: usize,
        cache: &Cache,
    ) -> Result<(), Error> {
        self.clear();
        for input in inputs {
            self.add(input, vocab_size, cache)?;
        }
        if inputs.is_empty() {
            return Err(Error::EmptyInput);
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.appends.clear();
        self.tokens.clear();
        self.positions.clear();
        self.spans.clear();
        self.wanted.clear();
    }

    /// Makes room in the cache for the batch's tokens. On an error the cache is as it was.
    pub(crate) fn reserve_pages(&mut self, cache: &mut Cache) -> Result<(), Error> {
        cache.reserve(&self.appends)?;
        self.note_tables(cache)
    }

    /// Notes tokens of one sequence, from place `start` on, whose pages are reserved and whose logits are not wanted.
    pub(crate) fn plan_part(
        &mut self,
        seq: SeqId,
        start: usize,
        tokens: &[u32],
        cache: &Cache,
    ) -> Result<(), Error> {
        self.clear();
        self.add_rows(seq, start, tokens);
        self.note_tables(cache)
    }

    fn note_tables(&mut self, cache: &Cache) -> Result<(), Error> {
        self.tables.resize_with(cache.kinds().len(), Vec::new);
        self.tables.iter_mut().for_each(Vec::clear);
        let mut start = 0;
        for (span, &(seq, _)) in self.spans.iter_mut().zip(&self.appends) {
            span.table = start;
            for (all, table) in self.tables.iter_mut().zip(cache.tables(seq)?) {
                all.extend_from_slice(table.pages());
                start = all.len();
            }
        }
        Ok(())
    }

    fn add(&mut self, input: &Input, vocab_size: usize, cache: &Cache) -> Result<(), Error> {
        let start = cache.len(input.seq)?;
        if self.appends.iter().any(|&(seq, _)| seq == input.seq) {
            return Err(Error::RepeatedSequence {
                index: input.seq.index(),
            });
        }
        if input.tokens.is_empty() {
            return Err(Error::EmptyInput);
        }
        if let Some(&token) = input
            .tokens
            .iter()
            .find(|&&token| token as usize >= vocab_size)
        {
            return Err(Error::TokenOutOfRange { token, vocab_size });
        }
        let first_row = self.tokens.len();
        self.add_rows(input.seq, start, input.tokens);
        let rows = first_row..self.tokens.len();
        match input.logits {
            Want::None => {}
            Want::First => self.wanted.push(rows.start),
            Want::Last => self.wanted.push(rows.end - 1),
            Want::All => self.wanted.extend(rows),
        }
        Ok(())
    }

    fn add_rows(&mut self, seq: SeqId, start: usize, tokens: &[u32]) {
        self.appends.push((seq, tokens.len()));
        self.tokens.extend_from_slice(tokens);
        self.positions
            .extend((start..start + tokens.len()).map(|position| position as u32));
        self.spans.push(Span {
            table: 0,
            start,
            rows: tokens.len(),
        });
    }

    fn bytes(&self) -> usize {
        let tables: usize = self.tables.iter().map(Vec::capacity).sum();
        self.appends.capacity() * size_of::<(SeqId, usize)>()
            + (self.tokens.capacity() + self.positions.capacity() + tables) * size_of::<u32>()
            + self.spans.capacity() * size_of::<Span>()
            + self.wanted.capacity() * size_of::<usize>()
    }
}

/// Room for intermediate results; each is as large as the largest batch so far needed.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) batch: Batch,
    pub(crate) angles: Angles,
    /// The residual stream, `[rows, embedding_length]`.
    pub(crate) residual: Vec<f32>,
    /// Normalized residual stream, `[rows, embedding_length]`.
    pub(crate) normed: Activations,
    /// `[rows, heads · key_length]`
    pub(crate) queries: Vec<f32>,
    /// `[rows, kv_heads · key_length]`
    pub(crate) keys: Vec<f32>,
    /// `[rows, kv_heads · value_length]`
    pub(crate) values: Vec<f32>,
    pub(crate) attention: attention::Scratch,
    /// `[rows, heads · value_length]`
    pub(crate) attended: Activations,
    /// `[rows, feed_forward_length]`
    pub(crate) up: Vec<f32>,
    /// `[rows, feed_forward_length]`
    pub(crate) gated: Activations,
    pub(crate) mixture: MixtureScratch,
    /// What a block adds to the residual stream, `[rows, embedding_length]`.
    pub(crate) delta: Vec<f32>,
    /// `[wanted rows, vocab_size]`
    pub(crate) logits: Vec<f32>,
}

impl Scratch {
    /// Takes memory for a batch of `rows` tokens and for so many `logits`, so that the pass itself takes little more.
    pub(crate) fn reserve(
        &mut self,
        config: &Config,
        rows: usize,
        logits: usize,
    ) -> Result<(), Error> {
        let buffers = [
            (&mut self.residual, rows, config.embedding_length),
            (&mut self.queries, rows, config.heads * config.key_length),
            (&mut self.keys, rows, config.kv_heads * config.key_length),
            (
                &mut self.values,
                rows,
                config.kv_heads * config.value_length,
            ),
            (&mut self.up, rows, config.feed_forward_length),
            (&mut self.delta, rows, config.embedding_length),
            (&mut self.logits, logits, 1),
        ];
        for (buffer, rows, columns) in buffers {
            let more = rows.saturating_mul(columns).saturating_sub(buffer.len());
            buffer
                .try_reserve_exact(more)
                .map_err(|_| Error::OutOfMemory {
                    bytes: more.saturating_mul(size_of::<f32>()),
                    purpose: "intermediate results of a batch",
                })?;
        }
        Ok(())
    }

    pub(crate) fn bytes(&self) -> usize {
        let floats = [
            &self.residual,
            &self.queries,
            &self.keys,
            &self.values,
            &self.up,
            &self.delta,
            &self.logits,
        ]
        .into_iter()
        .map(Vec::capacity)
        .sum::<usize>();
        floats * size_of::<f32>()
            + self.normed.bytes()
            + self.attended.bytes()
            + self.gated.bytes()
            + self.attention.bytes()
            + self.mixture.bytes()
            + self.angles.bytes()
            + self.batch.bytes()
    }
}
