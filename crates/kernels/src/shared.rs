//! A slice that threads fill in beside each other, each its own ranges.

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable borrow of a slice, of which several threads may each hold other parts.
#[derive(Debug)]
pub(crate) struct Shared<'a, T> {
    values: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: what it gives out are mutable slices that do not overlap, which threads may hold if they may hold `T`.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above; whoever calls `range` answers for their not overlapping.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self {
            values: slice.as_mut_ptr(),
            len: slice.len(),
            slice: PhantomData,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn all(&mut self) -> &mut [T] {
        // SAFETY: borrowed mutably, it can give out nothing else at the same time.
        unsafe { self.range(0..self.len) }
    }

    /// The values of a range.
    ///
    /// # Safety
    /// Of the slices that this gives out, no two that overlap may be in use at the same time.
    ///
    /// # Panics
    /// If the range ends beyond the slice.
    #[allow(
        clippy::mut_from_ref,
        reason = "that ranges do not overlap is what callers promise"
    )]
    pub(crate) unsafe fn range(&self, range: Range<usize>) -> &mut [T] {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "{range:?} of {} values",
            self.len
        );
        // SAFETY: the range lies within the slice that `new` borrowed for longer than this; nobody else uses it, by the
        // caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.values.add(range.start), range.len()) }
    }
}
