//! The order of a module's functions, so that gzip finds what they have in common.
//!
//! gzip copies what it has seen in the last 32 KB. Functions made from one generic, or by one derive, are much alike, and
//! the linker and wasm-bindgen put them anywhere; next to each other, a whole module takes 5 % less. wasm-opt can
//! sort functions by name, so they are given names that say the order.

use anyhow::{Context, Result};
use wasm_encoder::{NameMap, NameSection, RawSection, Section};
use wasmparser::{Parser, Payload, TypeRef};

/// Bytes that must be equal for gzip, which copies three at least, to gain by a copy.
const RUN: usize = 4;

/// Words of a sketch: 4096 bits, about as many as a middling function has different runs of bytes.
const WORDS: usize = 64;

/// Which runs of bytes a function has, each a bit chosen by a hash.
struct Sketch {
    bits: [u64; WORDS],
    ones: u32,
}

impl Sketch {
    fn new(body: &[u8]) -> Self {
        /// Knuth's multiplier: the high bits of a product with it depend on all bits of the other factor.
        const HASH: u32 = 2_654_435_769;
        let mut bits = [0_u64; WORDS];
        for run in body.windows(RUN) {
            let run = u32::from_le_bytes(
                run.try_into()
                    .expect("a window is as long as it was asked to be"),
            );
            let bit = (run.wrapping_mul(HASH) >> 20) as usize;
            bits[bit / 64] |= 1 << (bit % 64);
        }
        let ones = bits.iter().map(|word| word.count_ones()).sum();
        Self { bits, ones }
    }

    /// The cosine of the angle between two sketches: 1 for the same runs, 0 for none in common.
    fn likeness(&self, other: &Self) -> f64 {
        let pairs = self.bits.iter().zip(&other.bits);
        let common: u32 = pairs.map(|(a, b)| (a & b).count_ones()).sum();
        f64::from(common)
            / (f64::from(self.ones) * f64::from(other.ones))
                .sqrt()
                .max(1.0)
    }
}

/// From the largest function always on to the one that is most like the last: indices into `bodies`.
fn by_likeness(bodies: &[&[u8]]) -> Vec<usize> {
    let sketches: Vec<Sketch> = bodies.iter().map(|body| Sketch::new(body)).collect();
    let mut left: Vec<usize> = (0..bodies.len()).collect();
    let mut order = Vec::with_capacity(bodies.len());
    let mut next = (0..left.len()).max_by_key(|&at| bodies[at].len());
    while let Some(at) = next {
        let last = left.swap_remove(at);
        order.push(last);
        next = (0..left.len()).max_by(|&a, &b| {
            let likeness = |at: usize| sketches[left[at]].likeness(&sketches[last]);
            likeness(a).total_cmp(&likeness(b))
        });
    }
    order
}

/// The module with names of its functions that sort in the order they should have, and without any other names.
pub(super) fn name_in_order(module: &[u8]) -> Result<Vec<u8>> {
    let mut imported = 0_u32;
    let mut bodies = Vec::new();
    let mut named = module[..8.min(module.len())].to_vec();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.context("the module cannot be read")?;
        if let Some((id, range)) = payload.as_section()
            && !matches!(&payload, Payload::CustomSection(custom) if custom.name() == "name")
        {
            let data = &module[range.start as usize..range.end as usize];
            RawSection { id, data }.append_to(&mut named);
        }
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes()),
            _ => {}
        }
    }
    let mut place = vec![0; bodies.len()];
    for (at, body) in by_likeness(&bodies).into_iter().enumerate() {
        place[body] = at;
    }
    let mut names = NameMap::new();
    for (index, at) in (imported..).zip(place) {
        names.append(index, &format!("{at:06}"));
    }
    let mut section = NameSection::new();
    section.functions(&names);
    section.append_to(&mut named);
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_stands_together() {
        let kinds = [3_u32, 5, 11].map(|step| (0..200).map(|i| (i * step % 251) as u8).collect());
        let kinds: [Vec<u8>; 3] = kinds;
        let bodies: Vec<&[u8]> = [0, 1, 2, 0, 1, 2]
            .into_iter()
            .enumerate()
            .map(|(at, kind)| &kinds[kind][at..200 - 10 * at])
            .collect();
        let order = by_likeness(&bodies);
        let kinds: Vec<usize> = order.iter().map(|body| body % 3).collect();
        assert!(kinds.chunks(2).all(|pair| pair[0] == pair[1]), "{order:?}");
    }

    #[test]
    fn every_function_gets_a_place() {
        let bodies: Vec<Vec<u8>> = (0..50).map(|i| vec![i as u8; i]).collect();
        let mut order = by_likeness(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
