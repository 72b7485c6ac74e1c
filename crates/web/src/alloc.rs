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

#[cfg(test)]
mod tests {
    use js_sys::Uint8Array;
    use kernels::{Activations, Format, Packer, Serial, matmul};
    use wasm_bindgen_test::wasm_bindgen_test;

    /// Where addresses would turn negative as signed numbers.
    const TWO_GIB: usize = 1 << 31;

    /// Bytes of what the tests look at.
    const LARGE: usize = 16 << 20;

    /// Takes all places below 2 GiB where something large would fit: first two vectors, each of which holds less than
    /// that, then what is left. They are never touched, and so take no memory.
    fn ballast() -> Vec<Vec<u8>> {
        const HALF: usize = 1000 << 20;
        let mut taken: Vec<Vec<u8>> = Vec::new();
        while taken
            .last()
            .is_none_or(|last| (last.as_ptr() as usize) < TWO_GIB)
        {
            let bytes = if taken.len() < 2 { HALF } else { LARGE / 2 };
            let mut vector = Vec::new();
            let grown = vector.try_reserve_exact(bytes);
            grown.expect("memory grows beyond 2 GiB");
            taken.push(vector);
        }
        taken
    }

    #[wasm_bindgen_test]
    fn bytes_cross_the_boundary_above_two_gib() {
        let numbers = || (0..LARGE).map(|i| (i % 251) as u8).collect::<Vec<_>>();
        let low = numbers();
        let ballast = ballast();
        let mut high = vec![0; LARGE];
        assert!(high.as_ptr() as usize > TWO_GIB, "{:p}", high.as_ptr());
        high.copy_from_slice(&low);
        let outside = Uint8Array::from(&high[..]);
        high.fill(0);
        outside.copy_to(&mut high);
        assert_eq!(high, low);
        drop(ballast);
    }

    /// The first outputs of a matrix of `LARGE` bytes.
    fn product() -> Vec<f32> {
        let (rows, columns) = (LARGE / 4 / 2048, 2048);
        let mut packer = Packer::new(Format::F32, rows, columns).expect("a format");
        for row in 0..rows {
            let weights = (0..columns).flat_map(|i| (((row + i) % 17) as f32 - 8.0).to_le_bytes());
            let weights: Vec<u8> = weights.collect();
            packer.write(&weights).expect("a row");
        }
        let matrix = packer.finish().expect("all rows");
        let mut input = Activations::new();
        let values = input.reset(1, columns);
        values
            .iter_mut()
            .zip(0_u8..=250)
            .for_each(|(x, i)| *x = f32::from(i) / 7.0);
        let mut out = vec![0.0; rows];
        matmul(&Serial, &matrix, &mut input, &mut out);
        out
    }

    #[wasm_bindgen_test]
    fn weights_above_two_gib_multiply_as_below() {
        let below = product();
        let ballast = ballast();
        assert_eq!(product(), below);
        drop(ballast);
    }
}
