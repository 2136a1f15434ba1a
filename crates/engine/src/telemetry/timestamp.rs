//! RFC 3339 times in UTC with milliseconds, cheaply: the calendar is worked out once a second.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Remembers how the current second is written.
#[derive(Default)]
pub(crate) struct Stamp {
    second: u64,
    /// `2026-05-01T10:00:00.`
    text: String,
}

impl Stamp {
    /// Appends the present time, such as `2026-05-01T10:00:00.123Z`.
    pub(crate) fn push_now(&mut self, line: &mut Vec<u8>) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.push(line, since.as_secs(), since.subsec_millis());
    }

    fn push(&mut self, line: &mut Vec<u8>, second: u64, millis: u32) {
        if self.second != second || self.text.is_empty() {
            let time =
                i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok()).unwrap_or_default();
            self.text = time.strftime("%Y-%m-%dT%H:%M:%S.").to_string();
            self.second = second;
        }
        line.extend_from_slice(self.text.as_bytes());
        for divisor in [100, 10, 1] {
            // One digit: it fits a byte.
            line.push(b'0' + (millis / divisor % 10) as u8);
        }
        line.push(b'Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_full_and_follows_the_second() {
        let mut stamp = Stamp::default();
        let mut line = Vec::new();
        for (second, millis) in [(0, 7), (1_800_000_000, 120), (1_800_000_000, 999), (1_800_000_001, 0)] {
            stamp.push(&mut line, second, millis);
            line.push(b' ');
        }
        let expected =
            "1970-01-01T00:00:00.007Z 2027-01-15T08:00:00.120Z 2027-01-15T08:00:00.999Z 2027-01-15T08:00:01.000Z ";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }
}
