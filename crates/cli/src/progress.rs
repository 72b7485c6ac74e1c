//! Progress bars on standard error, which indicatif hides where that is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar in bytes, with what is being done to them in front.
pub(crate) fn bytes(what: &'static str, total: u64) -> ProgressBar {
    bar(
        what,
        total,
        "{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
    )
}

/// A bar in steps, with what they do in front and the latest result behind.
pub(crate) fn steps(what: &'static str, total: u64) -> ProgressBar {
    bar(what, total, "{prefix} {wide_bar} {pos}/{len} {eta} {msg}")
}

fn bar(what: &'static str, total: u64, template: &str) -> ProgressBar {
    const REDRAW: Duration = Duration::from_millis(100);
    let bar = ProgressBar::new(total).with_prefix(what);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(REDRAW);
    bar
}
