//! Loads in a simulated world whose tensors are wanted in the order in which a model needs them.

mod sim;

use loader::{Digest, ErrorKind};
use sim::case::{Case, sorted_as_text};
use sim::{file, tensors_of};

/// A long file whose blocks are sorted as text, of which something waits for the first tensors.
fn hurried(seed: u64) -> (Case, Vec<u8>) {
    let file = file(&sorted_as_text(24), None, seed);
    let mut case = Case::new(&["https://h.org/m.gguf"], std::slice::from_ref(&file), seed);
    case.world.hurry_at = Some(0);
    (case, file)
}

/// The tensors of [`hurried`] in the order in which a model needs them.
fn in_order_of_need() -> Vec<String> {
    let blocks = (0..24).flat_map(|block| [format!("blk.{block}.v"), format!("blk.{block}.w")]);
    let (first, last) = ("token_embd.weight", "output_norm.weight");
    let names = std::iter::once(first.to_owned()).chain(blocks);
    names.chain([last.to_owned()]).collect()
}

#[test]
fn where_something_waits_tensors_come_in_the_order_of_need() {
    let (mut case, file) = hurried(30);
    let expected = tensors_of([&file]);
    case.expect(&expected);
    assert_eq!(case.world.order, in_order_of_need());
    assert_eq!(case.world.received, case.size(), "shared chunks come once");
    // As they were asked for: block 2 is asked for before block 10, which stands before it.
    let header = gguf::Header::parse(&file).unwrap();
    let offset = |name: &str| header.tensor(name).unwrap().offset;
    let requests = &case.world.requests;
    let asked = |at: u64| {
        let within = |(_, from, to): &(u32, u64, Option<u64>)| (*from..to.unwrap()).contains(&at);
        requests.iter().position(within).unwrap()
    };
    assert!(asked(offset("blk.2.w")) < asked(offset("blk.12.v")));
    assert!(asked(offset("blk.9.w")) < asked(offset("blk.12.v")));

    // The second load reads in that order, too.
    case.world.server.clear();
    case.expect(&expected);
    assert_eq!(case.world.order, in_order_of_need());
}

#[test]
fn the_order_of_need_can_be_turned_to_on_the_way() {
    let (mut case, file) = hurried(31);
    case.world.hurry_at = Some(8);
    case.expect(&tensors_of([&file]));
    assert_eq!(case.world.received, case.size());
    let position = |name: &str| case.world.order.iter().position(|passed| passed == name);
    assert!(
        position("blk.10.v") < position("blk.2.v"),
        "begun in file order"
    );
    assert!(
        position("blk.9.w") < position("blk.23.w"),
        "and gone on by number"
    );
}

#[test]
fn a_hash_is_checked_in_file_order_whatever_the_order_of_need() {
    let (case, file) = hurried(32);
    let mut case = case.with_hashes(std::slice::from_ref(&file));
    let summary = case.expect(&tensors_of([&file]));
    assert_eq!(summary.sha256, [Some(Digest::of(&file))]);
    assert_eq!(
        (summary.downloaded, summary.read, case.world.received),
        (case.size(), 0, case.size()),
        "what was read back for the hash does not count twice"
    );
    let position = |name: &str| case.world.order.iter().position(|passed| passed == name);
    assert!(position("blk.9.w") < position("blk.10.v"));

    // A store that fills up on the way cannot give back what it did not take: that is fetched again, and must be the same.
    for seed in 0..20 {
        let (case, file) = hurried(seed);
        let mut case = case.with_hashes(std::slice::from_ref(&file));
        case.world.faults.full = 2;
        let summary = case.expect(&tensors_of([&file]));
        assert_eq!(summary.sha256, [Some(Digest::of(&file))]);
        assert!(case.world.received < 2 * case.size());
    }

    let (case, file) = hurried(33);
    let mut case = case.with_hashes(&[file[..file.len() - 1].to_vec()]);
    assert_eq!(case.expect_failure().kind(), ErrorKind::IntegrityMismatch);
    assert!(case.is_clean());
}

#[test]
fn without_ranges_or_a_store_for_what_is_to_be_hashed_file_order_it_is() {
    let (mut case, file) = hurried(34);
    case.world.faults.whole = 100;
    case.expect(&tensors_of([&file]));
    assert_eq!(case.world.order, sorted_as_text(24));
    assert_eq!(case.world.received, case.size());

    let (case, file) = hurried(35);
    let mut case = case.with_hashes(std::slice::from_ref(&file));
    case.world.store = false;
    case.expect(&tensors_of([&file]));
    assert_eq!(case.world.order, sorted_as_text(24));
}
