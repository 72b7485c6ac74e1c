//! Loads in a simulated world: each fault by itself, and all of them at random.

mod sim;

use std::collections::BTreeMap;

use loader::record::{ChunkId, JournalEntry};
use loader::{Digest, Error, ErrorKind, ModelSpec, Source};
use proptest::prelude::*;
use sim::{CHUNK, Dice, End, Faults, Tensors, World, file, tensors_of, wrong_chunks};

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

struct Case {
    world: World,
    model: ModelSpec,
    addresses: Vec<String>,
}

impl Case {
    /// A model served at `source`, its whole files cut into the source's parts.
    fn new(source: &[&str], files: &[Vec<u8>], seed: u64) -> Self {
        let model = ModelSpec::from_source(&Source::parse_list(source).unwrap()).unwrap();
        let mut addresses = Vec::new();
        let mut server = BTreeMap::new();
        for (spec, bytes) in model.files.iter().zip(files) {
            let piece = bytes.len().div_ceil(spec.parts.len()).max(1);
            let pieces = bytes.chunks(piece).chain([&[][..]]);
            for (part, bytes) in spec.parts.iter().zip(pieces) {
                let loader::files::Location::Url(url) = &part.location else {
                    panic!("{part:?}")
                };
                addresses.push(url.to_string());
                server.insert(url.to_string(), bytes.to_vec());
            }
        }
        Self {
            world: World::new(server, seed),
            model,
            addresses,
        }
    }

    fn single(seed: u64) -> (Self, Tensors) {
        let files = [file(&NAMES, None, seed)];
        (
            Self::new(&["https://h.org/m.gguf"], &files, seed),
            tensors_of(&files),
        )
    }

    /// The publisher's hashes are known, as they are from a hub.
    fn with_hashes(mut self, files: &[Vec<u8>]) -> Self {
        for (spec, bytes) in self.model.files.iter_mut().zip(files) {
            spec.sha256 = Some(Digest::of(bytes));
        }
        self
    }

    fn load(&mut self) -> End {
        self.world.load(&self.model, None)
    }

    #[track_caller]
    fn expect(&mut self, expected: &Tensors) -> loader::download::Summary {
        match self.load() {
            End::Done(summary, tensors) => {
                assert_eq!(&tensors, expected);
                summary
            }
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn expect_failure(&mut self) -> Error {
        match self.load() {
            End::Failed(error) => error,
            other => panic!("{other:?}"),
        }
    }

    fn is_clean(&self) -> bool {
        self.world.record.is_none() && self.world.chunks.is_empty() && self.world.journal.is_empty()
    }

    fn size(&self) -> u64 {
        self.world
            .server
            .values()
            .map(|bytes| bytes.len() as u64)
            .sum()
    }
}

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
    assert!(matches!(
        case.world.load(&case.model, Some(24)),
        End::Killed
    ));
    let held: usize = case.world.chunks.values().map(Vec::len).sum();
    assert!(held >= 2 * CHUNK as usize, "{held}");
    let received = case.world.received;
    let summary = case.expect(&expected);
    assert_eq!(summary.read, held as u64);
    assert_eq!(case.world.received - received, case.size() - held as u64);
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
    assert!(matches!(
        case.world.load(&case.model, Some(24)),
        End::Killed
    ));
    let newer = file(&NAMES, None, 99);
    case.world
        .server
        .insert(case.addresses[0].clone(), newer.clone());
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
    case.world
        .server
        .insert(case.addresses[0].clone(), newer.clone());
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
    assert!(matches!(
        case.world.load(&case.model, Some(24)),
        End::Killed
    ));
    let (record, journal) = (case.world.record.clone(), case.world.journal.clone());
    case.world.store = false;
    let held: u64 = journal.values().map(|entry| u64::from(entry.length)).sum();
    let summary = case.expect(&expected);
    assert_eq!((summary.stored, summary.read), (false, held));
    // Not even a change of the file is its business.
    let newer = file(&NAMES, None, 97);
    case.world
        .server
        .insert(case.addresses[0].clone(), newer.clone());
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
    assert!(matches!(
        case.world.load(&case.model, Some(24)),
        End::Killed
    ));
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
    assert!(matches!(
        case.world.load(&case.model, Some(24)),
        End::Killed
    ));
    case.expect(&expected);
}

fn faults() -> impl Strategy<Value = Faults> {
    prop::array::uniform11(prop_oneof![2 => Just(0_u64), 1 => 1_u64..40]).prop_map(
        |[
            refused,
            unavailable,
            portal,
            wrong_range,
            whole,
            cut,
            flipped,
            full,
            unreadable,
            hidden,
            replaced,
        ]| Faults {
            refused,
            unavailable,
            portal,
            wrong_range,
            whole,
            cut,
            flipped,
            full: full / 8,
            unreadable,
            hidden,
            replaced,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The world itself asserts, at every step, that no chunk is stored under another's hash, that nothing is stored
    /// before the headers are judged, and that no chunk is fetched that is stored and right.
    #[test]
    fn any_schedule_of_faults_ends_with_the_right_bytes_or_a_reason(
        seed in any::<u64>(),
        faults in faults(),
        shape in 0_u8..3,
        kills in prop::collection::vec(0_usize..60, 0..5),
        damage in any::<bool>(),
    ) {
        let contents = |seed: u64| match shape {
            0 => vec![file(&NAMES, None, seed)],
            1 => vec![file(&NAMES[..2], Some((0, 2, 8)), seed), file(&NAMES[2..], Some((1, 2, 8)), seed ^ 1)],
            _ => vec![file(&NAMES, None, seed)],
        };
        let source: &[&str] = match shape {
            0 => &["https://h.org/m.gguf"],
            1 => &["https://h.org/m-00001-of-00002.gguf"],
            _ => &["https://h.org/m.gguf.part1of3"],
        };
        let files = contents(seed);
        let newer = contents(seed ^ 77);
        let mut case = Case::new(source, &files, seed);
        case.world.next_versions.push(Case::new(source, &newer, seed).world.server);
        // Flipped bytes can only be noticed against a hash, and a hash fits one version.
        let hashed = faults.flipped > 0;
        if hashed {
            case = case.with_hashes(&files);
        }
        // Nor can a change be noticed that the server hides, or that falls between the first requests for two addresses.
        let noticeable = !hashed && faults.hidden == 0 && shape == 0;
        case.world.faults = Faults { replaced: if noticeable { faults.replaced } else { 0 }, ..faults };
        let versions = [tensors_of(&files), tensors_of(&newer)];

        let mut ended = Vec::new();
        for kill in kills.into_iter().map(Some).chain([None]) {
            match case.world.load(&case.model, kill) {
                End::Done(summary, tensors) => {
                    prop_assert!(versions.contains(&tensors), "wrong bytes delivered");
                    if summary.stored && tensors == versions[case.world.version as usize - 1] {
                        prop_assert_eq!(wrong_chunks(&case.world, &case.addresses), [].into());
                    }
                    if !summary.stored {
                        prop_assert!(summary.not_stored.is_some());
                        let was_whole = case.world.record.as_ref().is_some_and(|record| record.complete);
                        prop_assert!(was_whole || case.is_clean());
                    }
                    ended.push(true);
                }
                End::Failed(error) => {
                    prop_assert!(error.keeps_progress() || case.is_clean(), "{error}");
                    ended.push(false);
                }
                End::Killed => {}
            }
            let chunks: Vec<ChunkId> = case.world.chunks.keys().copied().collect();
            if damage && let Some(chunk) = chunks.get(Dice(seed).roll(1 + chunks.len() as u64) as usize) {
                case.world.chunks.get_mut(chunk).unwrap()[0] ^= 1;
            }
        }
        prop_assert!(!ended.is_empty());

        // When the trouble is over, the model loads.
        case.world.faults = Faults::default();
        if !hashed || case.world.version == 1 {
            let end = case.load();
            let End::Done(summary, tensors) = end else { panic!("no trouble, but {end:?}") };
            prop_assert!(summary.stored);
            prop_assert!(versions.contains(&tensors));
        }
    }
}
