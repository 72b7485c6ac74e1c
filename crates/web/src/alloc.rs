//! An allocator that remembers what it could not give.
//!
//! When memory runs out, Rust aborts and the module traps with a message that says nothing. The
//! worker asks [`failed_allocation`] after a trap, and can tell `out_of_memory` from a defect.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use wasm_bindgen::prelude::wasm_bindgen;

struct Recording;

#[global_allocator]
static ALLOCATOR: Recording = Recording;

/// Bytes of the last request that could not be met; 0 while all could.
static FAILED: AtomicUsize = AtomicUsize::new(0);

fn recorded(block: *mut u8, bytes: usize) -> *mut u8 {
    if block.is_null() {
        FAILED.store(bytes, Ordering::Relaxed);
    }
    block
}

// SAFETY: every call goes to `System` unchanged, and its answer is returned unchanged.
unsafe impl GlobalAlloc for Recording {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds `GlobalAlloc::alloc`'s contract, which is `System`'s.
        recorded(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above, for `alloc_zeroed`.
        recorded(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above, for `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above, for `realloc`.
        recorded(unsafe { System.realloc(block, layout, size) }, size)
    }
}

/// Bytes of the allocation that failed, 0 when none did. Safe to call after a trap.
#[wasm_bindgen(js_name = failedAllocation)]
pub fn failed_allocation() -> usize {
    FAILED.load(Ordering::Relaxed)
}
