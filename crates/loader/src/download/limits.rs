//! How much may be under way at once, in chunks: what it is in bytes does not depend on how a model is cut.

use super::Options;

/// Bytes, from the chunk whose turn it is, that may be under way or wait for their turn.
pub const WINDOW: u64 = 32 << 20;

/// Of the window's bytes, what each of [`Limits::share`]'s purposes may take: one in so many.
const SHARES: usize = 4;

/// Most chunks of a window, however small they are: they are looked through at every step.
const MOST: u64 = 256;

/// Limits of a load whose chunks have a certain size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Chunks, from the one whose turn it is, that may be under way or wait for their turn.
    pub(super) window: usize,
    /// Chunks that one request is for: enough that a round trip between two requests does not show, and few enough that what
    /// arrives out of turn fits the window. As many may be read from the store at once; and as many may be on their way to it,
    /// beyond which the network has to wait, so that a slow disk neither fills the memory nor makes it costly to be killed.
    pub(super) share: usize,
}

impl Limits {
    pub(super) fn new(options: &Options, chunk_size: u32) -> Self {
        let chunks = options.window / u64::from(chunk_size.max(1));
        // At least one for each share; at most `MOST`.
        let window = chunks.clamp(SHARES as u64, MOST) as usize;
        Self {
            window,
            share: window / SHARES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::CHUNK_SIZE;

    #[test]
    fn limits_are_bytes_whatever_the_size_of_a_chunk() {
        let limits = |chunk_size| Limits::new(&Options::default(), chunk_size);
        let (window, share) = (limits(CHUNK_SIZE).window, limits(CHUNK_SIZE).share);
        assert_eq!(window as u64 * u64::from(CHUNK_SIZE), WINDOW);
        assert_eq!(share * SHARES, window);
        assert_eq!(limits(4 * CHUNK_SIZE).window, window / 4);
        // Sizes that only a damaged record has.
        assert_eq!((limits(0).window, limits(1).window), (256, 256));
        assert_eq!((limits(u32::MAX).window, limits(u32::MAX).share), (4, 1));
    }
}
