//! Dates for people: a wall clock's milliseconds as Neo4j's logs and beans print them.

use core::fmt;

/// When virtual time zero is on the wall clocks of simulated machines: 21 October 2015,
/// 00:00 UTC (the first day of that year's GraphConnect), in milliseconds since 1970.
pub const WALL_START_MS: u64 = 1_445_385_600_000;

/// A moment in UTC. Prints as `2015-10-21 00:00:00.000+0000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(u64);

impl Date {
    /// That many milliseconds after the beginning of 1970.
    pub const fn from_unix_ms(ms: u64) -> Date {
        Date(ms)
    }

    /// Year, month (from 1) and day of the month (from 1).
    ///
    /// Days since 1 March of year 0, in cycles of 400 years (proleptic Gregorian calendar).
    pub const fn civil(self) -> (u64, u64, u64) {
        let days = self.0 / 86_400_000 + 719_468;
        let (cycle, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let of_month = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        (cycle * 400 + year + next, month, of_month)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        let (ms, seconds) = (self.0 % 1_000, self.0 / 1_000 % 86_400);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{ms:03}+0000")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::ToString;

    #[test]
    fn known_moments_print_as_known() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00.000+0000"),
            (951_782_400_000, "2000-02-29 00:00:00.000+0000"),
            (WALL_START_MS + 12_345, "2015-10-21 00:00:12.345+0000"),
            (1_483_228_799_999, "2016-12-31 23:59:59.999+0000"),
            (4_107_542_400_000, "2100-03-01 00:00:00.000+0000"),
        ] {
            assert_eq!(Date::from_unix_ms(ms).to_string(), text);
        }
    }
}
