use super::*;
use crate::Source;

const ENDPOINT: &str = "https://hub.test";
const SHA: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn listing(paths: &[&str]) -> Listing {
    let siblings: Vec<String> = paths
        .iter()
        .map(|path| {
            format!(r#"{{"rfilename": "{path}", "size": 100, "blobId": "x", "lfs": {{"sha256": "{SHA}", "size": 100}}}}"#)
        })
        .collect();
    let answer = format!(
        r#"{{"id": "a/b", "sha": "0123abcd", "siblings": [{}]}}"#,
        siblings.join(",")
    );
    Listing::parse(answer.as_bytes(), ENDPOINT, "a/b").unwrap()
}

fn choose(paths: &[&str], reference: &str) -> Result<ModelSpec, Error> {
    match Source::parse(reference).unwrap() {
        Source::Hub(reference) => listing(paths).choose(&reference, ENDPOINT),
        other => panic!("{other:?}"),
    }
}

fn chosen(paths: &[&str], reference: &str) -> String {
    choose(paths, reference).unwrap().files[0].name.clone()
}

#[test]
fn the_answer_of_the_hub_gives_sizes_hashes_and_the_commit() {
    let model = choose(&["README.md", "sub dir/m-Q8_0.gguf"], "hf:a/b:q8_0").unwrap();
    assert_eq!(model.id, "hf:a/b/sub dir/m-Q8_0.gguf");
    assert_eq!(model.alias.as_deref(), Some("hf:a/b:Q8_0"));
    let [file] = &model.files[..] else {
        panic!("{model:?}")
    };
    assert_eq!(file.sha256, Digest::from_hex(SHA));
    assert_eq!(file.parts[0].size, Some(100));
    assert_eq!(
        file.parts[0].location,
        Location::Url(
            Url::parse("https://hub.test/a/b/resolve/0123abcd/sub%20dir/m-Q8_0.gguf").unwrap()
        )
    );
}

#[test]
fn labels_are_words_in_any_case() {
    let files = [
        "m-IQ4_XS.gguf",
        "m.q4_k_m.gguf",
        "m-Q4_K_S-imat.gguf",
        "m-Q4_0_4_4.gguf",
        "m-q4_0.gguf",
        "m-UD-Q4_K_XL.gguf",
    ];
    assert_eq!(chosen(&files, "hf:a/b:Q4_K_M"), "m.q4_k_m.gguf");
    assert_eq!(chosen(&files, "hf:a/b:q4_k_s"), "m-Q4_K_S-imat.gguf");
    assert_eq!(chosen(&files, "hf:a/b:Q4_0"), "m-q4_0.gguf");
    assert_eq!(chosen(&files, "hf:a/b:UD-Q4_K_XL"), "m-UD-Q4_K_XL.gguf");
    assert!(matches!(
        choose(&files, "hf:a/b:Q4_K"),
        Err(Error::HubFileMissing { .. })
    ));
}

#[test]
fn without_a_label_the_best_supported_file_is_taken() {
    assert_eq!(
        chosen(&["m-F16.gguf", "m-Q2_K.gguf", "m-Q8_0.gguf"], "hf:a/b"),
        "m-Q8_0.gguf"
    );
    assert_eq!(
        chosen(&["m-Q8_0.gguf", "m-Q4_K_M.gguf"], "hf:a/b"),
        "m-Q4_K_M.gguf"
    );
    assert_eq!(
        chosen(&["m-F16.gguf", "m-Q2_K.gguf", "m-IQ3_M.gguf"], "hf:a/b"),
        "m-Q2_K.gguf"
    );
    assert_eq!(
        chosen(&["ggml-model-i2_s.gguf", "m-bf16.gguf"], "hf:a/b"),
        "ggml-model-i2_s.gguf"
    );
    assert_eq!(
        chosen(&["mmproj-m-Q4_K_M.gguf", "model.gguf"], "hf:a/b"),
        "model.gguf"
    );
}

#[test]
fn what_is_not_there_or_not_supported_is_said() {
    let only_small = choose(&["m-IQ2_XS.gguf", "m-IQ3_M.gguf"], "hf:a/b").unwrap_err();
    assert!(
        only_small
            .to_string()
            .contains("IQ2_XS (its blocks are not supported), IQ3_M"),
        "{only_small}"
    );
    let asked = choose(&["m-IQ2_XS.gguf", "m-Q8_0.gguf"], "hf:a/b:IQ2_XS").unwrap_err();
    assert!(asked.to_string().contains("Q8_0 (supported)"), "{asked}");
    let absent = choose(&["m-Q8_0.gguf"], "hf:a/b:Q4_0").unwrap_err();
    assert!(
        absent
            .to_string()
            .contains("a/b has no Q4_0 file; it has: m-Q8_0.gguf"),
        "{absent}"
    );
    assert!(
        choose(&["README.md"], "hf:a/b")
            .unwrap_err()
            .to_string()
            .contains("no GGUF files")
    );
    assert!(choose(&["a.gguf"], "hf:a/b/b.gguf").is_err());
}

#[test]
fn split_sets_and_raw_parts_come_whole() {
    let set = [
        "q/m-Q8_0-00002-of-00002.gguf",
        "q/m-Q8_0-00001-of-00002.gguf",
        "q/m-Q4_0.gguf",
    ];
    let model = choose(&set, "hf:a/b:Q8_0").unwrap();
    let names: Vec<_> = model.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(
        names,
        ["m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"]
    );
    assert_eq!(model.id, "hf:a/b/q/m-Q8_0-00001-of-00002.gguf");

    let cut = ["m.Q6_K.gguf.part2of2", "m.Q6_K.gguf.part1of2"];
    let model = choose(&cut, "hf:a/b:Q6_K").unwrap();
    assert_eq!((model.files.len(), model.files[0].parts.len()), (1, 2));
    assert_eq!(model.files[0].sha256, None);

    assert!(matches!(
        choose(&set[..1], "hf:a/b:Q8_0"),
        Err(Error::NotOneModel { .. })
    ));
}

#[test]
fn another_answer_is_refused() {
    for answer in [
        "",
        "<html>",
        "[]",
        r#"{"sha": "main", "siblings": []}"#,
        r#"{"sha": "01/../x", "siblings": []}"#,
    ] {
        let result = Listing::parse(answer.as_bytes(), ENDPOINT, "a/b");
        assert!(matches!(result, Err(Error::HubAnswer { .. })), "{answer}");
    }
}
