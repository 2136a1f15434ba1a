//! Who may see what. This is the one place that decides it.
//!
//! The [`Desk`](crate::admin::desk::Desk) is the only way to the store, the files and the releases. It asks a [`Sight`] for
//! everything whose content may come from a call, and hands it on as [`Disclosure`]: a page has to say what it shows where it gets
//! nothing. Secrets are not decided here, because nobody may see those: they never enter the store.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::admin::access::Role;
use hookgate_engine::release::suite;
use hookgate_model::decision::Record;
use hookgate_model::finding::Finding;
use hookgate_store::archive::Part;

/// What is shown, by where its content comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentKind {
    /// What a route with `capture` kept of a call and of its reply.
    Capture,
    /// An event, or what its delivery has in common, as the provider sent it.
    Event,
    /// What an action carries.
    Action,
    /// What one try at a job came to, in words: it may quote the answer of the other side, and that may quote the action.
    Try,
    /// What a failure says that may quote a call or an answer: what a script gave to `throw`, what a lookup said.
    Failure,
    /// The text of the configuration.
    Config,
    /// The text of a configuration that was refused, or not looked at yet: it may hold a secret that somebody wrote there by
    /// mistake.
    UnprovenConfig,
    /// The text of a script that answers calls.
    Script,
    /// The text of a file of tests.
    TestScript,
    /// The text of a golden case, or of another JSON file that tests read: it may be a call that somebody saved.
    Fixture,
    /// The rows of a table.
    Table,
}

impl ContentKind {
    pub const ALL: [Self; 11] = [
        Self::Capture,
        Self::Event,
        Self::Action,
        Self::Try,
        Self::Failure,
        Self::Config,
        Self::UnprovenConfig,
        Self::Script,
        Self::TestScript,
        Self::Fixture,
        Self::Table,
    ];

    /// The least role that may see it.
    pub fn least(self) -> Role {
        match self {
            Self::Config | Self::Script => Role::Reader,
            Self::Capture
            | Self::Event
            | Self::Action
            | Self::Try
            | Self::Failure
            | Self::UnprovenConfig
            | Self::TestScript
            | Self::Fixture
            | Self::Table => Role::Operator,
        }
    }

    /// As the table in `docs/security.md` names it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Capture => "captured calls and their replies",
            Self::Event => "events and their envelopes, as they were sent",
            Self::Action => "what actions carry",
            Self::Try => "what a try at a job came to, in words",
            Self::Failure => {
                "words of a failure that may quote a call or an answer (`throw`, lookups); its place is shown"
            }
            Self::Config => "text of the configuration, its differences, findings about it",
            Self::UnprovenConfig => "text of a configuration on disk that was refused or not looked at yet",
            Self::Script => "texts of scripts, their differences, findings about them",
            Self::TestScript => "texts of `*_test.rhai`, their differences, findings about them",
            Self::Fixture => "texts of golden cases and fixtures, their differences, findings about them",
            Self::Table => "rows of tables, their differences, findings about them",
        }
    }

    /// What a file of a release is. `name` is its path below the scripts folder.
    pub fn of_part(part: Part, name: &str) -> Self {
        match part {
            Part::Config => Self::Config,
            Part::Script if suite::is_test(name) => Self::TestScript,
            Part::Script => Self::Script,
            Part::Fixture => Self::Fixture,
            Part::Table => Self::Table,
        }
    }

    /// What a file is that a finding names by its path below the bundle. What is neither the configuration nor a script is
    /// taken for a fixture.
    fn of_file(file: &str, config: &str) -> Self {
        if file == config {
            return Self::Config;
        }
        match file.ends_with(".rhai") {
            true if suite::is_test(file) => Self::TestScript,
            true => Self::Script,
            false => Self::Fixture,
        }
    }
}

/// What somebody may see. Only [`Identity::sight`](crate::admin::access::Identity::sight) makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    role: Role,
}

impl Sight {
    pub(super) fn of(role: Role) -> Self {
        Self { role }
    }

    pub fn sees(self, subject: ContentKind) -> bool {
        self.role >= subject.least()
    }

    /// The value, or what is said in its place. `bytes` is how long its content is; of nothing, nothing is withheld.
    pub fn show<T>(self, subject: ContentKind, bytes: usize, value: T) -> Disclosure<T> {
        if bytes == 0 || self.sees(subject) {
            Disclosure::Shown(value)
        } else {
            Disclosure::Withheld(WithheldNotice::of(bytes))
        }
    }

    /// A text for people, or the sentence that stands in its place.
    pub fn text(self, subject: ContentKind, text: String) -> String {
        match self.show(subject, text.len(), text) {
            Disclosure::Shown(text) => text,
            Disclosure::Withheld(withheld) => withheld.to_string(),
        }
    }

    /// A finding. Its place always shows; its words and its excerpt do where the text of its file may be seen. `config` is
    /// the name of the configuration's file.
    pub fn finding(self, finding: &Finding, config: &str) -> Finding {
        let subject = ContentKind::of_file(&finding.file, config);
        if self.sees(subject) || WITHOUT_VALUES.contains(&finding.code) {
            return finding.clone();
        }
        let Finding { message, help, excerpt, .. } = finding;
        let bytes = message.len() + [help, excerpt].into_iter().flatten().map(String::len).sum::<usize>();
        let message =
            format!("{}; `hookgate check` and `hookgate test` say it where the files are", WithheldNotice::of(bytes));
        Finding { message, help: None, excerpt: None, called_from: Vec::new(), ..finding.clone() }
    }
}

impl Sight {
    /// A finding as JSON, as releases and the log of changes keep it: whole, or its severity, code, file and text.
    pub fn kept_finding(self, finding: Value, config: &str) -> Value {
        let text = |name: &str| finding.get(name).and_then(Value::as_str).unwrap_or_default();
        let subject = ContentKind::of_file(text("file"), config);
        if self.sees(subject) || WITHOUT_VALUES.contains(&text("code")) {
            return finding;
        }
        let Value::Object(members) = finding else { return Value::Null };
        let content = |name: &str| ["text", "message", "help", "excerpt"].contains(&name);
        let bytes = |value: &Value| value.as_str().map_or(0, str::len);
        let bytes = members.iter().filter(|(name, _)| content(name)).map(|(_, value)| bytes(value)).sum();
        let withheld = WithheldNotice::of(bytes).to_string();
        let place = |name: &str| ["severity", "code", "file", "line", "column", "length"].contains(&name);
        let mut kept: Map<String, Value> = Map::new();
        for (name, value) in members {
            if place(&name) {
                kept.insert(name, value);
            } else if ["text", "message"].contains(&name.as_str()) {
                kept.insert(name, Value::from(withheld.clone()));
            }
        }
        Value::Object(kept)
    }

    /// A record of a decision.
    pub fn record(self, mut record: Record) -> Record {
        if let Some(failure) = record.failure.as_mut().filter(|failure| failure.quotes) {
            failure.text = self.text(ContentKind::Failure, std::mem::take(&mut failure.text));
        }
        record
    }
}

/// One of something for each role, for what is made once and sent to many.
#[derive(Clone, Debug)]
pub struct PerRole<T> {
    reader: T,
    operator: T,
}

impl<T> PerRole<T> {
    pub fn make(mut make: impl FnMut(Sight) -> T) -> Self {
        Self { reader: make(Sight { role: Role::Reader }), operator: make(Sight { role: Role::Operator }) }
    }

    #[cfg(test)]
    pub fn reader(&self) -> &T {
        &self.reader
    }

    #[cfg(test)]
    pub fn operator(&self) -> &T {
        &self.operator
    }

    pub fn of(&self, sight: Sight) -> &T {
        match sight.role {
            Role::Reader => &self.reader,
            Role::Operator => &self.operator,
        }
    }
}

/// Findings about files that readers do not see, and whose words hold nothing of the file.
const WITHOUT_VALUES: &[&str] = &["test/gate-timeout", "script/untested"];

/// Something that may be withheld.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disclosure<T> {
    Shown(T),
    Withheld(WithheldNotice),
}

impl<T> Disclosure<T> {
    /// The value, or what is said in its place.
    pub fn split(self) -> (Option<T>, Option<WithheldNotice>) {
        match self {
            Self::Shown(value) => (Some(value), None),
            Self::Withheld(withheld) => (None, Some(withheld)),
        }
    }
}

/// What is said of something that only an operator may see. In JSON it stands beside a member that is `null` for that reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WithheldNotice {
    /// `only an operator may see this`
    pub why: &'static str,
    /// How long the content is that is not shown.
    pub bytes: usize,
}

impl WithheldNotice {
    pub fn of(bytes: usize) -> Self {
        Self { why: "only an operator may see this", bytes }
    }
}

impl fmt::Display for WithheldNotice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({} bytes)", self.why, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookgate_model::decision::Failure;

    const READER: Sight = Sight { role: Role::Reader };
    const OPERATOR: Sight = Sight { role: Role::Operator };

    #[test]
    fn an_operator_sees_everything_and_a_reader_no_content_of_calls() {
        for subject in ContentKind::ALL {
            assert_eq!(OPERATOR.show(subject, 6, "CANARY"), Disclosure::Shown("CANARY"), "{subject:?}");
            let open = [ContentKind::Config, ContentKind::Script].contains(&subject);
            assert_eq!(READER.show(subject, 6, "CANARY") == Disclosure::Shown("CANARY"), open, "{subject:?}");
        }
        assert_eq!(READER.text(ContentKind::Try, "CANARY".to_owned()), "only an operator may see this (6 bytes)");
        assert_eq!(READER.text(ContentKind::Try, String::new()), "", "of nothing, nothing is withheld");
    }

    #[test]
    fn the_documents_say_what_each_role_sees() {
        let document = include_str!("../../../docs/security.md");
        for kind in ContentKind::ALL {
            let reader = if READER.sees(kind) { "yes" } else { "no" };
            let row = format!("| {} | {reader} | yes |", kind.words());
            assert!(document.contains(&row), "docs/security.md has no row: {row}");
        }
        let rows = document.lines().filter(|line| line.ends_with("| yes |")).count();
        assert_eq!(rows, ContentKind::ALL.len() + 3, "names, reasons and trials are rows of their own");
    }

    #[test]
    fn a_failure_that_may_quote_a_call_has_its_place_shown_and_not_its_words() {
        let failure = |quotes| {
            let failure = Failure { text: "CANARY".to_owned(), line: Some(7), quotes, ..Failure::default() };
            Record { failure: Some(failure), ..Record::default() }
        };
        for (sight, quotes, shown) in
            [(READER, true, false), (READER, false, true), (OPERATOR, true, true), (OPERATOR, false, true)]
        {
            let record = sight.record(failure(quotes));
            assert_eq!(record.why().contains("CANARY"), shown, "{sight:?}, {quotes}: {}", record.why());
            assert_eq!(record.failure.and_then(|failure| failure.line), Some(7));
        }
    }

    #[test]
    fn files_are_told_apart_by_their_names() {
        for (file, open) in [
            ("prod.toml", true),
            ("scripts/signup.rhai", true),
            ("scripts/signup_test.rhai", false),
            ("scripts/cases/signup/x.json", false),
            ("scripts/calls.json", false),
            ("tables/people.csv", false),
            ("tables/people.toml", false),
            ("scripts", false),
            ("", false),
        ] {
            let finding = Finding::error("x/y", file, "CANARY").at("CANARY", 1, 1).help("CANARY");
            let seen = READER.finding(&finding, "prod.toml");
            assert_eq!(format!("{seen:?}").contains("CANARY"), open, "{file}: {seen:?}");
            assert_eq!((&seen.file, seen.line, seen.code), (&finding.file, 1, "x/y"), "its place shows");
            assert_eq!(OPERATOR.finding(&finding, "prod.toml"), finding);
            let kept = serde_json::json!({"code": "x/y", "file": file, "text": "CANARY", "excerpt": "CANARY", "new": "CANARY"});
            let seen = READER.kept_finding(kept.clone(), "prod.toml");
            assert_eq!(seen.to_string().contains("CANARY"), open, "{file}: {seen}");
            assert_eq!(seen["code"], "x/y");
            assert_eq!(OPERATOR.kept_finding(kept.clone(), "prod.toml"), kept);
        }
    }
}
