//! Dates as `strftime` writes them in English, for templates that tell the model today's.

use std::fmt::Write;

use minijinja::value::Value;
use minijinja::{Error, ErrorKind};

const SECONDS_PER_DAY: i64 = 86_400;
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
/// Letters of an abbreviated name.
const SHORT: usize = 3;

/// A directive that is not known.
#[derive(Debug, thiserror::Error)]
#[error("strftime_now does not know `%{0}`")]
pub(crate) struct UnknownDirective(String);

/// Years since 0, and month and day from 1, of a day counted from 1970-01-01.
/// Source: <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn civil_from_days(days: i64) -> (i64, usize, i64) {
    const DAYS_PER_ERA: i64 = 146_097;
    const YEARS_PER_ERA: i64 = 400;
    // Days from 0000-03-01 to 1970-01-01: years that start in March end with the leap day.
    let days = days + 719_468;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month = (months_since_march + 2) % 12 + 1;
    let year = year_of_era + era * YEARS_PER_ERA + i64::from(month <= 2);
    (year, month as usize, day)
}

/// The time `now`, in seconds since 1970-01-01T00:00:00, in `format`.
pub(crate) fn format(now: i64, format: &str) -> Result<String, UnknownDirective> {
    let days = now.div_euclid(SECONDS_PER_DAY);
    let second = now.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let (year, month, day) = civil_from_days(days);
    let month_name = MONTHS[month - 1];
    // 1970-01-01 was a Thursday.
    let weekday = WEEKDAYS[(days + 4).rem_euclid(7) as usize];

    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let directive = chars.next();
        // Writing to a string does not fail.
        let _ = match directive {
            Some('Y') => write!(out, "{year}"),
            Some('y') => write!(out, "{:02}", year.rem_euclid(100)),
            Some('m') => write!(out, "{month:02}"),
            Some('d') => write!(out, "{day:02}"),
            Some('B') => write!(out, "{month_name}"),
            Some('b') => write!(out, "{}", &month_name[..SHORT]),
            Some('A') => write!(out, "{weekday}"),
            Some('a') => write!(out, "{}", &weekday[..SHORT]),
            Some('H') => write!(out, "{hour:02}"),
            Some('I') => write!(out, "{:02}", (hour + 11) % 12 + 1),
            Some('p') => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
            Some('M') => write!(out, "{minute:02}"),
            Some('S') => write!(out, "{:02}", second % 60),
            Some('%') => write!(out, "%"),
            _ => return Err(UnknownDirective(directive.into_iter().collect())),
        };
    }
    Ok(out)
}

/// The function `strftime_now` of templates, at the time `now`.
pub(crate) fn function(now: i64) -> Value {
    Value::from_function(move |pattern: String| {
        format(now, &pattern)
            .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        let full = "%A %a %d %B %b %Y %y %m %H:%M:%S %I %p %%";
        for (now, expected) in [
            (0, "Thursday Thu 01 January Jan 1970 70 01 00:00:00 12 AM %"),
            (
                951_827_696,
                "Tuesday Tue 29 February Feb 2000 00 02 12:34:56 12 PM %",
            ),
            (
                1_732_323_723,
                "Saturday Sat 23 November Nov 2024 24 11 01:02:03 01 AM %",
            ),
            (
                -1,
                "Wednesday Wed 31 December Dec 1969 69 12 23:59:59 11 PM %",
            ),
        ] {
            assert_eq!(format(now, full).expect("known directives"), expected);
        }
    }

    #[test]
    fn days_follow_each_other() {
        let date = |day: i64| format(day * SECONDS_PER_DAY, "%Y-%m-%d").expect("known directives");
        assert_eq!(
            [date(-141_427), date(-25_509), date(19_782), date(19_783)],
            ["1582-10-15", "1900-02-28", "2024-02-29", "2024-03-01"]
        );
        assert_eq!(date(-25_508), "1900-03-01");
    }

    #[test]
    fn unknown_directives_are_refused() {
        assert_eq!(
            format(0, "%Q").expect_err("a refusal").to_string(),
            "strftime_now does not know `%Q`"
        );
        assert!(format(0, "%").is_err());
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        for now in [i64::MIN, i64::MAX] {
            assert!(format(now, "%Y-%m-%d %H:%M:%S").is_ok());
        }
    }
}
