//! Which stored models go when there is no room for another.

/// Chooses models, each given as when it was used last (Unix milliseconds) and the bytes it frees, until `lacking` bytes are
/// free: those that have not been used for longest. Gives their places in the list; `None` if all of them together
/// are too few, and none should go in vain.
pub fn choose(models: impl Iterator<Item = (f64, u64)>, lacking: u64) -> Option<Vec<usize>> {
    let mut models: Vec<_> = models.enumerate().collect();
    models.sort_by(|(_, (a, _)), (_, (b, _))| a.total_cmp(b));
    let mut chosen = Vec::new();
    let mut freed = 0_u64;
    for (place, (_, bytes)) in models {
        if freed >= lacking {
            break;
        }
        freed = freed.saturating_add(bytes);
        chosen.push(place);
    }
    (freed >= lacking).then_some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_go_first_and_no_more_than_needed() {
        let models = [(30.0, 5), (10.0, 3), (20.0, 4)];
        let choose = |lacking| choose(models.iter().copied(), lacking);
        assert_eq!(choose(0), Some(vec![]));
        assert_eq!(choose(3), Some(vec![1]));
        assert_eq!(choose(4), Some(vec![1, 2]));
        assert_eq!(choose(12), Some(vec![1, 2, 0]));
    }

    #[test]
    fn nothing_goes_in_vain() {
        assert_eq!(choose([(1.0, 5)].into_iter(), 6), None);
        assert_eq!(choose([].into_iter(), 1), None);
    }
}
