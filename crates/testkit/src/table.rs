//! Tests over a table of cases.

use std::fmt::Display;

/// Runs `check` on every named case, and reports all that failed at once.
///
/// # Panics
/// If a check failed, or there was no case.
#[track_caller]
pub fn check_table<N: Display, C, E: Display>(
    cases: impl IntoIterator<Item = (N, C)>,
    mut check: impl FnMut(C) -> Result<(), E>,
) {
    let mut total = 0;
    let mut failures = Vec::new();
    for (name, case) in cases {
        total += 1;
        if let Err(reason) = check(case) {
            failures.push(format!("  {name}: {reason}"));
        }
    }
    assert!(total > 0, "the table has no cases");
    assert!(
        failures.is_empty(),
        "{} of {total} cases failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "2 of 3 cases failed:\n  b: odd 3\n  c: odd 5")]
    fn every_failure_is_listed() {
        check_table([("a", 2), ("b", 3), ("c", 5)], |n| match n % 2 {
            0 => Ok(()),
            _ => Err(format!("odd {n}")),
        });
    }

    #[test]
    #[should_panic(expected = "no cases")]
    fn an_empty_table_proves_nothing() {
        check_table([("a", ()); 0], |()| Ok::<(), String>(()));
    }
}
