//! Memory for the chunks in hand, used again and again.
//!
//! Memory that nobody has touched yet costs a browser several times what copying into it does, for its pages have to be made
//! first: a load whose chunks all go to fresh memory spends most of its time on that.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// Buffers that wait for their next use.
#[derive(Clone, Default)]
pub(super) struct Buffers(Rc<RefCell<Vec<Vec<u8>>>>);

/// A buffer in use, of which dropping makes one that waits.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    home: Buffers,
}

impl Buffers {
    /// A buffer of this length, with whatever bytes were in it before.
    pub(super) fn take(&self, length: u32) -> Buffer {
        let mut bytes = self.0.borrow_mut().pop().unwrap_or_default();
        bytes.resize(length as usize, 0);
        Buffer {
            bytes,
            home: self.clone(),
        }
    }
}

impl Buffer {
    /// Forgets all but the first `length` bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.home.0.borrow_mut().push(bytes);
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}
