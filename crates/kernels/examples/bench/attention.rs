//! Attention, whose cost grows with the context.

use std::hint::black_box;

use kernels::Serial;
use kernels::attention::{Cached, Queries, Scratch, Span, attention};
use kernels::kv::{BLOCK, KvLayout, KvType, Page};

use crate::host::{now_ms, print};

/// Name, query heads, key–value heads and head length of a layer.
const SHAPES: [(&str, usize, usize, usize); 2] =
    [("SmolLM2-135M", 9, 3, 64), ("Qwen3-0.6B", 16, 8, 128)];

/// What is computed: the tokens of one sequence after those in the cache.
struct Setting {
    /// Tokens in the cache, the new ones included.
    context: usize,
    /// New tokens.
    tokens: usize,
    /// Bytes of keys and values of all layers, which take turns as in a model: one layer alone would stay in the caches.
    bytes: usize,
}

/// One new token after few and after many, from the processor's caches and from memory; a piece of a prompt.
const SETTINGS: [Setting; 4] = [
    Setting {
        context: 256,
        tokens: 1,
        bytes: 1,
    },
    Setting {
        context: 4096,
        tokens: 1,
        bytes: 1,
    },
    Setting {
        context: 4096,
        tokens: 1,
        bytes: 96 << 20,
    },
    Setting {
        context: 4096,
        tokens: 128,
        bytes: 1,
    },
];

/// Prints for each shape, type of storage and setting how long a layer takes (µs), what it reads at least (GB/s) and what it multiplies
/// (10⁹ multiplications a second).
pub(crate) fn measure() {
    for (name, heads, kv_heads, length) in SHAPES {
        for kind in KvType::ALL {
            for &Setting {
                context,
                tokens,
                bytes,
            } in &SETTINGS
            {
                let layout_of = |layers| {
                    KvLayout::new(kind, layers, kv_heads, length, length, BLOCK).expect("a layout")
                };
                let count = context.div_ceil(BLOCK);
                let layers = bytes.div_ceil(count * layout_of(1).page_bytes());
                let layout = layout_of(layers);
                let first = page(&layout);
                let pages: Vec<_> = (0..count).map(|_| copy(&layout, &first)).collect();
                let tables: Vec<u32> = (0..pages.len() as u32).collect();
                let cached = Cached {
                    layout: &layout,
                    pages: &pages,
                    tables: &tables,
                };
                let span = Span {
                    table: 0,
                    start: context - tokens,
                    rows: tokens,
                };
                let values = vec![0.1; tokens * heads * length];
                let queries = Queries {
                    heads,
                    scale: 1.0,
                    soft_cap: None,
                    window: None,
                    causal: true,
                    values: &values,
                };
                let mut scratch = Scratch::default();
                let mut out = vec![0.0; values.len()];
                let mut layer = 0;
                let us = 1e3
                    * tenth_ms(|| {
                        attention(
                            &Serial,
                            &cached,
                            layer,
                            &[span],
                            &queries,
                            &mut scratch,
                            &mut out,
                        );
                        layer = (layer + 1) % layers;
                        black_box(&out);
                    });
                let read = (count * layout.page_bytes() / layers) as f64 / us / 1e3;
                // Each token sees itself and those before it.
                let seen = tokens * (2 * context - tokens + 1) / 2;
                let macs = (seen * heads * 2 * length) as f64 / us / 1e3;
                print(&format!(
                    r#"{{"attention": "{name}", "kv": "{}", "context": {context}, "tokens": {tokens}, "layers": {layers}, "us": {us:.1}, "read": {read:.2}, "macs": {macs:.2}}}"#,
                    kind.name()
                ));
            }
        }
    }
}

/// A page full of small numbers.
fn page(layout: &KvLayout) -> Page {
    let mut page = Page::new(layout).expect("enough memory");
    let numbers = |len: usize| -> Vec<f32> { (0..len).map(|i| (i % 13) as f32 - 6.0).collect() };
    for slot in 0..layout.page_tokens() {
        let keys = numbers(layout.kv_heads() * layout.key_length());
        let values = numbers(layout.kv_heads() * layout.value_length());
        page.store(layout, 0, slot, &keys, &values);
    }
    page
}

fn copy(layout: &KvLayout, page: &Page) -> Page {
    let mut copy = Page::new(layout).expect("enough memory");
    copy.copy_from(page);
    copy
}

/// Milliseconds that the fastest tenth of calls take at most, each timed alone, after warming up. Steadier than the fastest of all where
/// data come from memory, and other work on the machine spoils some calls only.
fn tenth_ms(mut work: impl FnMut()) -> f64 {
    const WARM_UP_MS: f64 = 250.0;
    const LONG_MS: f64 = 500.0;
    let mut calls_for = |ms: f64| {
        let (start, mut times) = (now_ms(), Vec::new());
        let mut now = start;
        while now - start < ms {
            work();
            let end = now_ms();
            times.push(end - now);
            now = end;
        }
        times
    };
    calls_for(WARM_UP_MS);
    let mut times = calls_for(LONG_MS);
    times.sort_by(f64::total_cmp);
    times[times.len() / 10]
}
