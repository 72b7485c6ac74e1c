//! A file's first bytes, as anybody may have written them: no panic, no memory for what is only claimed, and the same
//! header or the same refusal however the bytes are cut.
#![no_main]

use gguf::{Error, Header, HeaderReader};
use libfuzzer_sys::fuzz_target;

/// Memory that a header may take for each of its bytes: an array of numbers grows to its elements, a name is kept twice.
const BYTES_PER_BYTE: usize = 64;

fn read(bytes: &[u8], piece: usize) -> Result<Option<Header>, Error> {
    let mut reader = HeaderReader::new();
    for piece in bytes.chunks(piece) {
        if let Some(header) = reader.push(piece)? {
            return Ok(Some(header));
        }
    }
    Ok(None)
}

fuzz_target!(|data: &[u8]| {
    let Some((cut, bytes)) = data.split_first() else {
        return;
    };
    let whole = read(bytes, bytes.len().max(1));
    let pieces = read(bytes, 1 + usize::from(*cut));
    // As text, because a value may be a NaN, which equals nothing.
    assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
    if let Ok(Some(header)) = whole {
        assert!(header.tensors.len() <= bytes.len() * BYTES_PER_BYTE);
        let mut end = header.data_offset;
        for tensor in &header.tensors {
            assert!(tensor.offset >= header.data_offset);
            end = end.max(
                tensor
                    .offset
                    .checked_add(tensor.size)
                    .expect("a sum of sizes"),
            );
        }
        assert_eq!(end, header.file_size());
        // Nothing to assert: split metadata may say anything, and are checked here.
        let _ = header.split();
    }
});
