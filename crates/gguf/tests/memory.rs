//! What a header costs in memory: what has arrived, not what is claimed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use gguf::{HeaderReader, StringArray, Writer};

/// Counts what is allocated and remembers the peak.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it came; counting does not touch the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller keeps `GlobalAlloc::alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps `GlobalAlloc::dealloc`'s contract.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work`, and gives with its result how much memory it held at most, and how much its result holds.
fn measure<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work();
    (
        result,
        PEAK.load(Relaxed) - before,
        NOW.load(Relaxed) - before,
    )
}

/// A claim of 16 million elements in an array of `element` type, and nothing of them.
fn claim(element: u32) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
    bytes.extend(1u64.to_le_bytes());
    bytes.extend(b"k");
    bytes.extend(9u32.to_le_bytes());
    bytes.extend(element.to_le_bytes());
    bytes.extend((1u64 << 24).to_le_bytes());
    bytes
}

// One test, because all threads of a test program share the counters.
#[test]
fn memory_follows_the_bytes_that_arrived() {
    const U8: u32 = 0;
    const STRING: u32 = 8;
    const F64: u32 = 12;
    for element in [U8, STRING, F64] {
        let bytes = claim(element);
        let (reader, peak, _) = measure(|| {
            let mut reader = HeaderReader::new();
            assert_eq!(reader.push(&bytes), Ok(None));
            reader
        });
        assert!(
            peak < 4096,
            "{peak} bytes for a claim about elements of type {element}"
        );
        drop(reader);
    }

    const TOKENS: usize = 262_144;
    let tokens: StringArray = (0..TOKENS).map(|i| format!("token {i}")).collect();
    let text_bytes: usize = tokens.iter().map(<[u8]>::len).sum();
    let file = Writer::new()
        .with("tokens", tokens)
        .to_bytes()
        .expect("valid");
    let ((header, _), peak, held) = measure(|| {
        let mut reader = HeaderReader::new();
        let header = file
            .chunks(1 << 16)
            .find_map(|piece| reader.push(piece).expect("valid"));
        (header.expect("complete"), reader)
    });
    let needed = text_bytes + 4 * TOKENS;
    assert!(held < needed + 4096, "{held} bytes held, {needed} needed");
    assert!(
        peak < 3 * needed,
        "{peak} bytes at the peak, {needed} needed"
    );
    assert_eq!(
        header
            .metadata
            .strings("tokens")
            .map(|t| t.map(StringArray::len)),
        Ok(Some(TOKENS))
    );
}
