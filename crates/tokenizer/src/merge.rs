//! Merging neighbours, best pair first: the loop that byte-level BPE and SentencePiece BPE share.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Stands for "no token" in a [`Symbol`].
pub(crate) const NO_TOKEN: u32 = u32::MAX;

/// Stands for "no neighbour".
const END: usize = usize::MAX;

/// A piece of the text on its way to becoming a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Symbol {
    /// The token that the piece is, or [`NO_TOKEN`].
    pub(crate) id: u32,
    /// Where the piece starts, in bytes.
    pub(crate) start: usize,
    /// Where it ends; `start` once it has been merged into its left neighbour.
    pub(crate) end: usize,
    prev: usize,
    next: usize,
}

/// What two neighbours may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Merge {
    /// Lower comes first; of equals, the leftmost.
    pub(crate) priority: u32,
    /// The token that the two become.
    pub(crate) id: u32,
}

/// A merge that was possible when it was queued. The pair is the symbol at `left` and its right neighbour, if that one
/// still ends at `end`: pieces only ever grow, so an end that has not moved means that neither has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    merge: Merge,
    left: usize,
    end: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.merge.priority, self.left).cmp(&(other.merge.priority, other.left))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The merge loop and its memory, which is kept from one word to the next.
///
/// A text of n pieces queues at most n − 1 pairs at first and two more with each of at most n − 1 merges, so the work is
/// O(n log n) however the text looks.
#[derive(Debug, Default)]
pub(crate) struct Merger {
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Reverse<Candidate>>,
    /// Candidates taken from the queue since the merger was made: its work, for tests.
    #[cfg(test)]
    pub(crate) taken: usize,
}

impl Merger {
    /// Forgets the last word.
    pub(crate) fn clear(&mut self) {
        self.symbols.clear();
        self.queue.clear();
    }

    /// Appends a piece of `len` bytes that is token `id`, or [`NO_TOKEN`].
    pub(crate) fn push(&mut self, id: u32, len: usize) {
        let index = self.symbols.len();
        let start = self.symbols.last_mut().map_or(0, |last| {
            last.next = index;
            last.end
        });
        let prev = index.checked_sub(1).unwrap_or(END);
        self.symbols.push(Symbol {
            id,
            start,
            end: start + len,
            prev,
            next: END,
        });
    }

    /// Merges until `find` knows no more pairs, and returns the remaining pieces in order.
    pub(crate) fn merge(
        &mut self,
        find: impl Fn(&Symbol, &Symbol) -> Option<Merge>,
    ) -> impl Iterator<Item = &Symbol> {
        for right in 1..self.symbols.len() {
            self.queue(right - 1, right, &find);
        }
        while let Some(Reverse(Candidate { merge, left, end })) = self.queue.pop() {
            #[cfg(test)]
            {
                self.taken += 1;
            }
            let Symbol {
                start,
                end: left_end,
                prev,
                next: right,
                ..
            } = self.symbols[left];
            if start == left_end || right == END || self.symbols[right].end != end {
                continue;
            }
            let next = self.symbols[right].next;
            let merged = &mut self.symbols[left];
            merged.id = merge.id;
            merged.end = end;
            merged.next = next;
            self.symbols[right].start = end;
            if next != END {
                self.symbols[next].prev = left;
                self.queue(left, next, &find);
            }
            if prev != END {
                self.queue(prev, left, &find);
            }
        }
        self.symbols
            .iter()
            .filter(|symbol| symbol.start < symbol.end)
    }

    fn queue(
        &mut self,
        left: usize,
        right: usize,
        find: &impl Fn(&Symbol, &Symbol) -> Option<Merge>,
    ) {
        let end = self.symbols[right].end;
        if let Some(merge) = find(&self.symbols[left], &self.symbols[right]) {
            self.queue.push(Reverse(Candidate { merge, left, end }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens are numbers of letters: any two neighbours of the same size merge while the result is at most `longest`.
    fn doubling(longest: u32) -> impl Fn(&Symbol, &Symbol) -> Option<Merge> {
        move |left, right| {
            (left.id == right.id && left.id * 2 <= longest).then_some(Merge {
                priority: left.id,
                id: left.id * 2,
            })
        }
    }

    fn merged(merger: &mut Merger, letters: usize, longest: u32) -> Vec<u32> {
        merger.clear();
        (0..letters).for_each(|_| merger.push(1, 1));
        merger
            .merge(doubling(longest))
            .map(|piece| piece.id)
            .collect()
    }

    #[test]
    fn smallest_first_and_leftmost_of_equals() {
        let mut merger = Merger::default();
        assert_eq!(merged(&mut merger, 0, 8), []);
        assert_eq!(merged(&mut merger, 1, 8), [1]);
        assert_eq!(merged(&mut merger, 7, 8), [4, 2, 1]);
        assert_eq!(merged(&mut merger, 19, 8), [8, 8, 2, 1]);
    }

    /// A word of a megabyte is as cheap a byte as a short one: at most three candidates a byte pass the queue.
    #[test]
    fn work_grows_with_the_length_of_a_word() {
        for letters in [1 << 10, 1 << 20] {
            let mut merger = Merger::default();
            let pieces = merged(&mut merger, letters, 1 << 30);
            assert_eq!(pieces.iter().sum::<u32>() as usize, letters);
            assert!(
                merger.taken >= letters - 1 && merger.taken <= 3 * letters,
                "{} for {letters}",
                merger.taken
            );
        }
    }
}
