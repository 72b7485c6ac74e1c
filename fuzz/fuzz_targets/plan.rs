//! A load whose server, store and file are all hostile: the world that the tests of the loader use, with the faults, the
//! moments of death, the order of delivery and the file itself taken from the input. The world checks every step.
#![no_main]

// Not all of it is used here.
#[allow(dead_code)]
#[path = "../../crates/loader/tests/sim/mod.rs"]
mod sim;

use libfuzzer_sys::fuzz_target;
use loader::{ModelSpec, Source};
use sim::{Faults, World};

const ADDRESS: &str = "https://h.org/m.gguf";

/// Bytes of the input before the file.
const SETTINGS: usize = 14;

fuzz_target!(|data: &[u8]| {
    if data.len() < SETTINGS {
        return;
    }
    let (settings, file) = data.split_at(SETTINGS);
    let percent = |i: usize| u64::from(settings[i]) % 50;
    let source = Source::parse(ADDRESS).expect("an address");
    let model = ModelSpec::from_source(&source).expect("one file");
    let server = [(ADDRESS.to_owned(), file.to_vec())].into();
    let mut world = World::new(server, u64::from(settings[0]));
    world.faults = Faults {
        refused: percent(1),
        unavailable: percent(2),
        portal: percent(3),
        wrong_range: percent(4),
        whole: percent(5),
        cut: percent(6),
        flipped: percent(7),
        full: percent(8) / 8,
        unreadable: percent(9),
        hidden: percent(10),
        replaced: 0,
    };
    // In odd cases something waits for the model's first tensors, from the beginning or later.
    world.hurry_at = (settings[13] % 2 == 1).then_some(usize::from(settings[13] / 2));
    for steps in [
        Some(usize::from(settings[11])),
        Some(usize::from(settings[12])),
        None,
    ] {
        world.load(&model, steps);
    }
});
