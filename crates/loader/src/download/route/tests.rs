use gguf::{TensorType, Writer};
use proptest::prelude::*;

use super::*;

/// A header with tensors of these names, each of 256 bytes.
fn header(names: &[&str]) -> Header {
    let tensor =
        |writer: Writer, name: &&str| writer.tensor(*name, &[64], TensorType::F32, vec![0; 256]);
    let writer = Writer::new().with("general.architecture", "test");
    let file = names.iter().fold(writer, tensor).to_bytes().unwrap();
    Header::parse(&file).unwrap()
}

/// The tensors of `headers` in the order in which the runs bring them; those of second turns with a star.
fn names(runs: impl IntoIterator<Item = Run>, headers: &[Header]) -> Vec<String> {
    let mut names = Vec::new();
    for run in runs {
        let star = if run.again { "*" } else { "" };
        let tensors = headers[run.file].tensors.iter();
        let within = tensors.filter(|info| (run.from..run.to).contains(&info.offset));
        names.extend(within.map(|info| format!("{}{star}", info.name)));
    }
    names
}

/// As files that are not sorted by number have it.
const ALPHABETICAL: [&str; 7] = [
    "token_embd.weight",
    "blk.0.w",
    "blk.1.w",
    "blk.10.w",
    "blk.11.w",
    "blk.2.w",
    "output_norm.weight",
];

#[test]
fn blocks_come_by_number_and_the_output_last() {
    let headers = [header(&ALPHABETICAL)];
    let runs = in_order_of_need(&headers, &[false; 2]);
    let order = [
        "token_embd.weight",
        "blk.0.w",
        "blk.1.w",
        "blk.2.w",
        "blk.10.w",
        "blk.11.w",
        "output_norm.weight",
    ];
    assert_eq!(names(runs.clone(), &headers), order);
    assert_eq!(runs.len(), 4);
    assert_eq!(
        (runs[0].from, runs[3].to),
        (0, u64::MAX),
        "the header comes first"
    );
}

#[test]
fn what_is_in_order_is_one_run() {
    let first = header(&[
        "rope_freqs.weight",
        "token_embd.weight",
        "blk.0.a",
        "blk.0.b",
        "blk.1.a",
    ]);
    let second = header(&["blk.1.b", "blk.2.a", "output.weight", "output_norm.weight"]);
    let headers = [first, second];
    assert_eq!(in_order_of_need(&headers, &[false; 2]), in_file_order(2));
    assert_eq!(
        in_order_of_need(&[header(&[])], &[true; 2]),
        in_file_order(1)
    );
}

#[test]
fn the_output_of_a_hashed_file_stays_where_it_is() {
    let headers = [header(&["output.weight", "token_embd.weight", "blk.0.w"])];
    assert_eq!(in_order_of_need(&headers, &[true; 2]), in_file_order(1));
    let order = ["token_embd.weight", "blk.0.w", "output.weight"];
    assert_eq!(
        names(in_order_of_need(&headers, &[false; 2]), &headers),
        order
    );
}

#[test]
fn a_hash_has_what_came_before_its_turn_as_soon_as_it_can() {
    let headers = [header(&ALPHABETICAL)];
    let runs = in_order_of_need(&headers, &[true; 2]);
    let order = [
        "token_embd.weight",
        "blk.0.w",
        "blk.1.w",
        "blk.2.w",
        "output_norm.weight",
        "blk.10.w",
        "blk.11.w",
        "blk.2.w*",
        "output_norm.weight*",
    ];
    assert_eq!(
        names(route(&runs, &[Delivered::default()], &[true; 2]), &headers),
        order
    );
}

proptest! {
    /// However often the order changes on the way, every byte is delivered once, and hashed once and in order.
    #[test]
    fn every_byte_is_delivered_once(
        tensors in prop::collection::vec(0_u32..12, 1..30),
        steps in prop::collection::vec((any::<bool>(), 1_u64..1500), 0..12),
        hashed in any::<bool>(),
    ) {
        let names: Vec<String> = tensors.iter().enumerate().map(|(i, block)| format!("blk.{block}.{i}")).collect();
        let headers = [header(&names.iter().map(String::as_str).collect::<Vec<_>>())];
        let size = headers[0].file_size();
        let mut file = Delivered::default();
        for (by_need, mut bytes) in steps.into_iter().chain([(true, u64::MAX)]) {
            let order = if by_need { in_order_of_need(&headers, &[hashed]) } else { in_file_order(1) };
            for run in route(&order, std::slice::from_ref(&file), &[hashed]) {
                let to = run.to.min(size).min(run.from.saturating_add(bytes));
                bytes -= to.saturating_sub(run.from);
                if run.from >= to {
                    // Nothing is behind a file's end.
                    continue;
                }
                if run.again {
                    let mut missing = Vec::new();
                    file.missing(Run { to, ..run }, &mut missing);
                    prop_assert!(missing.is_empty(), "the tensors lack {missing:?}");
                } else {
                    prop_assert!(!file.overlaps(run.from, to));
                    file.add(run.from, to);
                }
                if hashed && run.from == file.hashed {
                    file.hashed = to;
                } else {
                    prop_assert!(!run.again, "comes again for nothing");
                }
            }
        }
        prop_assert_eq!(file.end(), size);
        prop_assert_eq!(file.hashed, if hashed { size } else { 0 });
    }
}
