//! Mistakes of TOML itself, in plain words with a remedy.

use toml::de::Error;

use crate::config::MOST_FINDINGS;
use crate::config::source::Source;
use hookgate_model::finding::Finding;
use hookgate_model::secret::literal;

/// How the parser's message starts, the same in plain words, and what to do about it.
const REMEDIES: [(&str, &str, &str); 17] = [
    ("invalid basic string", "a text is not closed", "end it with a double quote on the same line"),
    ("invalid literal string", "a text is not closed", "end it with a single quote on the same line"),
    ("string values must be quoted", "a text without quotes", "put the value in double quotes"),
    ("missing opening quote", "a text without its first quote", "put the text in double quotes"),
    (
        "invalid unquoted key",
        "not a key",
        "a key is made of letters, digits, `_` and `-`; quote it if it must have others",
    ),
    ("unquoted keys cannot be empty", "a key is missing", "write a name before `=`"),
    ("key with no value", "a key without a value", "write `key = value`"),
    ("missing value", "a key without a value", "write a value after `=`"),
    ("missing assignment", "`=` is missing", "write `key = value`"),
    ("extra `=`", "`=` twice", "remove one `=`"),
    ("unclosed array table", "the header is not closed", "end it with `]]`"),
    ("unclosed array", "the array is not closed", "end it with `]`"),
    ("unclosed inline table", "the table is not closed", "end it with `}`"),
    ("unclosed table", "the header is not closed", "end it with `]`"),
    (
        "missing comma between array",
        "the array goes on without a comma",
        "put a comma between items, or end it with `]`",
    ),
    ("missing comma", "the table goes on without a comma", "put a comma between entries, or end it with `}`"),
    ("unexpected key or value", "more than one thing on a line", "start a new line for every `key = value`"),
];

/// Findings for the parser's errors, one per line of the file; whether the tree can be relied on in spite of them.
pub(super) fn findings(source: &Source, errors: &[Error]) -> (Vec<Finding>, bool) {
    let mut findings: Vec<Finding> = Vec::new();
    let is_duplicate = |error: &Error| error.message() == "duplicate key";
    let reliable = errors.iter().all(is_duplicate);
    let mut errors: Vec<&Error> = errors.iter().take(MOST_FINDINGS).collect();
    // A text that is not closed swallows the brackets behind it, so it is the cause of whatever else is on the line.
    errors.sort_by_key(|error| !error.message().starts_with("invalid basic string"));
    for error in errors {
        let finding = if is_duplicate(error) { repeated(source, error) } else { broken(source, error) };
        // What follows on the same line is mostly the echo of the first mistake.
        if findings.iter().all(|known| known.line != finding.line) {
            findings.push(finding);
        }
    }
    (findings, reliable)
}

fn repeated(source: &Source, error: &Error) -> Finding {
    let name = source.shown(error.span().unwrap_or_default());
    source
        .placed("config/duplicate-name", error.span(), format!("`{name}` is written twice in the same section"))
        .help("keep one of the two")
}

fn broken(source: &Source, error: &Error) -> Finding {
    let message = error.message();
    let known = REMEDIES.iter().find(|(start, ..)| message.starts_with(start));
    let blank = error.span().is_some_and(|span| source.shown(span).trim().is_empty());
    let (message, help) = match known {
        Some(("string values must be quoted", ..)) if blank => {
            ("a key without a value", Some("write a value after `=`"))
        }
        Some((_, message, help)) => (*message, Some(*help)),
        None => (message, None),
    };
    let finding = source.placed("config/syntax", error.span(), format!("not valid TOML: {message}"));
    let finding = match help {
        Some(help) => finding.help(help),
        None => finding,
    };
    let header = source.header_before(error.span().unwrap_or_default().start);
    if may_hold_secrets(header, finding.excerpt.as_deref().unwrap_or_default()) {
        without_values(finding)
    } else {
        finding
    }
}

/// Whether a line of a section may hold a secret or a part of one: by the section, by a name in the line, or by its form.
fn may_hold_secrets(header: &str, line: &str) -> bool {
    let section = |text: &str| {
        let first = text.trim_start_matches(['[', ' ']).split(['.', ']', ' ', '=']).next().unwrap_or_default();
        let first = first.trim_matches(['"', '\'']).to_owned();
        ["auth", "admin", "connectors", "telemetry", "store"].contains(&first.as_str())
    };
    let words = || line.split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != '-');
    let in_reconcile = header.contains("reconcile") || line.contains("reconcile");
    section(header)
        || (header.is_empty() && section(line))
        || in_reconcile
        || words().any(|word| literal::names_secret(word) > literal::Certainty::No)
        || line.split(['"', '\'', ' ']).any(|part| literal::secret_in(part).is_some() || literal::looks_random(part))
}

/// Hides what may be half of a secret: the tree cannot tell, because the line is broken.
fn without_values(mut finding: Finding) -> Finding {
    finding.excerpt = finding.excerpt.map(|line| match line.find('=') {
        _ if line.trim_start().starts_with('[') => line,
        Some(equals) => line.char_indices().map(|(at, c)| if at > equals && c != ' ' { '*' } else { c }).collect(),
        None => line.chars().map(|c| if c == ' ' { c } else { '*' }).collect(),
    });
    finding
}
