//! What only several threads can show: that they compute what one does, to the bit, and what it costs to hand them work.
//!
//! Natively: `cargo run --release -p kernels --example threads`, whose results are those of the scalar specification. As wasm with
//! shared memory, on workers of a page: `cargo xtask test --only wasm`, which compares the two, and
//! `cargo xtask bench --only kernels`.
//!
//! Every line is a JSON object: checksums of the products of each format and of attention, then for each number of threads what it takes to hand
//! over work (µs).

mod attention;
mod crew;
#[path = "../bench/host.rs"]
mod host;
mod regions;
mod results;

fn main() {
    let pool = crew::pool();
    results::print_all(&pool);
    attention::print_all(&pool);
    regions::measure(&pool);
}
