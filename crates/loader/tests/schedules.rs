//! Loads in a simulated world, with every fault at every step: thousands of random schedules.

mod sim;

use loader::record::ChunkId;
use proptest::prelude::*;
use sim::case::{Case, NAMES, sorted_as_text};
use sim::{Dice, End, Faults, file, tensors_of, wrong_chunks};

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
        shape in 0_u8..4,
        kills in prop::collection::vec(0_usize..60, 0..5),
        damage in any::<bool>(),
        hurry_at in prop::option::of(0_usize..10),
        // Long files do not fit the window.
        blocks in prop_oneof![9 => Just(3_u32), 1 => Just(24)],
    ) {
        let names = match hurry_at {
            Some(_) => sorted_as_text(blocks),
            None => NAMES.map(str::to_owned).to_vec(),
        };
        let contents = |seed: u64| match shape {
            1 => {
                let (first, second) = names.split_at(names.len() / 3);
                let count = names.len() as i32;
                vec![file(first, Some((0, 2, count)), seed), file(second, Some((1, 2, count)), seed ^ 1)]
            }
            _ => vec![file(&names, None, seed)],
        };
        let source: &[&str] = match shape {
            0 => &["https://h.org/m.gguf"],
            1 => &["https://h.org/m-00001-of-00002.gguf"],
            2 => &["https://h.org/m.gguf.part1of3"],
            _ => &["https://h.org/m.gguf"],
        };
        let files = contents(seed);
        let newer = contents(seed ^ 77);
        let mut case = Case::new(source, &files, seed);
        case.world.hurry_at = hurry_at;
        if shape == 3 {
            case = case.with_mirror(&["https://mirror.org/m.gguf"], &files);
        }
        case.world.next_versions.push(Case::new(source, &newer, seed).world.server);
        // Flipped bytes can only be noticed against a hash, and a hash fits one version.
        let hashed = faults.flipped > 0 || seed % 3 == 0;
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
