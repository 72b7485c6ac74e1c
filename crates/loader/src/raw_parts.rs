//! Names of files that were cut into raw parts, to be put together byte by byte.
//!
//! Publishers cut files that exceed an upload limit in several ways: `m.gguf.part1of3`, `m.gguf.part1`,
//! `m.gguf.part00`, `m.gguf-split-a`.

/// Most digits of a part number.
const MAX_DIGITS: usize = 4;

/// The name of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawPart<'a> {
    /// Name of the whole file.
    pub(crate) stem: &'a str,
    /// Number of this part, from 0 or from 1.
    pub(crate) number: usize,
    /// Parts in all, where the name tells.
    pub(crate) count: Option<usize>,
}

impl<'a> RawPart<'a> {
    /// Takes a name apart; `None` if it is not the name of a part.
    pub(crate) fn parse(name: &'a str) -> Option<Self> {
        if let Some((stem, number)) = name
            .rsplit_once(".part")
            .filter(|(stem, _)| !stem.is_empty())
        {
            return match number.split_once("of") {
                Some((number, count)) => {
                    let (number, count) = (digits(number)?, digits(count)?);
                    (1..=count).contains(&number).then_some(Self {
                        stem,
                        number,
                        count: Some(count),
                    })
                }
                None => Some(Self {
                    stem,
                    number: digits(number)?,
                    count: None,
                }),
            };
        }
        let (stem, letter) = name
            .rsplit_once("-split-")
            .filter(|(stem, _)| !stem.is_empty())?;
        match letter.as_bytes() {
            [letter @ b'a'..=b'z'] => Some(Self {
                stem,
                number: usize::from(letter - b'a'),
                count: None,
            }),
            _ => None,
        }
    }

    /// Names of all parts of a set whose count is in its name.
    pub(crate) fn all(&self, count: usize) -> Vec<String> {
        (1..=count)
            .map(|number| format!("{}.part{number}of{count}", self.stem))
            .collect()
    }

    /// Places in `parts` in the order of the file's bytes.
    ///
    /// # Errors
    /// What is missing, surplus or foreign.
    pub(crate) fn order(parts: &[Self]) -> Result<Vec<usize>, String> {
        let (stem, count) = (parts[0].stem, parts[0].count);
        if let Some(other) = parts
            .iter()
            .find(|part| (part.stem, part.count) != (stem, count))
        {
            return Err(format!("parts of {stem} and of {} are mixed", other.stem));
        }
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|&i| parts[i].number);
        let start = parts[order[0]].number;
        if start > 1 {
            return Err(format!("the first part of {stem} is missing"));
        }
        for (place, &i) in order.iter().enumerate() {
            if parts[i].number != start + place {
                return Err(format!(
                    "part {} of {stem} is missing or given twice",
                    start + place
                ));
            }
        }
        match count {
            Some(count) if count != parts.len() => Err(format!("{stem} has {count} parts")),
            _ => Ok(order),
        }
    }
}

fn digits(text: &str) -> Option<usize> {
    let valid =
        (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(stem: &str, number: usize, count: Option<usize>) -> Option<RawPart<'_>> {
        Some(RawPart {
            stem,
            number,
            count,
        })
    }

    #[test]
    fn every_way_publishers_cut_files() {
        assert_eq!(
            RawPart::parse("m.gguf.part1of3"),
            part("m.gguf", 1, Some(3))
        );
        assert_eq!(RawPart::parse("m.gguf.part00"), part("m.gguf", 0, None));
        assert_eq!(RawPart::parse("m.gguf.part12"), part("m.gguf", 12, None));
        assert_eq!(RawPart::parse("m.gguf-split-b"), part("m.gguf", 1, None));
        for name in [
            "m.gguf",
            ".part1",
            "m.gguf.part",
            "m.gguf.part4of3",
            "m.gguf.part0of3",
            "m.gguf.part1x",
            "m-split-ab",
            "m.gguf.part99999",
        ] {
            assert_eq!(RawPart::parse(name), None, "{name}");
        }
    }

    #[test]
    fn parts_are_ordered_by_number_not_by_spelling() {
        let names = [
            "m.part10", "m.part9", "m.part8", "m.part7", "m.part6", "m.part5", "m.part4",
            "m.part3", "m.part2", "m.part1",
        ];
        let parts: Vec<_> = names
            .iter()
            .filter_map(|name| RawPart::parse(name))
            .collect();
        assert_eq!(RawPart::order(&parts), Ok((0..10).rev().collect()));
        assert!(RawPart::order(&parts[..5]).is_err());
        let counted: Vec<_> = ["m.part2of3", "m.part1of3"]
            .iter()
            .filter_map(|name| RawPart::parse(name))
            .collect();
        assert_eq!(RawPart::order(&counted), Err("m has 3 parts".to_owned()));
    }
}
