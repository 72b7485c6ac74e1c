//! The filters again, each from its definition with a full sort in double precision, and the chain tested against
//! them.

use proptest::prelude::*;

use crate::{
    Params, Sampler,
    candidates::{Candidate, Candidates},
    filters::{self, Typical},
};

/// Tokens with probabilities, most likely first.
fn softmax_sorted(logits: &[(u32, f64)]) -> Vec<(u32, f64)> {
    let max = logits
        .iter()
        .map(|item| item.1)
        .fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|item| (item.1 - max).exp()).sum();
    let mut items: Vec<_> = logits
        .iter()
        .map(|&(id, logit)| (id, (logit - max).exp() / sum))
        .collect();
    items.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    items
}

fn keep(logits: &[(u32, f64)], ids: &[u32]) -> Vec<(u32, f64)> {
    logits
        .iter()
        .copied()
        .filter(|item| ids.contains(&item.0))
        .collect()
}

fn top_k(logits: &[(u32, f64)], k: usize) -> Vec<u32> {
    softmax_sorted(logits)
        .iter()
        .take(k)
        .map(|item| item.0)
        .collect()
}

fn until(sorted: &[(u32, f64)], enough: impl Fn(f64) -> bool) -> Vec<u32> {
    let mut total = 0.0;
    let mut kept = Vec::new();
    for &(id, p) in sorted {
        total += p;
        kept.push(id);
        if enough(total) {
            break;
        }
    }
    kept
}

fn typical(logits: &[(u32, f64)], typical_p: f64) -> Vec<u32> {
    let items = softmax_sorted(logits);
    let entropy: f64 = items.iter().map(|item| -item.1 * item.1.ln()).sum();
    let mut by_distance = items;
    by_distance.sort_by(|a, b| {
        (-a.1.ln() - entropy)
            .abs()
            .total_cmp(&(-b.1.ln() - entropy).abs())
    });
    until(&by_distance, |total| total > typical_p)
}

fn top_p(logits: &[(u32, f64)], top_p: f64) -> Vec<u32> {
    until(&softmax_sorted(logits), |total| total >= top_p)
}

fn min_p(logits: &[(u32, f64)], min_p: f64) -> Vec<u32> {
    let items = softmax_sorted(logits);
    items
        .iter()
        .filter(|item| item.1 >= min_p * items[0].1)
        .map(|item| item.0)
        .collect()
}

/// Distinct logits a hundredth apart in random order: no two filters' bounds can be told apart by rounding alone
/// unless a cumulative probability falls on a bound, which the odd bounds below avoid.
fn distinct_logits() -> impl Strategy<Value = Vec<f32>> {
    (1usize..600).prop_flat_map(|count| {
        Just(
            (0..count)
                .map(|step| step as f32 * 0.011 - 3.0)
                .collect::<Vec<_>>(),
        )
        .prop_shuffle()
    })
}

fn numbered(logits: &[f32]) -> Vec<(u32, f64)> {
    (0..)
        .zip(logits)
        .map(|(id, &logit)| (id, f64::from(logit)))
        .collect()
}

fn ids(candidates: &Candidates) -> Vec<u32> {
    let mut ids: Vec<_> = candidates.items().iter().map(|item| item.id).collect();
    ids.sort_unstable();
    ids
}

fn sorted(mut ids: Vec<u32>) -> Vec<u32> {
    ids.sort_unstable();
    ids
}

fn loaded(logits: &[f32], keep: Option<usize>) -> Candidates {
    let mut candidates = Candidates::default();
    candidates.load(logits, &[], keep).unwrap();
    candidates
}

proptest! {
    #[test]
    fn top_k_keeps_what_a_full_sort_keeps(
        logits in prop::collection::vec(-8i8..8, 1..500).prop_map(|v| v.into_iter().map(f32::from).collect::<Vec<_>>()),
        k in 1usize..150,
    ) {
        // Few distinct values: ties at the bound are the rule here, and must go to the lower ids.
        prop_assert_eq!(ids(&loaded(&logits, Some(k))), sorted(top_k(&numbered(&logits), k)));
    }

    #[test]
    fn ranks_are_those_of_a_full_sort(logits in distinct_logits(), stride in 1usize..80) {
        let mut candidates = loaded(&logits, None);
        let expected = softmax_sorted(&numbered(&logits));
        for rank in (0..logits.len()).step_by(stride) {
            prop_assert_eq!(candidates.ranked(rank).id, expected[rank].0);
        }
    }

    #[test]
    fn top_p_keeps_what_a_full_sort_keeps(logits in distinct_logits(), p in 0.01f32..0.99) {
        let mut candidates = loaded(&logits, None);
        filters::top_p(&mut candidates, p);
        prop_assert_eq!(ids(&candidates), sorted(top_p(&numbered(&logits), f64::from(p))));
    }

    #[test]
    fn min_p_keeps_what_a_full_sort_keeps(logits in distinct_logits(), p in 0.01f32..0.99) {
        let mut candidates = loaded(&logits, None);
        filters::min_p(&mut candidates, p);
        prop_assert_eq!(ids(&candidates), sorted(min_p(&numbered(&logits), f64::from(p))));
    }

    #[test]
    fn typical_p_keeps_what_a_full_sort_keeps(logits in distinct_logits(), p in 0.01f32..0.99) {
        let mut candidates = loaded(&logits, None);
        Typical::default().apply(&mut candidates, p);
        prop_assert_eq!(ids(&candidates), sorted(typical(&numbered(&logits), f64::from(p))));
    }

    #[test]
    fn the_chain_only_draws_what_all_filters_leave(
        logits in distinct_logits(),
        (k, typical_p, nucleus, min) in (0i32..100, 0.3f32..1.2, 0.3f32..1.2, -0.2f32..0.5),
        seed: u64,
    ) {
        let params = Params {
            top_k: k,
            typical_p: typical_p.min(1.0),
            top_p: nucleus.min(1.0),
            min_p: min.max(0.0),
            temperature: 5.0,
            seed,
            ..Params::default()
        };
        let mut left = numbered(&logits);
        if k > 0 {
            left = keep(&left, &top_k(&left, k as usize));
        }
        if params.typical_p < 1.0 {
            left = keep(&left, &typical(&left, f64::from(params.typical_p)));
        }
        if params.top_p < 1.0 {
            left = keep(&left, &top_p(&left, f64::from(params.top_p)));
        }
        if params.min_p > 0.0 {
            left = keep(&left, &min_p(&left, f64::from(params.min_p)));
        }
        let mut sampler = Sampler::new(params).unwrap();
        for _ in 0..20 {
            let id = sampler.sample(&logits).unwrap();
            prop_assert!(left.iter().any(|item| item.0 == id), "{id} is not among {left:?}");
        }
    }

    #[test]
    fn greedy_is_the_first_maximum(logits in prop::collection::vec(-4i8..4, 1..300)) {
        let logits: Vec<_> = logits.into_iter().map(f32::from).collect();
        let id = Sampler::new(Params::greedy()).unwrap().sample(&logits).unwrap() as usize;
        let first = logits.iter().position(|logit| logits.iter().all(|other| other <= logit)).unwrap();
        prop_assert_eq!(id, first);
    }

    #[test]
    fn any_floats_and_parameters_give_a_token_or_an_error(
        logits in prop::collection::vec(any::<f32>(), 0..200),
        (temperature, top_k, top_p, min_p, typical_p) in (0f32..3.0, -1i32..60, 0f32..=1.0, 0f32..=1.0, 0f32..=1.0),
        (repeat_penalty, frequency_penalty, presence_penalty) in (1e-30f32..1e30, any::<f32>(), -2f32..2.0),
        accepted in prop::collection::vec(0u32..200, 0..80),
    ) {
        let params = Params {
            temperature, top_k, top_p, min_p, typical_p, repeat_penalty, frequency_penalty, presence_penalty,
            ..Params::default()
        };
        if let Ok(mut sampler) = Sampler::new(params) {
            accepted.iter().for_each(|&id| sampler.accept(id));
            if let Ok(id) = sampler.sample(&logits) {
                prop_assert!((id as usize) < logits.len());
                prop_assert!(logits[id as usize] > f32::NEG_INFINITY);
            }
        }
    }
}

#[test]
fn ties_are_ordered_by_token() {
    let candidates = loaded(&[1.0, 2.0, 2.0, 1.0, 2.0], Some(4));
    let expected =
        [(1, 2.0), (2, 2.0), (4, 2.0), (0, 1.0)].map(|(id, logit)| Candidate { id, logit });
    assert_eq!(candidates.items(), expected);
}
