//! Names and listings: sources as typed, lists of files, and a hub's answer. No panic, and never more requests than the limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loader::files::MAX_PARTS;
use loader::hub::{DEFAULT_ENDPOINT, Listing};
use loader::{LocalFile, ModelSpec, Source};

fn check(model: &ModelSpec) {
    let parts: usize = model.files.iter().map(|file| file.parts.len()).sum();
    assert!((1..=MAX_PARTS).contains(&parts));
    assert!(model.files.iter().all(|file| !file.parts.is_empty()));
    assert!(!model.id.is_empty());
}

fuzz_target!(|text: &str| {
    let lines: Vec<&str> = text.lines().collect();
    if let Ok(source) = Source::parse_list(&lines)
        && let Ok(model) = ModelSpec::from_source(&source)
    {
        check(&model);
    }
    let file = |name: &&str| LocalFile {
        name: (*name).to_owned(),
        size: None,
        modified: None,
    };
    if let Ok(model) = ModelSpec::from_source(&Source::Local(lines.iter().map(file).collect())) {
        check(&model);
        // Every file has its place, and only one.
        let parts: usize = model.files.iter().map(|file| file.parts.len()).sum();
        assert_eq!(parts, lines.len());
    }
    let Some((first, rest)) = text.split_once('\n') else {
        return;
    };
    if let Ok(Source::Hub(reference)) = Source::parse(first)
        && let Ok(listing) =
            Listing::parse(rest.as_bytes(), DEFAULT_ENDPOINT, &reference.repository)
        && let Ok(model) = listing.choose(&reference, DEFAULT_ENDPOINT)
    {
        check(&model);
        // A listing cannot send the load, and with it the token, anywhere else.
        assert_eq!(model.check_origins(&[DEFAULT_ENDPOINT.to_owned()]), Ok(()));
    }
});
