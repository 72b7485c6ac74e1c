//! A model as an ordered list of files, each made of one or more parts.

use gguf::split::ShardName;

use crate::raw_parts::RawPart;
use crate::source::FILE_SCHEME;
use crate::{Digest, Error, LocalFile, Source, Url};

/// Most files or parts one model may have. Each costs a request and a chunk of memory before the first
/// weight, and the count comes from a name that anybody may write.
pub const MAX_PARTS: usize = 256;

/// Largest part in bytes, as large as [`gguf::Limits`] lets a file be: sizes beyond it are mistakes or mischief, and up to
/// it no sum of a model's sizes overflows.
pub const MAX_PART_BYTES: u64 = 1 << 44;

/// Where a part's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On a server.
    Url(Url),
    /// A file at hand, or one that was and is stored.
    File {
        /// Which file in which version, as the store notes it; empty where there is no telling versions apart.
        label: String,
        /// Its place in [`Source::Local`]; `None` where only the store has it.
        entry: Option<usize>,
    },
}

/// A run of a file's bytes that is fetched by itself: mostly the whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartSpec {
    /// Where its bytes are.
    pub location: Location,
    /// Where else they are, in the order in which that is tried; as many for every part of a model.
    pub mirrors: Vec<Url>,
    /// Bytes, if known.
    pub size: Option<u64>,
}

impl PartSpec {
    pub(crate) fn new(location: Location, size: Option<u64>) -> Self {
        Self {
            location,
            mirrors: Vec::new(),
            size,
        }
    }

    /// Every place where its bytes are.
    pub(crate) fn locations(&self) -> impl Iterator<Item = Location> {
        let mirrors = self.mirrors.iter().cloned().map(Location::Url);
        std::iter::once(self.location.clone()).chain(mirrors)
    }
}

/// One GGUF file: the model, or a shard of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpec {
    /// Name without folders, for people.
    pub name: String,
    /// In the order in which their bytes follow each other.
    pub parts: Vec<PartSpec>,
    /// What its publisher says its SHA-256 is.
    pub sha256: Option<Digest>,
}

/// What is to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSpec {
    /// Its name in the store; the same for every way to ask for the same files.
    pub id: String,
    /// The source as it was asked for, by which it is found again without the network.
    pub alias: Option<String>,
    /// Shards in order.
    pub files: Vec<FileSpec>,
}

impl ModelSpec {
    /// The files of a source whose addresses are known: everything but a hub reference.
    ///
    /// # Errors
    /// [`Error::NotOneModel`] for a list that is neither a split set nor raw parts;
    /// [`Error::InvalidSource`] for a hub reference, which [`crate::hub`] resolves, and for what only the store knows.
    pub fn from_source(source: &Source) -> Result<Self, Error> {
        match source {
            Source::Url(url) => from_urls(&siblings(url)?),
            Source::Urls(urls) => from_urls(urls),
            Source::Local(files) => from_local(files),
            Source::Stored(id) => Err(crate::url::invalid(
                id,
                "no such file is stored here whole; choose it once more, and load it with store: true",
            )),
            Source::Hub(reference) => Err(crate::url::invalid(
                &reference.repository,
                "a hub reference has to be looked up first",
            )),
        }
    }

    /// Adds another place where the same files are, to be asked when the ones before have failed.
    ///
    /// # Errors
    /// [`Error::NotOneModel`] if it has not as many files and parts.
    pub fn add_mirror(&mut self, mirror: &Self) -> Result<(), Error> {
        let shape = |model: &Self| -> Vec<usize> {
            model.files.iter().map(|file| file.parts.len()).collect()
        };
        if shape(self) != shape(mirror) {
            return Err(Error::NotOneModel {
                count: mirror.files.len(),
                reason: format!("{} is cut into other files than {}", mirror.id, self.id),
            });
        }
        let parts = self.files.iter_mut().flat_map(|file| &mut file.parts);
        let others = mirror.files.iter().flat_map(|file| &file.parts);
        for (part, other) in parts.zip(others) {
            if let Location::Url(url) = &other.location {
                part.mirrors.push(url.clone());
            }
        }
        Ok(())
    }

    /// Places where the model is, at least one.
    pub(crate) fn mirrors(&self) -> usize {
        let first = self.files.first().and_then(|file| file.parts.first());
        1 + first.map_or(0, |part| part.mirrors.len())
    }

    /// Checks where every byte would come from.
    ///
    /// Only what is asked is checked: an allowed server may redirect to its own storage.
    ///
    /// # Errors
    /// [`Error::OriginNotAllowed`] naming the first origin that is not in `allowed`.
    pub fn check_origins(&self, allowed: &[String]) -> Result<(), Error> {
        let parts = self.files.iter().flat_map(|file| &file.parts);
        for part in parts {
            for location in part.locations() {
                if let Location::Url(url) = &location {
                    check_origin(url, allowed)?;
                }
            }
        }
        Ok(())
    }
}

/// Checks that `url` is on one of `allowed`, each written as `https://host[:port]`.
///
/// # Errors
/// [`Error::OriginNotAllowed`].
pub fn check_origin(url: &Url, allowed: &[String]) -> Result<(), Error> {
    let origin = url.origin();
    let matches = |text: &String| Url::parse(text).is_ok_and(|allowed| allowed.origin() == origin);
    if allowed.iter().any(matches) {
        Ok(())
    } else {
        Err(Error::OriginNotAllowed { origin })
    }
}

/// The name under which a source is remembered, without looking anything up. What is at hand speaks for itself.
pub fn alias(source: &Source) -> Option<String> {
    match source {
        Source::Hub(reference) => Some(reference.to_string()),
        Source::Stored(id) => Some(id.clone()),
        Source::Local(_) => None,
        other => ModelSpec::from_source(other).ok().map(|model| model.id),
    }
}

/// Every shard of the split set that `url` is a file of, every raw part of the file that it is a part of,
/// or itself.
fn siblings(url: &Url) -> Result<Vec<Url>, Error> {
    let name = url.file_name();
    let names: Vec<String> = if let Some(shard) = ShardName::parse(name) {
        check_count(usize::from(shard.count))?;
        shard.all().collect()
    } else if let Some((part, count)) =
        RawPart::parse(name).and_then(|part| Some((part, part.count?)))
    {
        check_count(count)?;
        part.all(count)
    } else {
        vec![name.to_owned()]
    };
    Ok(names.iter().map(|name| url.with_file_name(name)).collect())
}

fn check_count(count: usize) -> Result<(), Error> {
    if count <= MAX_PARTS {
        return Ok(());
    }
    Err(Error::NotOneModel {
        count,
        reason: format!("a model has at most {MAX_PARTS} files"),
    })
}

fn from_urls(urls: &[Url]) -> Result<ModelSpec, Error> {
    let names: Vec<&str> = urls.iter().map(Url::file_name).collect();
    let files = arrange(&names)?;
    let first = &urls[files[0].parts[0]];
    let id = first.with_file_name(&files[0].set_name).to_string();
    let part = |&i: &usize| PartSpec::new(Location::Url(urls[i].clone()), None);
    Ok(ModelSpec {
        id,
        alias: None,
        files: files.iter().map(|file| file.spec(part)).collect(),
    })
}

fn from_local(list: &[LocalFile]) -> Result<ModelSpec, Error> {
    let names: Vec<&str> = list.iter().map(|file| file.name.as_str()).collect();
    let files = arrange(&names)?;
    let id = format!("{FILE_SCHEME}{}", files[0].set_name);
    let part = |&i: &usize| {
        let file = Location::File {
            label: list[i].label(),
            entry: Some(i),
        };
        PartSpec::new(file, list[i].size)
    };
    Ok(ModelSpec {
        id,
        alias: None,
        files: files.iter().map(|file| file.spec(part)).collect(),
    })
}

/// A file of a model as places in the list of names it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arranged {
    /// Its name.
    pub(crate) name: String,
    /// Name of the whole: the first shard's, or a cut file's without the part number.
    pub(crate) set_name: String,
    /// Its parts' places, in order.
    pub(crate) parts: Vec<usize>,
}

impl Arranged {
    fn spec(&self, part: impl Fn(&usize) -> PartSpec) -> FileSpec {
        FileSpec {
            name: self.name.clone(),
            parts: self.parts.iter().map(part).collect(),
            sha256: None,
        }
    }
}

/// Puts the files of one model in order by their names.
pub(crate) fn arrange(names: &[&str]) -> Result<Vec<Arranged>, Error> {
    check_count(names.len())?;
    let wrong = |reason: String| {
        Err(Error::NotOneModel {
            count: names.len(),
            reason,
        })
    };
    let whole = |(i, name): (usize, &&str)| Arranged {
        name: (*name).to_owned(),
        set_name: names[0].to_owned(),
        parts: vec![i],
    };
    if names.is_empty() {
        return wrong("there is none".to_owned());
    }
    let shards: Option<Vec<_>> = names.iter().map(|name| ShardName::parse(name)).collect();
    if let Some(shards) = shards {
        let set = shards[0];
        if let Some(other) = shards
            .iter()
            .position(|shard| (shard.prefix, shard.count) != (set.prefix, set.count))
        {
            return wrong(format!(
                "{} and {} are of different sets",
                names[0], names[other]
            ));
        }
        let mut files = Vec::with_capacity(names.len());
        for name in set.all() {
            match names.iter().position(|given| *given == name) {
                Some(i) => files.push(Arranged {
                    set_name: set.sibling(0),
                    name,
                    parts: vec![i],
                }),
                None => return wrong(format!("{name} is missing")),
            }
        }
        return if files.len() == names.len() {
            Ok(files)
        } else {
            wrong("one is given twice".to_owned())
        };
    }
    let parts: Option<Vec<_>> = names.iter().map(|name| RawPart::parse(name)).collect();
    if let Some(parts) = parts {
        return match RawPart::order(&parts) {
            Ok(order) => {
                let name = parts[0].stem.to_owned();
                Ok(vec![Arranged {
                    set_name: name.clone(),
                    name,
                    parts: order,
                }])
            }
            Err(reason) => wrong(reason),
        };
    }
    if names.len() == 1 {
        return Ok(names.iter().enumerate().map(whole).collect());
    }
    wrong(
        "their names are neither those of a split set (model-00001-of-00002.gguf) nor of one file's parts (model.gguf.part1)"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locations(source: &str) -> Vec<Vec<String>> {
        let model = ModelSpec::from_source(&Source::parse(source).unwrap()).unwrap();
        let text = |part: &PartSpec| match &part.location {
            Location::Url(url) => url.to_string(),
            Location::File { label, .. } => label.clone(),
        };
        model
            .files
            .iter()
            .map(|file| file.parts.iter().map(text).collect())
            .collect()
    }

    #[test]
    fn the_first_file_names_the_whole_set() {
        assert_eq!(
            locations("https://h.org/m-00001-of-00002.gguf?x=1"),
            [
                ["https://h.org/m-00001-of-00002.gguf?x=1"],
                ["https://h.org/m-00002-of-00002.gguf?x=1"]
            ]
        );
        assert_eq!(
            locations("https://h.org/m.gguf.part1of2"),
            [[
                "https://h.org/m.gguf.part1of2",
                "https://h.org/m.gguf.part2of2"
            ]]
        );
        assert_eq!(
            locations("https://h.org/m.gguf"),
            [["https://h.org/m.gguf"]]
        );
    }

    #[test]
    fn a_list_is_put_in_order_and_named_alike_in_any_order() {
        let list = [
            "https://h.org/m.gguf.part10",
            "https://h.org/m.gguf.part9",
            "https://h.org/m.gguf.part8",
        ];
        let source = Source::parse_list(&list);
        // Parts start at 0 or 1: 8 … 10 are the tail of something.
        assert!(matches!(
            ModelSpec::from_source(&source.unwrap()),
            Err(Error::NotOneModel { .. })
        ));

        let list = [
            "https://h.org/m-00002-of-00002.gguf",
            "https://h.org/m-00001-of-00002.gguf",
        ];
        let given = ModelSpec::from_source(&Source::parse_list(&list).unwrap()).unwrap();
        let found = ModelSpec::from_source(&Source::parse(list[1]).unwrap()).unwrap();
        assert_eq!(given, found);
    }

    #[test]
    fn files_that_are_not_one_model_are_refused() {
        for names in [
            &["a.gguf", "b.gguf"][..],
            &["m-00001-of-00002.gguf"],
            &["m-00001-of-00002.gguf", "m-00001-of-00002.gguf"],
            &["m-00001-of-00002.gguf", "n-00002-of-00002.gguf"],
            &[
                "m-00001-of-00002.gguf",
                "m-00002-of-00002.gguf",
                "m-00002-of-00002.gguf",
            ],
            &["m.gguf.part1", "m.gguf.part3"],
            &["m.gguf.part1", "n.gguf.part2"],
            &[],
        ] {
            assert!(
                matches!(arrange(names), Err(Error::NotOneModel { .. })),
                "{names:?}"
            );
        }
        let huge = Source::parse("https://h.org/m-00001-of-60000.gguf").unwrap();
        assert!(matches!(
            ModelSpec::from_source(&huge),
            Err(Error::NotOneModel { count: 60000, .. })
        ));
    }

    #[test]
    fn only_allowed_origins_are_asked() {
        let model =
            ModelSpec::from_source(&Source::parse("https://h.org/m.gguf").unwrap()).unwrap();
        assert_eq!(model.check_origins(&["https://H.org:443".into()]), Ok(()));
        for allowed in [
            "https://h.org.evil.com",
            "http://h.org",
            "https://h.org:8443",
            "h.org",
            "",
        ] {
            assert!(model.check_origins(&[allowed.into()]).is_err(), "{allowed}");
        }
    }
}
