//! Loads in a simulated world, one fault at a time.

mod sim;

use loader::record::{ChunkId, JournalEntry};
use loader::{Digest, Error, ErrorKind};
use sim::case::{Case, NAMES};
use sim::{CHUNK, Faults, World, file, tensors_of, wrong_chunks};

#[test]
fn the_second_load_needs_no_network() {
    let (mut case, expected) = Case::single(1);
    let cold = case.expect(&expected);
    assert!(cold.stored && cold.read == 0 && cold.downloaded == case.size());
    assert_eq!(case.world.received, case.size());
    case.world.server.clear();
    let warm = case.expect(&expected);
    assert!(warm.stored && warm.read == cold.size && warm.downloaded == 0);
}

#[test]
fn a_killed_download_fetches_only_the_rest() {
    let (mut case, expected) = Case::single(2);
    case.kill_after(24);
    let held = case.world.noted();
    assert!(held >= 2 * u64::from(CHUNK), "{held}");
    let received = case.world.received;
    let summary = case.expect(&expected);
    assert_eq!(summary.read, held);
    assert_eq!(case.world.received - received, case.size() - held);
}

#[test]
fn a_damaged_chunk_is_fetched_alone() {
    let (mut case, expected) = Case::single(3);
    case.expect(&expected);
    for index in [0, 2, 5] {
        case.world
            .chunks
            .get_mut(&ChunkId { part: 0, index })
            .unwrap()[7] ^= 4;
    }
    let received = case.world.received;
    let summary = case.expect(&expected);
    assert_eq!(
        (summary.repaired, summary.downloaded),
        (3, 3 * u64::from(CHUNK))
    );
    assert_eq!(case.world.received - received, 3 * u64::from(CHUNK));
    assert!(wrong_chunks(&case.world, &case.addresses).is_empty());
}

#[test]
fn a_file_that_changed_is_begun_again() {
    let (mut case, _) = Case::single(4);
    case.kill_after(24);
    let newer = file(&NAMES, None, 99);
    case.replace(&newer);
    case.world.version += 1;
    case.expect(&tensors_of([&newer]));
    assert!(wrong_chunks(&case.world, &case.addresses).is_empty());
}

#[test]
fn a_damaged_chunk_of_a_file_that_changed_begins_it_again() {
    let (mut case, expected) = Case::single(5);
    case.expect(&expected);
    case.world.chunks.clear();
    let newer = file(&NAMES, None, 98);
    case.replace(&newer);
    // Nothing but the bytes tells.
    case.world.faults = Faults {
        hidden: 100,
        ..Faults::default()
    };
    let differs_in_size = newer.len() as u64 != case.size();
    case.expect(&tensors_of([&newer]));
    assert!(!differs_in_size || wrong_chunks(&case.world, &case.addresses).is_empty());
}

#[test]
fn split_sets_and_raw_parts() {
    let files = [
        file(&NAMES[..3], Some((0, 2, 8)), 6),
        file(&NAMES[3..], Some((1, 2, 8)), 7),
    ];
    let mut case = Case::new(&["https://h.org/m-00001-of-00002.gguf"], &files, 6);
    case.expect(&tensors_of(&files));
    assert_eq!(case.world.received, case.size());
    case.world.server.clear();
    case.expect(&tensors_of(&files));

    let files = [file(&NAMES, None, 8)];
    let parts = [
        "https://h.org/m.gguf.part02",
        "https://h.org/m.gguf.part00",
        "https://h.org/m.gguf.part01",
    ];
    let mut case = Case::new(&parts, &files, 8).with_hashes(&files);
    case.expect(&tensors_of(&files));
    case.world.server.clear();
    let warm = case.expect(&tensors_of(&files));
    assert_eq!(warm.sha256, [Some(Digest::of(&files[0]))]);
}

#[test]
fn shards_of_different_sets_are_refused_and_not_stored() {
    let files = [
        file(&NAMES[..3], Some((0, 2, 8)), 6),
        file(&NAMES[3..], Some((1, 2, 9)), 7),
    ];
    let mut case = Case::new(&["https://h.org/m-00001-of-00002.gguf"], &files, 6);
    assert!(matches!(case.expect_failure(), Error::SplitSet { .. }));
    assert!(case.is_clean());
}

#[test]
fn what_is_no_model_is_refused_and_not_stored() {
    let refused = |bytes: &[u8]| {
        let mut case = Case::new(&["https://h.org/m.gguf"], &[bytes.to_vec()], 9);
        let error = case.expect_failure();
        assert!(case.is_clean());
        error
    };
    let page = refused(b"<!doctype html><title>404</title>");
    assert!(page.to_string().contains("like a web page"), "{page}");
    assert_eq!(page.kind(), ErrorKind::NotAGguf);
    let whole = file(&NAMES, None, 9);
    assert!(matches!(
        refused(&whole[..whole.len() - 40]),
        Error::Truncated { .. }
    ));
    assert!(matches!(
        refused(&whole[..100]),
        Error::HeaderTruncated { .. }
    ));
    assert!(matches!(
        refused(&whole[..64]),
        Error::HeaderTruncated { .. }
    ));
    assert!(matches!(refused(b""), Error::Status { status: 416, .. }));

    let (mut case, _) = Case::single(9);
    case.world.server.clear();
    assert!(matches!(
        case.expect_failure(),
        Error::Status { status: 404, .. }
    ));
    assert!(case.is_clean());
}

#[test]
fn wrong_bytes_are_noticed_by_the_publishers_hash() {
    let files = [file(&NAMES, None, 10)];
    let mut case =
        Case::new(&["https://h.org/m.gguf"], &files, 10).with_hashes(&[file(&NAMES, None, 11)]);
    let error = case.expect_failure();
    assert_eq!(error.kind(), ErrorKind::IntegrityMismatch);
    // One more chance, in case it was the line.
    assert_eq!(case.world.received, 2 * case.size());
    assert!(case.is_clean());
}

#[test]
fn without_room_the_model_loads_all_the_same() {
    let (mut case, expected) = Case::single(12);
    case.world.room = Err("the browser grants 3 bytes".to_owned());
    let summary = case.expect(&expected);
    assert!(!summary.stored && case.is_clean());
    assert_eq!(
        summary.not_stored.as_deref(),
        Some("the browser grants 3 bytes")
    );

    case.world.room = Ok(());
    case.world.faults = Faults {
        full: 30,
        ..Faults::default()
    };
    let summary = case.expect(&expected);
    assert!(!summary.stored && case.is_clean());
    assert_eq!(summary.not_stored.as_deref(), Some("full"));
}

#[test]
fn a_record_that_makes_no_sense_is_not_believed() {
    let absurd: [fn(&mut World); 5] = [
        |world| world.record.as_mut().unwrap().chunk_size = 0,
        |world| world.record.as_mut().unwrap().chunk_size = u32::MAX,
        |world| world.record.as_mut().unwrap().layout += 1,
        |world| world.record.as_mut().unwrap().files[0].parts[0].size = Some(u64::MAX),
        |world| world.record.as_mut().unwrap().files.clear(),
    ];
    for change in absurd {
        let (mut case, expected) = Case::single(15);
        case.expect(&expected);
        change(&mut case.world);
        let summary = case.expect(&expected);
        assert_eq!((summary.read, summary.downloaded), (0, case.size()));
    }
    for chunk in [
        ChunkId {
            part: 0,
            index: u32::MAX,
        },
        ChunkId { part: 9, index: 0 },
    ] {
        for size_known in [true, false] {
            let (mut case, expected) = Case::single(15);
            case.expect(&expected);
            let first = case.world.journal[&ChunkId { part: 0, index: 0 }];
            case.world
                .journal
                .insert(chunk, JournalEntry { chunk, ..first });
            if !size_known {
                case.world.record.as_mut().unwrap().files[0].parts[0].size = None;
                // The last chunk, being short, cannot have been stored before the size was known.
                let last = *case.world.chunks.keys().next_back().unwrap();
                case.world.chunks.remove(&last);
            }
            case.expect(&expected);
        }
    }
}

#[test]
fn a_load_that_may_not_store_reads_the_store_and_leaves_it_alone() {
    let (mut case, expected) = Case::single(16);
    case.kill_after(24);
    let (record, journal) = (case.world.record.clone(), case.world.journal.clone());
    case.world.store = false;
    let held: u64 = journal.values().map(|entry| u64::from(entry.length)).sum();
    let summary = case.expect(&expected);
    assert_eq!((summary.stored, summary.read), (false, held));
    // Not even a change of the file is its business.
    let newer = file(&NAMES, None, 97);
    case.replace(&newer);
    case.world.version += 1;
    case.expect(&tensors_of([&newer]));
    assert_eq!(
        (case.world.record.clone(), case.world.journal.clone()),
        (record, journal)
    );
}

#[test]
fn a_server_that_is_down_ends_in_an_error_that_keeps_what_came() {
    let (mut case, expected) = Case::single(13);
    case.kill_after(24);
    let held = case.world.chunks.len();
    case.world.faults = Faults {
        refused: 100,
        ..Faults::default()
    };
    assert!(matches!(case.expect_failure(), Error::GaveUp { .. }));
    case.world.faults = Faults {
        portal: 100,
        ..Faults::default()
    };
    assert!(matches!(case.expect_failure(), Error::GaveUp { .. }));
    assert_eq!(case.world.chunks.len(), held);
    case.world.faults = Faults::default();
    case.expect(&expected);
}

#[test]
fn a_server_without_ranges_is_enough() {
    let (mut case, expected) = Case::single(14);
    case.world.faults = Faults {
        whole: 100,
        ..Faults::default()
    };
    case.kill_after(24);
    case.expect(&expected);
}

#[test]
fn a_mirror_takes_over_where_the_first_place_fails() {
    let files = [file(&NAMES, None, 20)];
    let mirror = ["https://mirror.org/other.gguf"];
    let mut case = Case::new(&["https://h.org/m.gguf"], &files, 20)
        .with_hashes(&files)
        .with_mirror(&mirror, &files);
    case.kill_after(24);
    let held = case.world.noted();
    case.world.server.remove("https://h.org/m.gguf");
    let summary = case.expect(&tensors_of(&files));
    assert_eq!(
        summary.read, held,
        "the hash tells that it is the same file"
    );
    assert_eq!(
        case.world.record.as_ref().unwrap().files[0].parts[0].url,
        mirror[0]
    );
    case.world.server.clear();
    assert_eq!(case.expect(&tensors_of(&files)).downloaded, 0);
}

#[test]
fn what_two_places_without_a_hash_have_is_not_mixed() {
    let files = [file(&NAMES, None, 21)];
    let others = [file(&NAMES, None, 22)];
    let mut case = Case::new(&["https://h.org/m.gguf"], &files, 21)
        .with_mirror(&["https://mirror.org/m.gguf"], &others);
    case.kill_after(24);
    case.world.server.remove("https://h.org/m.gguf");
    let summary = case.expect(&tensors_of(&others));
    assert_eq!(summary.read, 0);
    // What was begun at the second place goes on there, although the first is back.
    let (mut case, expected) = (case, tensors_of(&others));
    case.replace(&files[0]);
    assert_eq!(case.expect(&expected).downloaded, 0);
}

#[test]
fn a_place_with_something_else_is_passed_over() {
    let files = [file(&NAMES, None, 23)];
    let page = [b"<html>moved</html>".to_vec()];
    let mut case = Case::new(&["https://h.org/m.gguf"], &page, 23)
        .with_mirror(&["https://b.org/m.gguf"], &[files[0][..300].to_vec()])
        .with_mirror(&["https://c.org/m.gguf"], &files);
    case.expect(&tensors_of(&files));
    case.world.server.remove("https://c.org/m.gguf");
    case.world.chunks.clear();
    case.world.journal.clear();
    let error = case.expect_failure();
    assert!(case.is_clean(), "{error}");
}
