//! Which finished sequences are kept, for requests that begin alike.

/// Sequences with the tokens whose state they hold, least recently used first to go. `S` names a sequence of the
/// key-value cache; whoever takes a name out of here must release it.
#[derive(Debug)]
pub(crate) struct PrefixCache<S> {
    /// From least to most recently used.
    entries: Vec<Entry<S>>,
    limit: usize,
}

#[derive(Debug)]
struct Entry<S> {
    seq: S,
    tokens: Vec<u32>,
}

/// The best entry for some tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found<S> {
    pub(crate) seq: S,
    /// How many first tokens it shares.
    pub(crate) common: usize,
    /// Whether the entry holds no more than these.
    pub(crate) whole: bool,
}

impl<S: Copy + PartialEq> PrefixCache<S> {
    /// An empty cache for at most `limit` sequences.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            entries: Vec::new(),
            limit,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry that shares the most first tokens, at least one; of equals the most recently used. `resumable` says how
    /// many of an entry's first tokens can be gone on after, of as many as it is given.
    pub(crate) fn find(
        &self,
        tokens: &[u32],
        resumable: impl Fn(S, usize) -> usize,
    ) -> Option<Found<S>> {
        let found = self.entries.iter().map(|entry| {
            let common = resumable(entry.seq, common_prefix(&entry.tokens, tokens));
            Found {
                seq: entry.seq,
                common,
                whole: common == entry.tokens.len(),
            }
        });
        found
            .filter(|found| found.common > 0)
            .max_by_key(|found| found.common)
    }

    /// Marks an entry as used just now.
    pub(crate) fn touch(&mut self, seq: S) {
        if let Some(at) = self.entries.iter().position(|entry| entry.seq == seq) {
            self.entries[at..].rotate_left(1);
        }
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, seq: S) {
        self.entries.retain(|entry| entry.seq != seq);
    }

    /// Keeps a sequence. Returns those that are no longer kept: entries that it extends, the least recently used
    /// one beyond the limit, or itself where another entry already says as much.
    #[must_use]
    pub(crate) fn insert(&mut self, seq: S, tokens: Vec<u32>) -> Vec<S> {
        if let Some(known) = self
            .entries
            .iter()
            .find(|entry| entry.tokens.starts_with(&tokens))
        {
            let known = known.seq;
            self.touch(known);
            return vec![seq];
        }
        let covered = |entry: &Entry<S>| tokens.starts_with(&entry.tokens);
        let mut released: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| covered(entry))
            .map(|entry| entry.seq)
            .collect();
        self.entries.retain(|entry| !covered(entry));
        self.entries.push(Entry { seq, tokens });
        while self.entries.len() > self.limit {
            released.push(self.entries.remove(0).seq);
        }
        released
    }

    /// Takes the least recently used entry out.
    pub(crate) fn evict(&mut self) -> Option<S> {
        (!self.entries.is_empty()).then(|| self.entries.remove(0).seq)
    }
}

/// How many first tokens two sequences share.
pub(crate) fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> PrefixCache<char> {
        let mut cache = PrefixCache::new(3);
        assert_eq!(cache.insert('a', vec![1, 2, 3]), []);
        assert_eq!(cache.insert('b', vec![1, 2, 4, 5]), []);
        assert_eq!(cache.insert('c', vec![9]), []);
        cache
    }

    #[test]
    fn the_longest_common_prefix_is_found() {
        let cache = filled();
        let found = |tokens: &[u32]| {
            cache
                .find(tokens, |_, common| common)
                .map(|found| (found.seq, found.common, found.whole))
        };
        assert_eq!(found(&[1, 2, 3, 4]), Some(('a', 3, true)));
        assert_eq!(found(&[1, 2, 4, 6]), Some(('b', 3, false)));
        assert_eq!(found(&[9]), Some(('c', 1, true)));
        assert_eq!(found(&[2]), None);
        assert_eq!(found(&[]), None);
    }

    #[test]
    fn what_cannot_be_gone_on_after_is_passed_over() {
        let resumable = |seq, common| if seq == 'b' && common < 4 { 0 } else { common };
        let found = |tokens: &[u32]| {
            let found = filled().find(tokens, resumable)?;
            Some((found.seq, found.common))
        };
        assert_eq!(found(&[1, 2, 4, 5, 6]), Some(('b', 4)));
        assert_eq!(found(&[1, 2, 4, 6]), Some(('a', 2)));
        assert_eq!(
            filled()
                .find(&[1, 2, 4, 6], |_, _| 0)
                .map(|found| found.seq),
            None
        );
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = filled();
        cache.touch('a');
        assert_eq!(cache.insert('d', vec![7]), ['b']);
        assert_eq!(cache.evict(), Some('c'));
        assert_eq!(cache.evict(), Some('a'));
        assert_eq!(cache.evict(), Some('d'));
        assert_eq!(cache.evict(), None);
    }

    #[test]
    fn a_continuation_replaces_what_it_continues() {
        let mut cache = filled();
        assert_eq!(cache.insert('d', vec![1, 2, 3, 4]), ['a']);
        assert_eq!(cache.len(), 3);
    }

    #[test]
    fn what_is_known_already_is_not_kept_twice() {
        let mut cache = filled();
        assert_eq!(cache.insert('d', vec![1, 2]), ['d']);
        assert_eq!(cache.insert('e', vec![1, 2, 4, 5]), ['e']);
        assert_eq!(cache.evict(), Some('c'));
    }

    #[test]
    fn a_limit_of_zero_keeps_nothing() {
        let mut cache = PrefixCache::new(0);
        assert_eq!(cache.insert('a', vec![1]), ['a']);
        assert_eq!(cache.len(), 0);
    }
}
