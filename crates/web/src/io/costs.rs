//! What a load spends its time on, across its stages.

use std::cell::Cell;

use engine::Clock;

use crate::clock::Performance;

/// Milliseconds by what they were spent on.
#[derive(Debug, Default)]
pub struct Costs {
    header: Cell<f64>,
    weights: Cell<f64>,
    hash: Cell<f64>,
    delivery: Cell<f64>,
    store: Cell<f64>,
    /// Reads and writes that are under way, and since when any has been.
    storing: Cell<u32>,
    since: Cell<f64>,
}

impl Costs {
    /// Making the tokenizer and all else that a header tells of.
    pub fn header(&self) -> f64 {
        self.header.get()
    }

    /// Turning tensors into weights, and a prompt into its state.
    pub fn weights(&self) -> f64 {
        self.weights.get()
    }

    /// Hashing chunks and files.
    pub fn hash(&self) -> f64 {
        self.hash.get() + self.delivery.get() - self.weights.get()
    }

    /// While the store was reading or writing.
    pub fn store(&self) -> f64 {
        self.store.get()
    }

    pub(super) fn in_header<T>(&self, work: impl FnOnce() -> T) -> T {
        timed(&self.header, work)
    }

    pub(super) fn in_hash<T>(&self, work: impl FnOnce() -> T) -> T {
        timed(&self.hash, work)
    }

    /// Hands bytes on: what of that does not make weights hashes a file.
    pub(super) fn in_delivery<T>(&self, work: impl FnOnce() -> T) -> T {
        timed(&self.delivery, work)
    }

    pub(super) fn in_weights<T>(&self, work: impl FnOnce() -> T) -> T {
        timed(&self.weights, work)
    }

    /// Waits for the store.
    pub(super) async fn in_store<T>(&self, work: impl Future<Output = T>) -> T {
        let _under_way = UnderWay::new(self);
        work.await
    }
}

fn timed<T>(cost: &Cell<f64>, work: impl FnOnce() -> T) -> T {
    let began = Performance.now_ms();
    let result = work();
    add(cost, Performance.now_ms() - began);
    result
}

fn add(cost: &Cell<f64>, ms: f64) {
    cost.set(cost.get() + ms);
}

/// A read or write of the store; several at a time count once.
struct UnderWay<'a>(&'a Costs);

impl<'a> UnderWay<'a> {
    fn new(costs: &'a Costs) -> Self {
        if costs.storing.replace(costs.storing.get() + 1) == 0 {
            costs.since.set(Performance.now_ms());
        }
        Self(costs)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let Self(costs) = self;
        costs.storing.set(costs.storing.get() - 1);
        if costs.storing.get() == 0 {
            add(&costs.store, Performance.now_ms() - costs.since.get());
        }
    }
}
