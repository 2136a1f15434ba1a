//! Releases and the log of changes, as somebody may see them, and going back.

use serde_json::{Map, Value, json};

use crate::admin::access::Operator;
use crate::admin::access::sight::{ContentKind, Disclosure, Sight, WithheldNotice};
use crate::admin::desk::Desk;
use hookgate_engine::history::diff::FileDiff;
use hookgate_engine::history::shown::{Named, Release, ShownFile, Standing, Whole};
use hookgate_engine::history::{Failure, RolledBack};
use hookgate_engine::release::live::Reloaded;
use hookgate_engine::release::live::status::{State, Status};
use hookgate_model::finding::Finding;
use hookgate_store::StoreError;
use hookgate_store::archive::{Change, ChangePage, ChangeQuery, Part, Verified};

/// Members of the detail of a change that hold names of the configuration, numbers and words of ours.
const OPEN_DETAIL: &[&str] = &[
    "bytes",
    "changed",
    "commit",
    "cut",
    "decision",
    "files",
    "findings",
    "form",
    "from",
    "more_files",
    "more_findings",
    "pin_ended",
    "pinned",
    "refused",
    "since",
    "tests",
    "to",
    "waiting",
    "warnings",
    "who",
];

/// What the log of changes calls a release that was refused.
const REFUSED: &str = "release refused";

/// A release with its files.
pub struct ReleaseView {
    pub release: Release,
    pub files: Vec<FileView>,
}

/// A file of a release.
pub struct FileView {
    /// Without its text, and without its digest where the text is withheld: short texts can be guessed and compared with it.
    pub file: ShownFile,
    /// Nothing where it is too long to be shown, or not UTF-8.
    pub text: Disclosure<Option<String>>,
}

/// How a file differs.
pub struct DifferenceView {
    /// Without the text.
    pub file: FileDiff,
    /// Nothing where it is too long to be shown, or no text.
    pub text: Disclosure<Option<String>>,
}

impl Desk {
    /// The release in force, and what is known of the files on disk.
    pub fn status(&self, sight: Sight) -> Status {
        let status = self.parts.live.status();
        let (error, warnings) = (self.findings(&status.error, sight), self.findings(&status.warnings, sight));
        Status { error, warnings, ..status }
    }

    fn findings(&self, findings: &[Finding], sight: Sight) -> Vec<Finding> {
        let config = self.parts.place.config_name();
        findings.iter().map(|finding| sight.finding(finding, &config)).collect()
    }

    /// All releases that are known, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn releases(&self, sight: Sight) -> Result<Vec<Release>, StoreError> {
        let releases = self.parts.history.releases().await?;
        Ok(releases.into_iter().map(|release| self.release_line(release, sight)).collect())
    }

    fn release_line(&self, release: Release, sight: Sight) -> Release {
        let config = self.parts.place.config_name();
        let findings = release.findings.into_iter().map(|finding| sight.kept_finding(finding, &config)).collect();
        Release { findings, ..release }
    }

    /// One release and its files.
    ///
    /// # Errors
    /// There is none of that name, or it cannot be read.
    pub async fn release(&self, name: &str, sight: Sight) -> Result<ReleaseView, Failure> {
        let whole = self.parts.history.release(name).await.map_err(|failure| self.told(failure, sight))?;
        let Whole { release, files } = whole;
        let proof = Provenance::unless(release.state == Standing::Refused || Named::of(name) == Named::OnDisk);
        let files = files.into_iter().map(|file| opened(file, proof, sight)).collect();
        Ok(ReleaseView { release: self.release_line(release, sight), files })
    }

    /// How two releases differ, file by file.
    ///
    /// # Errors
    /// One of them is not there or cannot be read.
    pub async fn diff(&self, from: &Named, to: &Named, sight: Sight) -> Result<Vec<DifferenceView>, Failure> {
        let files = self.parts.history.diff(from, to).await.map_err(|failure| self.told(failure, sight))?;
        // Every release that is kept was in force. The files on disk may be refused, or not be looked at yet.
        let is_refused = self.parts.live.status().state == State::Refused;
        let proof = Provenance::unless([from, to].contains(&&Named::OnDisk) || is_refused);
        Ok(files.into_iter().map(|file| difference(file, proof, sight)).collect())
    }

    /// A failure whose findings are as they may be seen.
    fn told(&self, failure: Failure, sight: Sight) -> Failure {
        match failure {
            Failure::Refused { label, findings } => {
                Failure::Refused { label, findings: self.findings(&findings, sight) }
            }
            Failure::OnDisk(findings) => Failure::OnDisk(self.findings(&findings, sight)),
            other => other,
        }
    }

    /// Texts of scripts as a release has them (the first digits of its hash, or `on_disk`), by path below the bundle; those
    /// that are kept and may be seen.
    pub async fn sources(&self, release: &str, files: &[String], sight: Sight) -> Vec<(String, String)> {
        let may = |file: &&String| sight.sees(ContentKind::of_part(Part::Script, file));
        if files.is_empty() {
            return Vec::new();
        }
        if let Some(running) = self.parts.live.current().filter(|running| running.hash.starts_with(release)) {
            let text = |file: &String| Some((file.clone(), running.compiler.source(file)?.to_owned()));
            return files.iter().filter(may).filter_map(text).collect();
        }
        let Ok(whole) = self.parts.history.release(release).await else { return Vec::new() };
        let text = |file: &String| {
            let script = |shown: &&ShownFile| shown.part == Part::Script && file.ends_with(&format!("/{}", shown.name));
            let shown = whole.files.iter().filter(script).max_by_key(|shown| shown.name.len())?;
            Some((file.clone(), shown.text.clone()?))
        };
        files.iter().filter(may).filter_map(text).collect()
    }

    /// The log of changes, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn changes(&self, query: ChangeQuery, sight: Sight) -> Result<ChangePage, StoreError> {
        let config = self.parts.place.config_name();
        let ChangePage { changes, next } = self.parts.history.changes(query).await?;
        let seen = |change: Change| Change { detail: detail(&change, &config, sight), ..change };
        Ok(ChangePage { changes: changes.into_iter().map(seen).collect(), next })
    }

    /// Follows the chain of the log of changes.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn verify_changes(&self) -> Result<Verified, StoreError> {
        self.parts.history.verify().await
    }

    /// Puts a release in force that was before.
    ///
    /// # Errors
    /// There is no such release, it is in force, or it cannot be built any more.
    pub async fn roll_back(&self, who: &Operator, name: &str) -> Result<RolledBack, Failure> {
        self.parts.history.roll_back(name, who.name()).await
    }

    /// Takes what is on disk now.
    pub async fn reload(&self, who: &Operator) -> Reloaded {
        self.parts.history.reload(who.name()).await
    }
}

/// Whether a file was in force as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Provenance {
    InForce,
    /// It may hold a secret by mistake, for example.
    Missing,
}

impl Provenance {
    fn unless(missing: bool) -> Self {
        if missing { Self::Missing } else { Self::InForce }
    }
}

/// What a file is. A configuration that never was in force is another thing than one that was.
fn subject(part: Part, name: &str, proof: Provenance) -> ContentKind {
    match ContentKind::of_part(part, name) {
        ContentKind::Config if proof == Provenance::Missing => ContentKind::UnprovenConfig,
        subject => subject,
    }
}

fn opened(mut file: ShownFile, proof: Provenance, sight: Sight) -> FileView {
    let (text, bytes) = (file.text.take(), usize::try_from(file.bytes).unwrap_or(usize::MAX));
    let text = sight.show(subject(file.part, &file.name, proof), bytes, text);
    if matches!(text, Disclosure::Withheld(_)) {
        file.digest = String::new();
    }
    FileView { file, text }
}

fn difference(mut file: FileDiff, proof: Provenance, sight: Sight) -> DifferenceView {
    let text = file.text.take();
    let bytes = text.as_ref().map_or(0, String::len);
    let text = sight.show(subject(file.part, &file.name, proof), bytes, text);
    DifferenceView { file, text }
}

/// The detail of a change. Earlier versions kept the texts of all differences there.
fn detail(change: &Change, config: &str, sight: Sight) -> String {
    if ContentKind::ALL.into_iter().all(|subject| sight.sees(subject)) {
        return change.detail.clone();
    }
    let Ok(Value::Object(members)) = serde_json::from_str(&change.detail) else {
        return if change.detail == "null" { "null".to_owned() } else { withheld(change.detail.len()).to_string() };
    };
    let proof = Provenance::unless(change.what == REFUSED);
    let mut seen = Map::new();
    for (name, value) in members {
        let value = match (name.as_str(), value) {
            ("files", Value::Array(files)) => files.into_iter().map(|file| file_of(file, proof, sight)).collect(),
            ("findings", Value::Array(findings)) => {
                findings.into_iter().map(|finding| sight.kept_finding(finding, config)).collect()
            }
            (open, value) if OPEN_DETAIL.contains(&open) => value,
            (_, value) => withheld(value.to_string().len()),
        };
        seen.insert(name, value);
    }
    Value::Object(seen).to_string()
}

/// A file of a change: its name and its numbers, and its differences where they may be seen.
fn file_of(file: Value, proof: Provenance, sight: Sight) -> Value {
    let Value::Object(mut members) = file else { return withheld(file.to_string().len()) };
    let word = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
    let part = Part::ALL.into_iter().find(|part| part.name() == word("part"));
    let seen = part.is_some_and(|part| sight.sees(subject(part, word("name"), proof)));
    if !seen && let Some(text) = members.remove("text") {
        members.insert("withheld".to_owned(), withheld(text.as_str().map_or(0, str::len)));
    }
    Value::Object(members)
}

fn withheld(bytes: usize) -> Value {
    json!(WithheldNotice::of(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::access::sight::PerRole;

    fn change(what: &str, detail: &Value) -> Change {
        Change { what: what.to_owned(), detail: detail.to_string(), ..Change::default() }
    }

    #[test]
    fn a_reader_sees_of_a_change_what_may_be_seen_of_its_files() {
        let file = |part: &str, name: &str| json!({ "part": part, "name": name, "added": 1, "text": "+CANARY\n" });
        let files = [
            (file("script", "a.rhai"), true),
            (file("script", "a_test.rhai"), false),
            (file("fixture", "cases/a/x.json"), false),
            (file("table", "people"), false),
            (file("other", "x"), false),
            (json!("CANARY"), false),
        ];
        let see = |what: &str, detail: &Value| PerRole::make(|sight| detail_of(&change(what, detail), sight));
        for what in ["release activated", REFUSED] {
            for (file, open) in &files {
                let whole = json!({ "files": [file], "tests": 3 });
                let seen = see(what, &whole);
                assert_eq!(seen.reader().to_string().contains("CANARY"), *open, "{what}: {file}");
                assert_eq!(seen.reader()["tests"], 3);
                assert_eq!(*seen.operator(), whole);
            }
            let config = json!({ "files": [file("config", "gateway.toml")] });
            assert_eq!(see(what, &config).reader().to_string().contains("CANARY"), what != REFUSED);
            let findings = json!({ "findings": [
                { "code": "test/case", "file": "scripts/cases/a/x.json", "text": "CANARY" },
                { "code": "test/case", "text": "CANARY" },
            ], "unknown": "CANARY" });
            assert!(!see(what, &findings).reader().to_string().contains("CANARY"));
        }
        assert_eq!(*see("x", &Value::Null).reader(), Value::Null);
        assert!(!see("x", &json!(["CANARY"])).reader().to_string().contains("CANARY"));
    }

    fn detail_of(change: &Change, sight: Sight) -> Value {
        serde_json::from_str(&detail(change, "gateway.toml", sight)).unwrap()
    }
}
