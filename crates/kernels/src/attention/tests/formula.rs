//! Against the formula in 64 bits.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::testing::assert_close;

/// How far results may be off, as a share of the largest. With bytes, queries and weights are rounded to 15 bits: by 32 of the latter a
/// sum can be off by 32 · 0.5 / 32767 of its largest term, if all errors add up.
fn tolerance(kind: KvType) -> f64 {
    match kind {
        KvType::F32 | KvType::F16 => 1e-5,
        KvType::Q8_0 => 1e-4,
    }
}

#[test]
fn agrees_with_the_formula_in_64_bits() {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        for kind in KvType::ALL {
            let mut case = Case::new(shape, &[1, 33, 70, 97], 1.0, seed as u64);
            let filled = case.fill(kind, BLOCK);
            case.round(kind);
            let from = [0, 32, 5, 96];
            for layer in 0..LAYERS {
                let out = case.run(Isa::best(), &filled, layer, &from);
                assert_close(&out, &case.reference(layer, &from), tolerance(kind));
            }
        }
    }
}

#[test]
fn several_splits_agree_with_the_formula_in_64_bits() {
    for kind in KvType::ALL {
        for window in [None, Some(300)] {
            let mut case = Case::new(SMALL, &[SPLIT, SPLIT + 1, 3 * SPLIT + 10], 2.0, 60);
            case.window = window;
            let filled = case.fill(kind, 2 * BLOCK);
            case.round(kind);
            for from in [[SPLIT - 1, SPLIT, 3 * SPLIT + 9], [0, 0, 3 * SPLIT - 2]] {
                let out = case.run(Isa::best(), &filled, 0, &from);
                assert_close(&out, &case.reference(0, &from), tolerance(kind));
            }
        }
    }
}

#[test]
fn a_window_and_a_cap_agree_with_the_formula_in_64_bits() {
    for window in WINDOWS {
        for kind in KvType::ALL {
            let mut case = Case::new(SMOLLM2, &[150, 33, 97], 1.0, 40);
            case.window = Some(window);
            case.soft_cap = Some(2.5);
            let filled = case.fill(kind, BLOCK);
            case.round(kind);
            let from = [0, 32, 90];
            let out = case.run(Isa::best(), &filled, 0, &from);
            assert_close(&out, &case.reference(0, &from), tolerance(kind));
        }
    }
}

#[test]
fn tokens_see_those_after_them_where_nothing_is_causal() {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        let mut case = Case::new(shape, &[1, 33, 70, 97], 1.0, 50 + seed as u64);
        case.causal = false;
        let filled = case.fill(KvType::F32, BLOCK);
        let from = [0, 0, 32, 90];
        let out = case.run(Isa::best(), &filled, 1, &from);
        assert_close(&out, &case.reference(1, &from), 1e-5);
    }
}

#[test]
fn one_overwhelming_score_selects_its_value() {
    // Scores around 10⁴, rounded to about 10⁻³: so far off are the weights of two that are nearly equal.
    let case = Case::new(SMOLLM2, &[80], 100.0, 11);
    let out = case.run(Isa::best(), &case.fill(KvType::F32, BLOCK), 1, &[0]);
    assert_close(&out, &case.reference(1, &[0]), 1e-2);
}

#[test]
fn bytes_keep_small_weights() {
    // The first token has 3000 times the weight of each other one, and a value of a thousandth of theirs.
    let mut case = Case::new(SMALL, &[BLOCK], 1.0, 61);
    let width = SMALL.kv_heads * SMALL.key_length;
    case.queries[0].fill(4.0);
    case.keys[0][0].fill(-0.5);
    case.keys[0][0][..width].fill(0.5);
    case.values[0][0][..width].fill(1e-3);
    let filled = case.fill(KvType::Q8_0, BLOCK);
    case.round(KvType::Q8_0);
    let out = case.run(Isa::best(), &filled, 0, &[BLOCK - 1]);
    let expected = case.reference(0, &[BLOCK - 1]);
    assert_close(&out, &expected, tolerance(KvType::Q8_0));
}
