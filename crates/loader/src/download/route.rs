//! In which order a model's bytes are delivered: as they stand in the files, or as the model needs them.
//!
//! A prompt that waits is computed block by block, and so wants the embedding first and then block after block, while many
//! files have block 10 before block 2. The order of need is kept to where that costs little: a file is cut into a few
//! long runs, each delivered from its beginning to its end, so that every tensor's own bytes stay in order. A chunk
//! that two runs share is delivered twice, each time the bytes that belong there.
//!
//! A file's SHA-256 takes its bytes in file order. What is delivered before its turn there is read back from the store when
//! everything before it has been hashed (the runs marked `again`).

use gguf::Header;

/// Most runs that models are cut into; what has more is delivered in file order. Each run may keep one chunk, which it
/// shares with another, waiting for its second turn.
pub(super) const MAX_RUNS: usize = 32;

/// Bytes of a file that are delivered one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) file: usize,
    /// Next byte.
    pub(super) from: u64,
    /// One past the last; [`u64::MAX`] for wherever the file ends.
    pub(super) to: u64,
    /// Whether its tensors have had it, and only the file's hash lacks it.
    pub(super) again: bool,
}

/// What has become of a file's bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Delivered {
    /// Bytes that the tensors have had: ascending, not touching each other.
    ranges: Vec<(u64, u64)>,
    /// Bytes that have been hashed, all of them from the beginning.
    pub(super) hashed: u64,
}

impl Delivered {
    /// Notes that the tensors had these bytes, of which they had none before.
    pub(super) fn add(&mut self, from: u64, to: u64) {
        let mut at = 0;
        while self.ranges.get(at).is_some_and(|range| range.0 < from) {
            at += 1;
        }
        self.ranges.insert(at, (from, to));
        // Neighbours that touch are one.
        for second in [at + 1, at] {
            if let Some(&(next, end)) = self.ranges.get(second)
                && let Some(first) = second.checked_sub(1)
                && self.ranges[first].1 == next
            {
                self.ranges[first].1 = end;
                self.ranges.remove(second);
            }
        }
    }

    /// Whether the tensors had any of these bytes.
    pub(super) fn overlaps(&self, from: u64, to: u64) -> bool {
        self.ranges
            .iter()
            .any(|range| range.0 < to && from < range.1)
    }

    /// First byte that is missing.
    pub(super) fn end(&self) -> u64 {
        let first = self.ranges.first();
        first
            .filter(|range| range.0 == 0)
            .map_or(0, |range| range.1)
    }

    /// Adds to `left` what the tensors have not had of a run.
    fn missing(&self, mut run: Run, left: &mut Vec<Run>) {
        for range in &self.ranges {
            let to = range.0.min(run.to);
            if run.from < to {
                left.push(Run { to, ..run });
            }
            run.from = run.from.max(range.1);
        }
        if run.from < run.to {
            left.push(run);
        }
    }
}

/// Every file from its beginning to its end.
pub(super) fn in_file_order(files: usize) -> Vec<Run> {
    let whole = |file| Run {
        file,
        from: 0,
        to: u64::MAX,
        again: false,
    };
    (0..files).map(whole).collect()
}

/// The files in the order in which a model needs them: what comes before its blocks, block after block, the output.
///
/// In a file that is to be hashed the output stays where it is: nothing could be hashed that comes after it before it is
/// there, and only one token's last product would have to wait for it.
pub(super) fn in_order_of_need(headers: &[Header], hashed: &[bool]) -> Vec<Run> {
    let mut staged: Vec<(usize, Run)> = Vec::new();
    for (file, header) in headers.iter().enumerate() {
        let mut stage = BEGINNING;
        // A header goes with the first tensor, padding with the one before it; a file may have no tensors.
        let mut run = Run {
            file,
            from: 0,
            to: u64::MAX,
            again: false,
        };
        for (index, info) in header.tensors.iter().enumerate() {
            let own = match stage_of(&info.name) {
                OUTPUT if hashed[file] => stage,
                own => own,
            };
            if index > 0 && own != stage {
                staged.push((
                    stage,
                    Run {
                        to: info.offset,
                        ..run
                    },
                ));
                run.from = info.offset;
            }
            stage = own;
        }
        staged.push((stage, run));
    }
    // Stable: what a stage has stays in file order.
    staged.sort_by_key(|staged| staged.0);
    let mut runs: Vec<Run> = Vec::new();
    for (_, run) in staged {
        match runs.last_mut() {
            Some(last) if last.file == run.file && last.to == run.from => last.to = run.to,
            _ => runs.push(run),
        }
    }
    runs
}

/// What is needed before the first block; block `n` has stage `n + 1`.
const BEGINNING: usize = 0;
/// What is needed after the last block.
const OUTPUT: usize = usize::MAX;

/// When a tensor is needed, by its name in llama.cpp's convention.
fn stage_of(tensor: &str) -> usize {
    if tensor.starts_with("output") {
        return OUTPUT;
    }
    let block = tensor.strip_prefix("blk.").and_then(|rest| {
        let number = rest.split('.').next()?;
        number.parse::<u32>().ok()
    });
    block.map_or(BEGINNING, |block| block as usize + 1)
}

/// What is left to do of `order`, of which `files` have had a part, with the second turns that those of them need that are
/// `hashed`.
pub(super) fn route(order: &[Run], files: &[Delivered], hashed: &[bool]) -> Vec<Run> {
    let mut left = Vec::new();
    for &run in order {
        files[run.file].missing(run, &mut left);
    }
    let mut unhashed: Vec<Run> = Vec::new();
    let mut positions = Vec::new();
    for (file, delivered) in files.iter().enumerate() {
        positions.push(delivered.hashed);
        for &(from, to) in &delivered.ranges {
            unhashed.push(Run {
                file,
                from,
                to,
                again: true,
            });
        }
    }
    let mut route = Vec::new();
    let mut next = 0;
    loop {
        // What can be hashed by now comes again at once.
        let mut at = 0;
        while let Some(&run) = unhashed.get(at) {
            let hashed = hashed[run.file];
            let from = positions[run.file];
            at += 1;
            if hashed && run.from <= from && from < run.to {
                route.push(Run { from, ..run });
                positions[run.file] = run.to;
                at = 0;
            }
        }
        let Some(&run) = left.get(next) else {
            return route;
        };
        next += 1;
        route.push(run);
        if run.from == positions[run.file] {
            positions[run.file] = run.to;
        } else {
            unhashed.push(Run { again: true, ..run });
        }
    }
}

#[cfg(test)]
#[path = "route/tests.rs"]
mod tests;
