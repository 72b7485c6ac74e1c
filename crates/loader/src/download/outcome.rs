//! How a download ends, or begins again.

use super::file::File;
use super::part::Part;
use super::storage::Storing;
use super::{Action, Download, Phase};
use crate::{Digest, Error};

/// Times a load begins again because the file changed, before it gives up.
const MAX_RESTARTS: u32 = 2;

/// What a load that succeeded did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of all files.
    pub size: u64,
    /// Whether the store now has all of it.
    pub stored: bool,
    /// Why it has not, where it was meant to.
    pub not_stored: Option<String>,
    /// Bytes of the model that came over the network.
    pub downloaded: u64,
    /// Bytes of the model that came from the store.
    pub read: u64,
    /// Damaged chunks that were replaced.
    pub repaired: u32,
    /// SHA-256 of each file, where its publisher says what it is to be: only then all of it is hashed.
    pub sha256: Vec<Option<Digest>>,
}

impl Download {
    /// How it ended; `None` while it has not. Actions that [`Download::poll`] still gives are to be carried out.
    pub fn outcome(&self) -> Option<Result<Summary, Error>> {
        match &self.phase {
            Phase::Ended(Ok(())) => Some(Ok(self.summary())),
            Phase::Ended(Err(error)) => Some(Err(error.clone())),
            _ => None,
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            size: self.total().unwrap_or(self.arrived),
            stored: match self.storing {
                Storing::Off(None) => self.was_complete && self.recorded,
                // A repair could not be written: the next load needs the network again.
                Storing::Off(Some(_)) => false,
                _ => true,
            },
            not_stored: match &self.storing {
                Storing::Off(reason) => reason.clone(),
                _ => None,
            },
            downloaded: self.downloaded,
            read: self.read,
            repaired: self.repaired,
            sha256: self.files.iter().map(|file| file.sha256).collect(),
        }
    }

    /// The bytes are wrong. That may be the fault of the line, or of an earlier download's: where a hash says so, or where
    /// some of them came from the store, they get a second chance from the beginning.
    pub(super) fn refuse_content(&mut self, error: Error) {
        let may_improve = self.resumed || matches!(error, Error::Integrity { .. });
        if may_improve && self.restarts == 0 {
            self.restart();
        } else {
            self.fail(error);
        }
    }

    /// Begins again: the file is not the one that was begun.
    pub(super) fn restart(&mut self) {
        self.restarts += 1;
        if self.restarts > MAX_RESTARTS {
            let url = self.location_name(0);
            return self.fail(Error::KeptChanging {
                url,
                restarts: MAX_RESTARTS,
            });
        }
        self.begin_again();
    }

    fn begin_again(&mut self) {
        self.drop_queue();
        self.close_all();
        self.forget();
        self.parts.iter_mut().for_each(Part::reset);
        let mut first_part = 0;
        for (file, spec) in self.files.iter_mut().zip(&self.model.files) {
            *file = File::new(&spec.name, spec.sha256, first_part);
            first_part += spec.parts.len();
        }
        self.headers.clear();
        self.reads.clear();
        self.writes.clear();
        self.route.clear();
        self.was_complete = false;
        self.marked_complete = false;
        self.arrived = 0;
        self.downloaded = 0;
        self.read = 0;
        self.repaired = 0;
        if !matches!(self.storing, Storing::Off(_)) {
            self.storing = Storing::Unreserved;
        }
        self.phase = Phase::Headers;
    }

    /// Turns to the next mirror, or ends the load if there is none.
    pub(super) fn fail(&mut self, error: Error) {
        if self.mirrors_left > 0 {
            return self.turn_to_next_mirror(&error);
        }
        let abandoned = matches!(self.storing, Storing::Off(Some(_))) && !self.was_complete;
        if abandoned || !error.keeps_progress() {
            self.drop_queue();
            self.forget();
        }
        self.close_all();
        self.phase = Phase::Ended(Err(error));
    }

    /// Goes on at another mirror where a hash will tell whether it has the same bytes, else begins again there.
    fn turn_to_next_mirror(&mut self, error: &Error) {
        self.mirrors_left -= 1;
        self.mirror = (self.mirror + 1) % self.model.mirrors();
        self.retry.turn_to_another();
        self.restarts = 0;
        let same = self.model.files.iter().all(|file| file.sha256.is_some());
        if same && error.keeps_progress() {
            self.close_requests();
        } else {
            self.begin_again();
        }
        for part in &mut self.parts {
            part.turn_to(self.mirror);
        }
        self.unsaved = true;
    }

    /// Drops what has not been begun, but not what ends something.
    fn drop_queue(&mut self) {
        self.queue
            .retain(|action| matches!(action, Action::Close { .. } | Action::Release { .. }));
    }

    fn close_requests(&mut self) {
        while let Some(fetch) = self.fetches.last() {
            self.close_fetch(fetch.token);
        }
        self.waiting = None;
    }

    /// Ends every request and lets go of everything that waits for its turn.
    fn close_all(&mut self) {
        self.close_requests();
        for held in std::mem::take(&mut self.ready).into_values() {
            self.let_go(held);
        }
        self.release_unwritten();
    }

    /// Removes what the store has of the model, if it has anything.
    pub(super) fn forget(&mut self) {
        if std::mem::take(&mut self.recorded) && self.options.store {
            self.queue.push_back(Action::Forget);
        }
    }
}
