//! Attention of one new token, whose cost grows with the context.

use std::hint::black_box;

use kernels::Serial;
use kernels::attention::{Cached, Queries, Scratch, Span, attention};
use kernels::kv::{BLOCK, KvLayout, KvType, Page};

use crate::host::{best_ms, print};

/// Tokens before the new one: few enough for the cache, and many.
const CONTEXTS: [usize; 2] = [255, 4095];

/// Name, query heads, key–value heads and head length of a layer.
const SHAPES: [(&str, usize, usize, usize); 2] =
    [("SmolLM2-135M", 9, 3, 64), ("Qwen3-0.6B", 16, 8, 128)];

/// Prints for each shape and type of storage how long a layer takes (µs), and the keys and values read (GB/s).
pub(crate) fn measure() {
    for (name, heads, kv_heads, length) in SHAPES {
        for (kind, context) in KvType::ALL
            .into_iter()
            .flat_map(|kind| CONTEXTS.map(|n| (kind, n)))
        {
            let layout = KvLayout::new(kind, 1, kv_heads, length, length, BLOCK).expect("a layout");
            let pages: Vec<_> = (0..=context / BLOCK).map(|_| page(&layout)).collect();
            let tables: Vec<u32> = (0..pages.len() as u32).collect();
            let cached = Cached {
                layout: &layout,
                pages: &pages,
                tables: &tables,
            };
            let span = Span {
                table: 0,
                start: context,
                rows: 1,
            };
            let values = vec![0.1; heads * length];
            let queries = Queries {
                heads,
                scale: 1.0,
                soft_cap: None,
                window: None,
                causal: true,
                values: &values,
            };
            let mut scratch = Scratch::default();
            let mut out = vec![0.0; heads * length];
            let us = 1e3
                * best_ms(|| {
                    attention(
                        &Serial,
                        &cached,
                        0,
                        &[span],
                        &queries,
                        &mut scratch,
                        &mut out,
                    );
                    black_box(&out);
                });
            let rate = (pages.len() * layout.page_bytes()) as f64 / us / 1e3;
            print(&format!(
                r#"{{"attention": "{name}", "kv": "{}", "context": {context}, "us": {us:.1}, "read": {rate:.2}}}"#,
                kind.name()
            ));
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
