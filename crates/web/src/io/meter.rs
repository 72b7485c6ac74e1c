//! Reports of how far a load is.

use std::cell::{Cell, RefCell};

use js_sys::Date;
use loader::Download;

use super::types::{Progress, Stage};

/// Shortest time between two reports of progress, in milliseconds: more often nobody sees it.
const REPORT_MS: f64 = 50.0;

/// Reports progress, down to the piece of a chunk that has just arrived.
pub(super) struct Meter<'a> {
    report: &'a dyn Fn(Progress),
    /// As of the last whole chunk.
    at: RefCell<Progress>,
    /// Bytes of chunks that are not whole yet.
    arriving: Cell<u64>,
    /// When the last report was made, in milliseconds.
    reported: Cell<f64>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(report: &'a dyn Fn(Progress)) -> Self {
        let at = Progress {
            stage: Stage::Resolve,
            loaded: 0,
            total: 0,
            file: String::new(),
        };
        Self {
            report,
            at: RefCell::new(at),
            arriving: Cell::new(0),
            reported: Cell::new(0.0),
        }
    }

    pub(super) fn update(&self, plan: &Download) {
        let progress = plan.progress();
        let next = Progress {
            stage: if progress.downloading {
                Stage::Download
            } else {
                Stage::Read
            },
            loaded: progress.loaded,
            total: progress.total.unwrap_or(0),
            file: progress.file,
        };
        let turn = self.at.borrow().stage != next.stage;
        *self.at.borrow_mut() = next;
        if turn { self.send() } else { self.consider() }
    }

    /// Counts the pieces of a chunk, until the chunk is whole or comes to nothing.
    pub(super) fn arriving(&self) -> Arriving<'_> {
        Arriving {
            meter: self,
            bytes: 0,
        }
    }

    /// Reports at once.
    pub(super) fn last(&self) {
        self.send();
    }

    fn consider(&self) {
        if Date::now() - self.reported.get() >= REPORT_MS {
            self.send();
        }
    }

    fn send(&self) {
        self.reported.set(Date::now());
        let at = self.at.borrow();
        (self.report)(Progress {
            loaded: at.loaded + self.arriving.get(),
            ..at.clone()
        });
    }
}

/// A chunk that is arriving.
pub(super) struct Arriving<'a> {
    meter: &'a Meter<'a>,
    bytes: u64,
}

impl Arriving<'_> {
    pub(super) fn add(&mut self, bytes: u32) {
        self.bytes += u64::from(bytes);
        let all = &self.meter.arriving;
        all.set(all.get() + u64::from(bytes));
        self.meter.consider();
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        let all = &self.meter.arriving;
        all.set(all.get() - self.bytes);
    }
}
