//! Dates as counts of days, for what expires and what grows old.

use std::time::{SystemTime, UNIX_EPOCH};

/// Days since 1970-01-01, today.
pub fn today() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs() / 86_400).unwrap_or(i64::MAX)
}

/// Days since 1970-01-01 of a date `YYYY-MM-DD` (Gregorian).
pub fn days(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    Some(year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted() {
        assert_eq!(days("1970-01-01"), Some(0));
        assert_eq!(days("2000-02-29"), Some(11_016));
        assert_eq!(days("2000-03-01"), Some(11_017));
        assert_eq!(days("2026-08-20"), Some(20_685));
        for odd in ["", "2026", "2026-13-01", "2026-01-00", "today"] {
            assert_eq!(days(odd), None, "{odd}");
        }
    }
}
