//! Days of the calendar, counted from the first of January 1970.
//!
//! Law: years are of any size that a client can write, as `LocalDate.MAX` is (999,999,999): libraries for dates end long before.
//! Must not know: time of day, zones.

/// Days of an era of 400 years.
const ERA: i64 = 146_097;
/// Days from the first of March of year 0 to 1970.
const TO_1970: i64 = 719_468;

/// Days to a date. A year is counted from the first of March, so that a leap day is its last.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 1 - TO_1970
}

/// Year, month and day.
pub fn date(days: i64) -> (i64, i64, i64) {
    let days = days + TO_1970;
    let (era, of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, after) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + after, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar_and_back() {
        let known = [(0, (1970, 1, 1)), (-1, (1969, 12, 31)), (19_782, (2024, 2, 29)), (19_783, (2024, 3, 1))];
        known.iter().for_each(|(count, wanted)| assert_eq!(date(*count), *wanted));
        let largest = days(999_999_999, 12, 31);
        for count in (-1_000_000..1_000_000).chain([largest, -largest]) {
            let (year, month, day) = date(count);
            assert_eq!(days(year, month, day), count, "{year}-{month}-{day}");
        }
        assert_eq!(date(largest), (999_999_999, 12, 31));
    }
}
