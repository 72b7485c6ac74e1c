//! The parts that transformer blocks are made of, applied to all rows of a batch.
//!
//! A family's file spells out its block with these; each part reads and writes the buffers of [`Scratch`].

mod encoder;
mod mixture;

use kernels::{
    Activations, Matrix, Pool, Product, activation, attention, for_rows, matmul, matmul_each,
    matmul_pair, norm,
};

use crate::Config;
use crate::cache::{Cache, Place};
use crate::rotation::Ropes;
use crate::scratch::Scratch;
use crate::weights::{Attention, FeedForward, Linear, Model};

pub(crate) use mixture::MixtureScratch;

/// One forward pass under way.
pub(crate) struct Step<'a> {
    config: &'a Config,
    pool: &'a dyn Pool,
    ropes: &'a Ropes,
    cache: &'a mut Cache,
    scratch: &'a mut Scratch,
    /// Rows that are still computed: all of the batch, and in the last layer those whose logits are wanted.
    rows: usize,
}

/// Begins a pass over the batch planned in `scratch`: looks up the embeddings of its tokens and the angles of their
/// positions.
pub(crate) fn embed(config: &Config, embedding: &Matrix, ropes: &Ropes, scratch: &mut Scratch) {
    let width = config.embedding_length;
    let tokens = &scratch.batch.tokens;
    scratch.residual.resize(tokens.len() * width, 0.0);
    for (&token, out) in tokens.iter().zip(scratch.residual.chunks_exact_mut(width)) {
        embedding.dequantize_row(token as usize, out);
    }
    if config.embedding_scale != 1.0 {
        for x in &mut scratch.residual {
            *x *= config.embedding_scale;
        }
    }
    ropes.angles(&scratch.batch.positions, &mut scratch.angles);
}

impl<'a> Step<'a> {
    /// Goes on with a pass that [`embed`] has begun.
    pub(crate) fn new(
        config: &'a Config,
        ropes: &'a Ropes,
        pool: &'a dyn Pool,
        cache: &'a mut Cache,
        scratch: &'a mut Scratch,
    ) -> Self {
        Self {
            rows: scratch.batch.tokens.len(),
            config,
            pool,
            ropes,
            cache,
            scratch,
        }
    }

    /// `normed = RMSNorm(residual) · weight`, of the rows that are still computed
    pub(crate) fn norm(&mut self, weight: &[f32]) {
        let out = self
            .scratch
            .normed
            .reset(self.rows, self.config.embedding_length);
        let (residual, epsilon) = (&self.scratch.residual, self.config.norm_epsilon);
        for_rows(self.pool, out, weight.len(), &|start, out| {
            norm::rms_norm(&residual[start..][..out.len()], weight, epsilon, out);
        });
    }

    /// `queries, keys, values = W · normed + b`
    pub(crate) fn project_queries_keys_values(&mut self, weights: &Attention) {
        let scratch = &mut *self.scratch;
        let mut all = [
            (&weights.query, &mut scratch.queries),
            (&weights.key, &mut scratch.keys),
            (&weights.value, &mut scratch.values),
        ];
        let mut products = all.each_mut().map(|(linear, out)| {
            out.resize(self.rows * linear.weight.rows(), 0.0);
            Product::new(&linear.weight, out)
        });
        matmul_each(self.pool, &mut products, &mut scratch.normed);
        for (linear, out) in all {
            adjust(linear, out);
        }
    }

    /// RMS norm of each head of the queries and keys.
    pub(crate) fn norm_heads(&mut self, weights: &Attention) {
        let epsilon = self.config.norm_epsilon;
        for (heads, weight) in [
            (&mut self.scratch.queries, &weights.query_norm),
            (&mut self.scratch.keys, &weights.key_norm),
        ] {
            for_rows(self.pool, heads, weight.len(), &|_, heads| {
                norm::rms_norm_in_place(heads, weight, epsilon);
            });
        }
    }

    /// Rotates queries and keys by their positions, by the angles of `layer`.
    pub(crate) fn rotate(&mut self, layer: usize) {
        let length = self.config.key_length;
        let scratch = &mut *self.scratch;
        let windowed = self.config.window(layer).is_some();
        let (rope, angles) = self.ropes.of(windowed, &scratch.angles);
        rope.apply(angles, length, &mut scratch.queries);
        rope.apply(angles, length, &mut scratch.keys);
    }

    /// Stores keys and values in the cache, and `attended = softmax(queries · keysᵀ · scale) · values` over the earlier
    /// tokens of each sequence that are in the layer's window, and the token itself; the scaled products are bounded
    /// where the model has a soft cap.
    ///
    /// In the last layer, rows whose logits are not wanted are dropped after it: nothing reads them any more.
    pub(crate) fn attend(&mut self, layer: usize) {
        let place = self.cache.place(layer);
        self.store(place);
        let config = self.config;
        let width = config.heads * config.value_length;
        let scratch = &mut *self.scratch;
        let out = scratch.attended.reset(self.rows, width);
        let kind = &self.cache.kinds()[place.kind];
        attention::attention(
            self.pool,
            &attention::Cached {
                layout: kind.layout(),
                pages: kind.as_slice(),
                tables: &scratch.batch.tables[place.kind],
            },
            place.layer,
            &scratch.batch.spans,
            &attention::Queries {
                heads: config.heads,
                scale: config.attention_scale,
                soft_cap: config.attention_soft_cap,
                window: kind.window(),
                causal: config.causal,
                values: &scratch.queries,
            },
            &mut scratch.attention,
            out,
        );
        if layer + 1 == config.layers && scratch.batch.wanted.len() < self.rows {
            self.keep_wanted();
        }
    }

    /// `attended = RMSNorm(attended) · weight`
    pub(crate) fn norm_attended(&mut self, weight: &[f32]) {
        norm_activations(
            self.pool,
            &mut self.scratch.attended,
            weight,
            self.config.norm_epsilon,
        );
    }

    /// `delta = W · attended + b`
    pub(crate) fn project_attention_output(&mut self, output: &Linear) {
        let scratch = &mut *self.scratch;
        scratch
            .delta
            .resize(self.rows * self.config.embedding_length, 0.0);
        project(self.pool, output, &mut scratch.attended, &mut scratch.delta);
    }

    /// `residual += W · attended + b`
    pub(crate) fn add_attention_output(&mut self, output: &Linear) {
        self.project_attention_output(output);
        self.add_delta();
    }

    /// `residual += W · (activation(gate · normed) ⊙ (up · normed)) + b` (SwiGLU, GeGLU: Shazeer, arXiv:2002.05202)
    pub(crate) fn add_feed_forward(&mut self, weights: &FeedForward) {
        self.project_gated(weights);
        self.add_feed_forward_output(&weights.down);
    }

    /// `gated = activation(gate · normed) ⊙ (up · normed)`, or, without a gate, `gated = activation(up · normed)`
    pub(crate) fn project_gated(&mut self, weights: &FeedForward) {
        let scratch = &mut *self.scratch;
        let width = self.config.feed_forward_length;
        let activation = self.config.activation;
        let (x, up) = (&mut scratch.normed, &mut scratch.up);
        let gated = scratch.gated.reset(self.rows, width);
        up.resize(self.rows * width, 0.0);
        match &weights.gate {
            Some(gate) => {
                let pair = [(gate, &mut *gated), (&weights.up, up)];
                let pair = pair.map(|(linear, out)| Product::new(&linear.weight, out));
                matmul_pair(self.pool, pair, x, &|start, gated, up| {
                    adjust_from(gate, start, gated);
                    adjust_from(&weights.up, start, up);
                    activation::gated_in_place(activation, gated, up);
                });
            }
            // A network without a gate is one whose gate multiplies ones.
            None => {
                project(self.pool, &weights.up, x, gated);
                up.fill(1.0);
                for_rows(self.pool, gated, width, &|start, gated| {
                    activation::gated_in_place(activation, gated, &up[start..][..gated.len()]);
                });
            }
        }
    }

    /// `gated = RMSNorm(gated) · weight`
    pub(crate) fn norm_gated(&mut self, weight: &[f32]) {
        norm_activations(
            self.pool,
            &mut self.scratch.gated,
            weight,
            self.config.norm_epsilon,
        );
    }

    /// `delta = W · gated + b`
    pub(crate) fn project_feed_forward_output(&mut self, output: &Linear) {
        let scratch = &mut *self.scratch;
        scratch
            .delta
            .resize(self.rows * self.config.embedding_length, 0.0);
        project(self.pool, output, &mut scratch.gated, &mut scratch.delta);
    }

    /// `residual += W · gated + b`
    pub(crate) fn add_feed_forward_output(&mut self, output: &Linear) {
        self.project_feed_forward_output(output);
        self.add_delta();
    }

    /// `delta = RMSNorm(delta) · weight`
    pub(crate) fn norm_delta(&mut self, weight: &[f32]) {
        let epsilon = self.config.norm_epsilon;
        for_rows(
            self.pool,
            &mut self.scratch.delta,
            weight.len(),
            &|_, rows| norm::rms_norm_in_place(rows, weight, epsilon),
        );
    }

    /// `residual += delta`
    pub(crate) fn add_delta(&mut self) {
        add(&mut self.scratch.residual, &self.scratch.delta);
    }

    fn store(&mut self, place: Place) {
        let page_tokens = self.cache.page_tokens();
        let (key_width, value_width) = (
            self.config.kv_heads * self.config.key_length,
            self.config.kv_heads * self.config.value_length,
        );
        let batch = &self.scratch.batch;
        let mut row = 0;
        for span in &batch.spans {
            for position in span.start..span.start + span.rows {
                self.cache.store(
                    place,
                    batch.tables[place.kind][span.table + position / page_tokens],
                    position % page_tokens,
                    &self.scratch.keys[row * key_width..][..key_width],
                    &self.scratch.values[row * value_width..][..value_width],
                );
                row += 1;
            }
        }
    }

    fn keep_wanted(&mut self) {
        let scratch = &mut *self.scratch;
        let wanted = &scratch.batch.wanted;
        self.rows = wanted.len();
        let width = self.config.embedding_length;
        for (to, &from) in wanted.iter().enumerate() {
            scratch
                .residual
                .copy_within(from * width..(from + 1) * width, to * width);
        }
        scratch.residual.truncate(self.rows * width);
        scratch.delta.clear();
        for &row in wanted {
            let width = scratch.attended.cols();
            scratch
                .delta
                .extend_from_slice(&scratch.attended.values()[row * width..][..width]);
        }
        let width = scratch.attended.cols();
        scratch
            .attended
            .reset(self.rows, width)
            .copy_from_slice(&scratch.delta);
    }
}

/// `logits = W · normed + b`, bounded where the model has a soft cap.
pub(crate) fn project_logits(model: &Model, pool: &dyn Pool, scratch: &mut Scratch) {
    let weight = model.output.as_ref().unwrap_or(&model.embedding);
    let logits = &mut scratch.logits;
    logits.resize(scratch.normed.rows() * weight.rows(), 0.0);
    if logits.is_empty() {
        return;
    }
    matmul(pool, weight, &mut scratch.normed, logits);
    add_bias(logits, &model.output_bias);
    if let Some(cap) = model.config.logit_soft_cap {
        activation::soft_cap(cap, logits);
    }
}

/// `x = RMSNorm(x) · weight`
fn norm_activations(pool: &dyn Pool, x: &mut Activations, weight: &[f32], epsilon: f32) {
    for_rows(pool, x.values_mut(), weight.len(), &|_, rows| {
        norm::rms_norm_in_place(rows, weight, epsilon);
    });
}

/// `out = scale · W · x + b`
pub(crate) fn project(pool: &dyn Pool, linear: &Linear, x: &mut Activations, out: &mut [f32]) {
    if out.is_empty() {
        return;
    }
    matmul(pool, &linear.weight, x, out);
    adjust(linear, out);
}

/// `out = scale · out + b` for whole rows.
fn adjust(linear: &Linear, out: &mut [f32]) {
    adjust_from(linear, 0, out);
}

/// [`adjust`] for whole rows, or a part of one, whose first element is the `start`th of all.
fn adjust_from(linear: &Linear, start: usize, out: &mut [f32]) {
    if linear.scale != 1.0 {
        out.iter_mut().for_each(|out| *out *= linear.scale);
    }
    if let Some(start) = start.checked_rem(linear.bias.len()) {
        add_bias(out, &linear.bias[start..]);
    }
}

/// Adds `bias` to every row; an empty one stands for none.
fn add_bias(rows: &mut [f32], bias: &[f32]) {
    if bias.is_empty() {
        return;
    }
    for row in rows.chunks_mut(bias.len()) {
        add(row, bias);
    }
}

fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}
