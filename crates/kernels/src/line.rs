//! Memory that vectors are read from.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Memory in units of a cache line, so that vectors do not straddle lines.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u8; 64]);

impl Default for Line {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Line")
    }
}
