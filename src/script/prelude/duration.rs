//! Lengths of time as people write them: `90s`, `15m`, `2h`, `7d`, `1h30m`.

use jiff::SignedDuration;

/// The longest length that is accepted: about a century keeps every sum with a date in range.
const MAX_SECONDS: i64 = 100 * 366 * 86_400;

/// Reads `90s`, `15m`, `2h`, `7d`, `2w`, `500ms` or a sum such as `1h30m`. A day is 24 hours.
///
/// # Errors
/// What is wrong and how to write it.
pub fn parse(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("`{text}` is not a length of time: write `90s`, `15m`, `2h`, `7d` or `1h30m`");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = SignedDuration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        let tail = &rest[digits..];
        let unit = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        total = scale(count, &tail[..unit])
            .and_then(|part| total.checked_add(part))
            .filter(|total| total.as_secs() <= MAX_SECONDS)
            .ok_or_else(wrong)?;
        rest = tail[unit..].trim_start();
    }
    Ok(total)
}

fn scale(count: i64, unit: &str) -> Option<SignedDuration> {
    let seconds = match unit {
        "ms" => return Some(SignedDuration::from_millis(count)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    count.checked_mul(seconds).map(SignedDuration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_add_up() {
        for (text, seconds) in
            [("90s", 90), ("15m", 900), ("2h", 7_200), ("7d", 604_800), ("1h30m", 5_400), ("1h 5s", 3_605), ("0s", 0)]
        {
            assert_eq!(parse(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("500ms"), Ok(SignedDuration::from_millis(500)));
    }

    #[test]
    fn what_is_no_length_names_itself() {
        for text in
            ["", "5", "m", "5 minutes", "-5m", "1.5h", "2y", "99999999999999999999s", "9223372036854775807w", "200000d"]
        {
            let message = parse(text).expect_err(text);
            assert!(message.contains(&format!("`{text}`")) && message.contains("1h30m"), "{message}");
        }
    }
}
