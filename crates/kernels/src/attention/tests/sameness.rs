//! What results do not depend on, to the bit.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::testing::assert_same_bits;

#[test]
fn is_the_same_on_every_instruction_set() {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        for kind in KvType::ALL {
            let mut case = Case::new(shape, &[45, 66], 2.0, 20 + seed as u64);
            let filled = case.fill(kind, BLOCK);
            for (window, soft_cap) in [(None, None), (Some(40), Some(3.0))] {
                case.window = window;
                case.soft_cap = soft_cap;
                // A prompt, single tokens and a few.
                for from in [[40, 0], [44, 65], [44, 62]] {
                    let expected = case.run(Isa::SCALAR, &filled, 0, &from);
                    for isa in Isa::available() {
                        assert_same_bits(&case.run(isa, &filled, 0, &from), &expected);
                    }
                }
            }
        }
    }
}

#[test]
fn extreme_keys_values_and_queries_are_the_same_on_every_instruction_set() {
    let extremes = [
        0.0,
        -0.0,
        1e-30,
        -1e-8,
        1.0,
        -1.0,
        127.0,
        -65504.0,
        1e9,
        f32::MAX,
    ];
    let shape = SHAPES[3];
    let mut case = Case::new(shape, &[70], 1.0, 25);
    let mut state = 1_u32;
    let mut extreme = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        extremes[(state >> 16) as usize % extremes.len()]
    };
    case.keys[0][0].fill_with(&mut extreme);
    case.values[0][0].fill_with(&mut extreme);
    case.queries[0].fill_with(|| extreme().clamp(-1e9, 1e9));
    let filled = case.fill(KvType::Q8_0, BLOCK);
    let expected = case.run(Isa::SCALAR, &filled, 0, &[60]);
    assert!(expected.iter().all(|x| x.is_finite()));
    for isa in Isa::available() {
        assert_same_bits(&case.run(isa, &filled, 0, &[60]), &expected);
    }
}

#[test]
fn does_not_depend_on_the_page_size() {
    for kind in KvType::ALL {
        let case = Case::new(SMOLLM2, &[150, 64], 1.0, 30);
        let expected = case.run(Isa::best(), &case.fill(kind, BLOCK), 1, &[149, 0]);
        for page_tokens in [2 * BLOCK, 5 * BLOCK] {
            let filled = case.fill(kind, page_tokens);
            assert_same_bits(&case.run(Isa::best(), &filled, 1, &[149, 0]), &expected);
        }
    }
}

/// Checks that the tokens of each sequence come out the same in chunks of these lengths as all together.
fn same_in_chunks(case: &Case, filled: &Filled, first: usize, chunks: &[usize]) {
    let from = vec![first; case.lengths.len()];
    let together = case.run(Isa::best(), filled, 0, &from);
    let width = case.shape.heads * case.shape.value_length;
    let mut expected = together.chunks_exact(width);
    for (&table, &tokens) in filled.starts.iter().zip(&case.lengths) {
        let expected: Vec<f32> = expected
            .by_ref()
            .take(tokens - first)
            .flatten()
            .copied()
            .collect();
        for &chunk in chunks {
            for start in (first..tokens).step_by(chunk) {
                let rows = chunk.min(tokens - start);
                let span = Span { table, start, rows };
                let alone = case.run_spans(Isa::best(), &Serial, filled, 0, &[span]);
                assert_same_bits(&alone, &expected[(start - first) * width..][..rows * width]);
            }
        }
    }
}

#[test]
fn does_not_depend_on_chunks_or_on_the_batch() {
    for kind in KvType::ALL {
        let case = Case::new(SMOLLM2, &[75, 50], 1.0, 31);
        same_in_chunks(&case, &case.fill(kind, BLOCK), 0, &[1, 3, 19, 52]);
    }
}

#[test]
fn chunks_of_several_splits_give_the_same() {
    for kind in KvType::ALL {
        for window in [None, Some(200), Some(300)] {
            let mut case = Case::new(SMALL, &[2 * SPLIT + 20, SPLIT + 5], 3.0, 34);
            case.window = window;
            same_in_chunks(&case, &case.fill(kind, BLOCK), SPLIT - 8, &[1, 4, 5, 70]);
        }
    }
}

#[test]
fn a_window_gives_the_same_without_the_pages_before_it() {
    for window in WINDOWS {
        for kind in KvType::ALL {
            let mut case = Case::new(SMOLLM2, &[150], 1.0, 41);
            case.window = Some(window);
            let mut filled = case.fill(kind, BLOCK);
            let width = 9 * 64;
            let whole = case.run(Isa::best(), &filled, 1, &[0]);
            for chunk in [1, 19, 64] {
                for start in (0..150).step_by(chunk) {
                    let rows = chunk.min(150 - start);
                    let tables = filled.tables.clone();
                    filled.tables[..(start + 1).saturating_sub(window) / BLOCK].fill(u32::MAX);
                    let span = Span {
                        table: 0,
                        start,
                        rows,
                    };
                    let alone = case.run_spans(Isa::best(), &Serial, &filled, 1, &[span]);
                    assert_same_bits(&alone, &whole[start * width..][..rows * width]);
                    filled.tables = tables;
                }
            }
        }
    }
}

#[test]
fn what_lies_beyond_the_last_token_does_not_matter() {
    for kind in KvType::ALL {
        let case = Case::new(SMOLLM2, &[41], 1.0, 32);
        let mut filled = case.fill(kind, BLOCK);
        let expected = case.run(Isa::best(), &filled, 0, &[0]);
        for (key, value) in [(f32::NAN, f32::INFINITY), (f32::MAX, f32::MAX)] {
            for token in 41..2 * BLOCK {
                let page = filled.tables[token / BLOCK] as usize;
                filled.pages[page].store(
                    &filled.layout,
                    0,
                    token % BLOCK,
                    &[key; 192],
                    &[value; 192],
                );
            }
            assert_same_bits(&case.run(Isa::best(), &filled, 0, &[0]), &expected);
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn does_not_depend_on_the_number_of_threads() {
    /// A new thread for every part.
    struct Scoped(usize);
    // SAFETY: each part gets one thread, which ends with the scope.
    unsafe impl Pool for Scoped {
        fn threads(&self) -> usize {
            self.0
        }
        fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
            std::thread::scope(|scope| {
                for part in 0..parts {
                    scope.spawn(move || job(part));
                }
            });
        }
    }
    for kind in KvType::ALL {
        let case = Case::new(SMALL, &[130, 2 * SPLIT + 1, SPLIT + 3], 1.0, 33);
        let filled = case.fill(kind, BLOCK);
        let spans = case.spans(&filled, &[0, 2 * SPLIT, SPLIT]);
        let expected = case.run_spans(Isa::best(), &Serial, &filled, 0, &spans);
        for threads in [2, 3, 8] {
            let out = case.run_spans(Isa::best(), &Scoped(threads), &filled, 0, &spans);
            assert_same_bits(&out, &expected);
        }
    }
}
