//! Which tokens of which requests are computed in one step.

/// Tokens of one running request, by its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) index: usize,
    pub(crate) tokens: usize,
}

/// Shares `budget` tokens out. `remaining` says how many tokens of each request are not computed yet, one at least.
///
/// Requests with a single token left are answering: each gets it in every step, so that nobody's answer waits for
/// another's prompt. The rest of the budget goes to prompts, first to the one at place `turn` or the next after it,
/// as much as it can use, then on in the round.
pub(crate) fn plan(remaining: &[usize], budget: usize, turn: usize) -> Vec<Chunk> {
    let answering = (0..remaining.len()).filter(|&index| remaining[index] == 1);
    let mut chunks: Vec<_> = answering
        .map(|index| Chunk { index, tokens: 1 })
        .take(budget)
        .collect();
    let mut left = budget - chunks.len();
    let round = (0..remaining.len()).map(|step| (turn + step) % remaining.len());
    for index in round.filter(|&index| remaining[index] > 1) {
        let tokens = remaining[index].min(left);
        if tokens == 0 {
            break;
        }
        left -= tokens;
        chunks.push(Chunk { index, tokens });
    }
    chunks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(chunks: Vec<Chunk>) -> Vec<(usize, usize)> {
        chunks
            .into_iter()
            .map(|chunk| (chunk.index, chunk.tokens))
            .collect()
    }

    #[test]
    fn answers_come_before_prompts() {
        assert_eq!(
            pairs(plan(&[100, 1, 30, 1], 32, 0)),
            [(1, 1), (3, 1), (0, 30)]
        );
        assert_eq!(
            pairs(plan(&[100, 1, 20, 1], 32, 2)),
            [(1, 1), (3, 1), (2, 20), (0, 10)]
        );
        assert_eq!(pairs(plan(&[], 32, 0)), []);
    }

    #[test]
    fn prompts_take_turns() {
        assert_eq!(pairs(plan(&[50, 50, 50], 10, 0)), [(0, 10)]);
        assert_eq!(pairs(plan(&[50, 50, 50], 10, 1)), [(1, 10)]);
        assert_eq!(pairs(plan(&[50, 50, 50], 10, 3)), [(0, 10)]);
    }

    proptest! {
        #[test]
        fn the_budget_is_kept_and_used(
            remaining in prop::collection::vec(1usize..60, 0..10),
            budget in 11usize..80,
            turn in 0usize..12,
        ) {
            let chunks = plan(&remaining, budget, turn);
            let used: usize = chunks.iter().map(|chunk| chunk.tokens).sum();
            prop_assert_eq!(used, budget.min(remaining.iter().sum()));
            for (index, &left) in remaining.iter().enumerate() {
                let given: Vec<_> = chunks.iter().filter(|chunk| chunk.index == index).collect();
                prop_assert!(given.len() <= 1);
                prop_assert!(given.iter().all(|chunk| (1..=left).contains(&chunk.tokens)));
                prop_assert!(left > 1 || given.len() == 1, "an answer was left out");
            }
        }
    }
}
