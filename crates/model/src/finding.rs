//! One complaint about a bundle: where it is, what is wrong, what to write instead.
//!
//! Configuration, scripts and tables all report in this form, so `check`, `serve` and the admin API use the same words.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;
use utoipa::ToSchema;

/// Whether a bundle with this finding may go live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The release is refused.
    Error,
    /// The release goes live.
    Warning,
}

/// A line that is shown with a finding has at most so many bytes. Longer ones are generated, and nobody reads them.
const MOST_EXCERPT: usize = 2_000;

/// Names longer than this are not compared: the time grows with the product of both lengths.
const MOST_COMPARED: usize = 100;

/// A finding at a place of a file. `line` and `column` count from 1 (in characters); 0 means unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    pub severity: Severity,
    /// `config/unknown-key`, `script/unknown-function`, …: stable, for SARIF and for `allow` comments.
    pub code: &'static str,
    /// Path relative to the bundle, with `/`.
    pub file: String,
    pub line: usize,
    pub column: usize,
    /// How many characters the caret underlines; at least 1 where the place is known.
    pub length: usize,
    /// Key path in `gateway.toml`, such as `routes.signup.auth`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The text of the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// Calls that led here, innermost first: `(file, line, function)`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pub called_from: Vec<(String, usize, String)>,
}

impl Finding {
    /// An error in `file` as a whole.
    pub fn error(code: &'static str, file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            file: file.into(),
            line: 0,
            column: 0,
            length: 0,
            key: None,
            message: message.into(),
            help: None,
            excerpt: None,
            called_from: Vec::new(),
        }
    }

    /// A warning about `file` as a whole.
    pub fn warning(code: &'static str, file: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, file, message) }
    }

    /// Places the finding, taking the excerpt from `source` and underlining the word at that place.
    #[must_use]
    pub fn at(self, source: &str, line: usize, column: usize) -> Self {
        let text = line.checked_sub(1).and_then(|index| source.lines().nth(index));
        self.at_line(text, line, column)
    }

    /// The same where the text of the line is known. A line of more than `MOST_EXCERPT` bytes is not shown.
    #[must_use]
    pub fn at_line(mut self, text: Option<&str>, line: usize, column: usize) -> Self {
        self.line = line;
        self.column = column;
        if let Some(text) = text {
            self.length = word_length(text, column).min(MOST_EXCERPT);
            self.excerpt = Some(text).filter(|text| text.len() <= MOST_EXCERPT).map(str::to_owned);
        }
        self
    }

    /// Places the finding at a byte range of `source`.
    #[must_use]
    pub fn at_span(mut self, source: &str, span: std::ops::Range<usize>) -> Self {
        let start = span.start.min(source.len());
        let before = source.get(..start).unwrap_or_default();
        self.line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |index| index + 1);
        self.column = before[line_start..].chars().count() + 1;
        let excerpt = source[line_start..].lines().next();
        self.excerpt = excerpt.filter(|text| text.len() <= MOST_EXCERPT).map(str::to_owned);
        let text = source.get(start..span.end.min(source.len())).unwrap_or_default();
        self.length = text.lines().next().unwrap_or_default().chars().count().max(1);
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// `file:line:column: message` on one line, for logs and JSON consumers.
    pub fn one_line(&self) -> String {
        let mut text = self.file.clone();
        if self.line > 0 {
            text.push_str(&format!(":{}:{}", self.line, self.column));
        }
        text.push_str(": ");
        if let Some(key) = &self.key {
            text.push_str(&format!("`{key}`: "));
        }
        text.push_str(&self.message);
        if let Some(help) = &self.help {
            text.push_str(&format!(" ({help})"));
        }
        text
    }

    /// The same finding for logs and for what is kept for good. A test that failed quotes what it gave and what it got, and
    /// that may be a call which somebody saved: of it the name and the place are left.
    #[must_use]
    pub fn for_logs(&self) -> Self {
        if !self.code.starts_with("test/") || TESTS_WITHOUT_VALUES.contains(&self.code) {
            return self.clone();
        }
        let id = self.message.strip_prefix("test `").and_then(|rest| rest.split_once('`')).map(|(id, _)| id);
        let (message, help) = match id {
            Some(id) => (format!("test `{id}` failed"), format!("`hookgate test --filter '^{id}$'` shows how")),
            None => ("a test failed".to_owned(), "`hookgate test` shows how".to_owned()),
        };
        Self { message, help: Some(help), excerpt: None, called_from: Vec::new(), ..self.clone() }
    }

    /// Excerpt, caret and remedy over several lines, as rustc prints them.
    pub fn render(&self, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = match &self.key {
            Some(key) => format!("`{key}`: {}", self.message),
            None => self.message.clone(),
        };
        let mut group = Group::with_title(level.primary_title(title).id(self.code));
        if let (Some(excerpt), true) = (&self.excerpt, self.line > 0) {
            let span = char_span(excerpt, self.column, self.length);
            group = group.element(
                Snippet::source(excerpt.as_str())
                    .line_start(self.line)
                    .path(self.file.as_str())
                    .annotation(AnnotationKind::Primary.span(span)),
            );
        } else {
            group = group.element(annotate_snippets::Origin::path(self.file.as_str()));
        }
        for same in self.called_from.chunk_by(|one, next| one == next) {
            let (file, line, function) = &same[0];
            let times = if same.len() > 1 { format!(", at least {} times", same.len()) } else { String::new() };
            group = group.element(Level::NOTE.message(format!("called by `{function}` at {file}:{line}{times}")));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

/// Findings about tests whose words hold nothing of a test.
const TESTS_WITHOUT_VALUES: [&str; 3] = ["test/gate-timeout", "test/no-assertion", "test/no-script"];

/// The nearest of `candidates` to what somebody wrote, if one is near enough to be meant.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let score = |candidate: &str| {
        let longest = written.chars().count().max(candidate.chars().count()).max(1);
        let edits = 1.0 - strsim::damerau_levenshtein(written, candidate) as f64 / longest as f64;
        strsim::jaro_winkler(written, candidate).max(edits)
    };
    let short = |text: &str| text.len() <= MOST_COMPARED;
    let candidates = candidates.into_iter().filter(|candidate| short(candidate) && short(written));
    let scored = candidates.map(|candidate| (score(candidate), candidate));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}

/// Whether one name was meant and the other one written: one letter in four, at most, is another one, missing, too many or swapped.
pub fn is_misspelled(written: &str, meant: &str) -> bool {
    let shortest = written.chars().count().min(meant.chars().count());
    shortest <= MOST_COMPARED && strsim::damerau_levenshtein(written, meant) * 4 <= shortest
}

/// What to say of a name that nothing has: ``there is no route `sigup`; did you mean `signup`?``
pub fn unknown(what: &str, name: &str, names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match nearest(name, names.iter().copied()) {
        Some(near) => format!("there is no {what} `{name}`; did you mean `{near}`?"),
        None if names.is_empty() => format!("there is no {what} `{name}`, and no other {what} either"),
        None => format!("there is no {what} `{name}`; there is: {}", names.join(", ")),
    }
}

fn word_length(line: &str, column: usize) -> usize {
    let rest = || line.chars().skip(column.saturating_sub(1));
    let word = rest().take_while(|c| c.is_alphanumeric() || *c == '_').count();
    let operator = || rest().take_while(|c| "=<>!&|+-*:?".contains(*c)).count();
    if word > 0 { word } else { operator().max(1) }
}

fn char_span(line: &str, column: usize, length: usize) -> std::ops::Range<usize> {
    let offset = |chars: usize| line.char_indices().nth(chars).map_or(line.len(), |(index, _)| index);
    let start = column.saturating_sub(1);
    offset(start)..offset(start + length.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_place_excerpt_and_remedy() {
        let source = "fn f(request) {\n    request.emial\n}";
        let finding = Finding::error("script/unknown-property", "a.rhai", "unknown property `emial`")
            .at(source, 2, 13)
            .help("did you mean `email`?");
        let text = finding.render(&Renderer::plain());
        for part in ["a.rhai:2:13", "request.emial", "^^^^^", "did you mean `email`?", "script/unknown-property"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert_eq!(finding.one_line(), "a.rhai:2:13: unknown property `emial` (did you mean `email`?)");
    }

    #[test]
    fn logs_get_no_values_of_a_test() {
        let quoting = |code, message: &str| Finding::error(code, "scripts/cases/a/x.json", message).at("CANARY", 1, 1);
        let told = quoting("test/case", "test `a::case/x`: not what the case says: CANARY").help("CANARY").for_logs();
        assert_eq!(
            told.one_line(),
            "scripts/cases/a/x.json:1:1: test `a::case/x` failed (`hookgate test --filter '^a::case/x$'` shows how)"
        );
        assert!(!told.render(&Renderer::plain()).contains("CANARY"));
        assert!(!quoting("test/assertion", "CANARY").for_logs().one_line().contains("CANARY"));
        let other = quoting("test/no-script", "there is no script").help("write one");
        assert_eq!(other.for_logs(), other);
    }

    #[test]
    fn a_byte_span_becomes_line_and_column() {
        let finding = Finding::error("config/x", "gateway.toml", "m").at_span("a = 1\nü = 22\n", 11..13);
        assert_eq!((finding.line, finding.column, finding.length), (2, 5, 2));
    }

    #[test]
    fn only_near_names_are_suggested() {
        assert_eq!(nearest("lisen", ["listen", "token"]), Some("listen"));
        assert_eq!(nearest("zebra", ["listen", "token"]), None);
    }
}
