//! Pieces that pages are made of: texts of strangers, times, badges, facts, empty states.
//!
//! Whatever was sent to the gateway is a text here and never markup: maud escapes, and [`text`] shows what would reorder,
//! hide or repaint it as an escape.

use jiff::Timestamp;
use maud::{Markup, html};

use hookgate_engine::telemetry::escape;

/// Characters of a text that are shown before the rest is folded away.
const FOLD_AT: usize = 240;

/// Characters of a text that a page holds at all.
const MAX_SHOWN: usize = 20_000;

/// A text of a stranger on one line, isolated from what stands around it.
pub(super) fn text(raw: &str) -> Markup {
    html! { bdi { (escaped(raw)) } }
}

/// A sentence of this program's own, in which names stand between backticks.
pub(super) fn prose(sentence: &str) -> Markup {
    let pieces: Vec<&str> = sentence.split('`').collect();
    if pieces.len().is_multiple_of(2) {
        return text(sentence);
    }
    html! { @for (index, piece) in pieces.iter().enumerate() { @if index % 2 == 1 { code { (text(piece)) } } @else { (escaped(piece)) } } }
}

/// The same, which may hold a long text of somebody else.
pub(super) fn sentence(raw: &str) -> Markup {
    if raw.chars().count() <= FOLD_AT { prose(raw) } else { long(raw) }
}

/// A text, folded where it is long.
pub(super) fn long(raw: &str) -> Markup {
    let count = raw.chars().count();
    if count <= FOLD_AT {
        return text(raw);
    }
    let head: String = raw.chars().take(FOLD_AT / 2).collect();
    html! {
        details.fold {
            summary { (text(&head)) "… " span.dim { (number(count as u64)) " characters" } }
            div.all { (text(&raw.chars().take(MAX_SHOWN).collect::<String>())) }
            @if count > MAX_SHOWN { p.dim { "The rest is left out: a page shows " (number(MAX_SHOWN as u64)) " characters." } }
        }
    }
}

/// Plain characters as they are, all others as a marked escape.
fn escaped(raw: &str) -> Markup {
    if !raw.chars().any(is_odd) {
        return html! { (raw) };
    }
    let mut pieces = Vec::new();
    let mut plain = String::new();
    for letter in raw.chars() {
        if is_odd(letter) {
            pieces.push(html! { (std::mem::take(&mut plain)) span.esc { (named(letter)) } });
        } else {
            plain.push(letter);
        }
    }
    html! { @for piece in pieces { (piece) } (plain) }
}

fn is_odd(letter: char) -> bool {
    escape::is_deceptive(letter)
}

fn named(letter: char) -> String {
    match letter {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        other => format!("\\u{{{:x}}}", other as u32),
    }
}

/// Several lines of text, such as a diff or a message: line breaks and tabs stay.
pub(super) fn lines(raw: &str) -> Markup {
    let keep = |letter: char| matches!(letter, '\n' | '\t') || !is_odd(letter);
    if raw.chars().all(keep) {
        return html! { (raw) };
    }
    html! {
        @for piece in raw.split_inclusive('\n') {
            @let line = piece.strip_suffix('\n');
            @for (index, part) in line.unwrap_or(piece).split('\t').enumerate() {
                @if index > 0 { "\t" }
                (escaped(part))
            }
            @if line.is_some() { "\n" }
        }
    }
}

/// Millis since 1970 as `14:02:07`, with the whole in `datetime` and `title`. The script of the pages turns it into the
/// time of the reader's zone.
pub(super) fn clock(at: i64) -> Markup {
    let (whole, short) = written(at);
    html! { time datetime=(whole) title=(whole) data-form="clock" { (short) } }
}

/// The same, for rows that the script of the page makes, too.
pub(super) fn clock_slot(time: &str) -> Markup {
    let (whole, short) = written(time.parse().map_or(0, Timestamp::as_millisecond));
    html! { time datetime=(whole) title=(whole) data-form="clock" data-slot="time" { (short) } }
}

/// Millis since 1970 as `2026-03-02 14:02:07`.
pub(super) fn moment(at: i64) -> Markup {
    let (whole, _) = written(at);
    html! { time datetime=(whole) title=(whole) data-form="moment" { (whole.get(..10).unwrap_or_default()) " " (whole.get(11..19).unwrap_or_default()) } }
}

/// RFC 3339 text as a moment, or the text itself.
pub(super) fn moment_of(written: &str) -> Markup {
    match written.parse::<Timestamp>() {
        Ok(time) => moment(time.as_millisecond()),
        Err(_) => text(written),
    }
}

fn written(at: i64) -> (String, String) {
    let time = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    let whole = format!("{time:.3}");
    let short = whole.get(11..19).unwrap_or_default().to_owned();
    (whole, short)
}

/// `950 µs`, `12.4 ms`, `2.51 s`.
pub(super) fn span(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..100_000 => format!("{:.1} ms", us as f64 / 1e3),
        100_000..1_000_000 => format!("{:.0} ms", us as f64 / 1e3),
        1_000_000..120_000_000 => format!("{:.2} s", us as f64 / 1e6),
        _ => age(us / 1_000),
    }
}

/// `40 s`, `12 min`, `3.5 h`, `2 days`, of milliseconds.
pub(super) fn age(ms: u64) -> String {
    match ms / 1_000 {
        0 => format!("{ms} ms"),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{:.1} h", seconds as f64 / 3_600.0),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// `1,048,576`
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 job`, `2 jobs`
pub(super) fn counted(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{} {word}s", number(count)) }
}

/// A word for how something ended, with its colour. The word says it all; the colour only helps.
pub(super) fn badge(word: &str) -> Markup {
    html! { span class={ "badge " (tone(word)) } { (text(word)) } }
}

/// `bad`, `warn`, `good` or nothing.
pub(super) fn tone(word: &str) -> &'static str {
    match word {
        "failed" | "dead" | "error" => "bad",
        "refused" | "denied" | "unverified" | "blocked" | "warning" | "unknown" | "building" => "warn",
        "allowed" | "verified" | "done" | "acted" | "ok" | "current" | "running" => "good",
        _ => "",
    }
}

/// Where there is nothing to show: why, what to do next, and a command to copy.
pub(super) fn empty(title: &str, next: &Markup, command: Option<&str>) -> Markup {
    html! {
        div.empty {
            p.lead { (title) }
            p { (next) }
            @if let Some(command) = command { (copied(command)) }
        }
    }
}

/// A command or text to copy; the script of the pages adds the button.
pub(super) fn copied(command: &str) -> Markup {
    html! { div.command { code data-copy="" { (command) } } }
}

/// Names and values beside one another; what has no value is left out.
pub(super) fn facts(rows: &[(&str, Option<Markup>)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in rows {
                @if let Some(value) = value { div { dt { (name) } dd { (value) } } }
            }
        }
    }
}

/// An id that is to be compared or copied.
pub(super) fn id(raw: &str) -> Markup {
    html! { code.id data-copy="" { (text(raw)) } }
}

/// An address within the viewer: `path` and a query of what is not empty, encoded.
pub(super) fn address(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    pairs.iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| {
        query.append_pair(name, value);
    });
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// One segment of a path, encoded.
pub(super) fn segment(raw: &str) -> String {
    percent_encoding::utf8_percent_encode(raw, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The rest of a list.
pub(super) fn more(address: Option<String>) -> Markup {
    html! { @if let Some(address) = address { p.more { a rel="next" href=(address) { "Older" } } } }
}

/// A unified diff, its lines coloured by what they do.
pub(super) fn diff(unified: &str) -> Markup {
    html! {
        pre.diff tabindex="0" {
            @for line in unified.lines() {
                @let class = match line.as_bytes().first() {
                    Some(b'+') => "add",
                    Some(b'-') => "del",
                    Some(b'@') => "at",
                    _ => "same",
                };
                span class=(class) { (lines(line)) "\n" }
            }
        }
    }
}

/// A choice in a form of filters.
pub(super) fn choice(name: &str, label: &str, any: &str, chosen: &str, options: &[String]) -> Markup {
    html! {
        label { span { (label) }
            select name=(name) {
                option value="" { (any) }
                @for option in options { option value=(option) selected[option == chosen] { (option) } }
                @if !chosen.is_empty() && !options.iter().any(|option| option == chosen) {
                    option value=(chosen) selected { (text_only(chosen)) }
                }
            }
        }
    }
}

/// At most so many characters.
pub(super) fn cut(raw: &str, most: usize) -> String {
    match raw.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &raw[..end]),
        None => raw.to_owned(),
    }
}

/// For places that hold text alone, such as titles and options.
pub(super) fn text_only(raw: &str) -> String {
    let mut out = String::new();
    for letter in raw.chars().take(FOLD_AT) {
        if is_odd(letter) { out.push_str(&named(letter)) } else { out.push(letter) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_are_shown_and_do_nothing() {
        let table = [
            ("plain <b>", "<bdi>plain &lt;b&gt;</bdi>"),
            ("\u{1b}[31m", r#"<bdi><span class="esc">\u{1b}</span>[31m</bdi>"#),
            ("a\u{202e}b", r#"<bdi>a<span class="esc">\u{202e}</span>b</bdi>"#),
            ("\u{feff}\u{200b}", r#"<bdi><span class="esc">\u{feff}</span><span class="esc">\u{200b}</span></bdi>"#),
            ("שלום 世界 👩‍👩‍👧", "<bdi>שלום 世界 👩‍👩‍👧</bdi>"),
        ];
        for (given, expected) in table {
            assert_eq!(text(given).into_string(), expected);
        }
        assert_eq!(lines("a\tb\n\u{7}c").into_string(), "a\tb\n<span class=\"esc\">\\u{7}</span>c");
        assert_eq!(text_only("a\nb"), "a\\nb");
    }

    #[test]
    fn names_in_sentences_stand_out() {
        assert_eq!(prose("`a<b` is odd").into_string(), "<code><bdi>a&lt;b</bdi></code> is odd");
        assert_eq!(prose("one ` alone").into_string(), "<bdi>one ` alone</bdi>");
    }

    #[test]
    fn long_texts_are_folded_and_capped() {
        let page = long(&"x".repeat(1 << 20)).into_string();
        assert!(page.contains("1,048,576 characters") && page.len() < 30_000, "{}", page.len());
        assert_eq!(long("short").into_string(), "<bdi>short</bdi>");
    }

    #[test]
    fn numbers_and_times_are_written_for_people() {
        assert_eq!([number(0), number(999), number(1_000), number(12_345_678)], ["0", "999", "1,000", "12,345,678"]);
        assert_eq!([span(7), span(12_400), span(450_000), span(2_510_000)], ["7 µs", "12.4 ms", "450 ms", "2.51 s"]);
        assert_eq!([age(900), age(40_000), age(720_000), age(200_000_000)], ["900 ms", "40 s", "12 min", "2 days"]);
        let page = moment(1_772_460_127_500).into_string();
        assert!(page.contains("2026-03-02 14:02:07") && page.contains("2026-03-02T14:02:07.500Z"), "{page}");
    }

    #[test]
    fn addresses_are_encoded() {
        assert_eq!(address("/", &[("route", ""), ("q", "a b&c")]), "/?q=a+b%26c");
        assert_eq!(segment("a/b?"), "a%2Fb%3F");
    }
}
