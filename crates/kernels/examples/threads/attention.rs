//! Attention over every type of cache, as checksums of its bits.

use kernels::Threads;
use kernels::attention::{Cached, Queries, Span};
use kernels::kv::{BLOCK, KvLayout, KvType, Page};
use testkit::Rng;

use crate::host::print;
use crate::results::fnv;

/// Tokens in the cache, the new ones included: several splits, and a block that is not full.
const CONTEXT: usize = 600;

/// New tokens: an answer's, which threads share by heads and splits, and a prompt's.
const TOKENS: [usize; 2] = [1, 37];

/// Query heads, key–value heads and their length.
const SHAPE: (usize, usize, usize) = (6, 2, 64);

/// Prints the checksums, as [`crate::results::print_all`] does.
pub(crate) fn print_all(pool: &Threads) {
    let (heads, kv_heads, length) = SHAPE;
    let mut rng = Rng::new(2);
    let mut numbers = |count| -> Vec<f32> { (0..count).map(|_| rng.signed_unit()).collect() };
    for kind in KvType::ALL {
        let layout = KvLayout::new(kind, 1, kv_heads, length, length, BLOCK).expect("a layout");
        let pages: Vec<Page> = (0..CONTEXT.div_ceil(BLOCK))
            .map(|_| {
                let mut page = Page::new(&layout).expect("enough memory");
                for slot in 0..BLOCK {
                    let [keys, values] = [(); 2].map(|()| numbers(kv_heads * length));
                    page.store(&layout, 0, slot, &keys, &values);
                }
                page
            })
            .collect();
        let tables: Vec<u32> = (0..pages.len() as u32).collect();
        let cached = Cached {
            layout: &layout,
            pages: &pages,
            tables: &tables,
        };
        for rows in TOKENS {
            let values = numbers(rows * heads * length);
            let queries = Queries {
                heads,
                scale: 0.5,
                soft_cap: None,
                window: None,
                causal: true,
                values: &values,
            };
            let span = Span {
                table: 0,
                start: CONTEXT - rows,
                rows,
            };
            checksums(pool, &cached, span, &queries, |threads, out| {
                let (kind, checksum) = (kind.name(), fnv(&[out]));
                print(&format!(
                    r#"{{"format": "attention over {kind}", "batch": {rows}, "threads": {threads}, "checksum": "{checksum:016x}"}}"#
                ));
            });
        }
    }
}

#[cfg(target_arch = "wasm32")]
fn checksums(
    pool: &Threads,
    cached: &Cached,
    span: Span,
    queries: &Queries,
    mut report: impl FnMut(usize, Vec<f32>),
) {
    use kernels::attention::{Scratch, attention};

    for threads in 1..=crate::crew::THREADS {
        pool.limit(threads);
        let mut out = vec![f32::NAN; queries.values.len()];
        attention(
            pool,
            cached,
            0,
            &[span],
            queries,
            &mut Scratch::default(),
            &mut out,
        );
        report(threads, out);
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn checksums(
    _: &Threads,
    cached: &Cached,
    span: Span,
    queries: &Queries,
    mut report: impl FnMut(usize, Vec<f32>),
) {
    use kernels::attention::{Scratch, attention_with};
    use kernels::{Isa, Serial};

    let mut out = vec![f32::NAN; queries.values.len()];
    let mut scratch = Scratch::default();
    attention_with(
        Isa::SCALAR,
        &Serial,
        cached,
        0,
        &[span],
        queries,
        &mut scratch,
        &mut out,
    );
    report(1, out);
}
