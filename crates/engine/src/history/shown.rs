//! Past releases as they are shown: in the API, in the viewer, on the command line.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::history::Failure;
use crate::history::content::Tree;
use crate::release::live::status::{State, Status};
use hookgate_store::Millis;
use hookgate_store::archive::{Part, PastRelease};

/// Texts of longer files are not shown.
pub(crate) const MOST_TEXT: u64 = 256 << 10;
/// The fewest digits of a hash that name a release.
const FEWEST_DIGITS: usize = 4;

/// How a release stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It is in force; on the command line: it was, when the gateway ran last.
    Running,
    /// It was in force.
    Past,
    /// It is what is on disk, and stays out until that changes: an operator went back to an earlier one.
    Held,
    /// It is what is on disk, and something is wrong with it.
    Refused,
}

/// A release in a list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Release {
    /// SHA-256 over configuration, scripts and tables, 64 hexadecimal digits.
    pub hash: String,
    /// Its first twelve digits.
    pub label: String,
    pub state: Standing,
    /// Whether it stays in force although the files say otherwise.
    pub pinned: bool,
    /// When it went live last, RFC 3339; nothing if it never did.
    pub activated_at: Option<String>,
    /// When it went live for the first time.
    pub first_activated_at: Option<String>,
    /// Who put it in force last: `files`, `start`, or an operator.
    pub who: Option<String>,
    /// The commit that the bundle's folder was at, where that is a git work tree. The files may have been edited since.
    pub commit: Option<String>,
    /// Warnings that it went live with, or why it was refused.
    #[schema(value_type = Vec<Object>)]
    pub findings: Vec<Value>,
    /// What its tests came to.
    #[schema(value_type = Option<Object>)]
    pub tests: Option<Value>,
    pub files: u64,
    pub bytes: u64,
}

/// A release with its files.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Whole {
    #[serde(flatten)]
    pub release: Release,
    #[serde(rename = "contents")]
    pub files: Vec<ShownFile>,
}

/// A file of a release.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ShownFile {
    /// `config`, `script`, `fixture` (JSON that tests read) or `table`.
    #[schema(value_type = String)]
    pub part: Part,
    /// Path below the scripts folder; the name of a table; `gateway.toml`.
    pub name: String,
    /// SHA-256 of the text.
    pub digest: String,
    pub bytes: u64,
    /// Nothing where it is longer than 256 KiB, or not UTF-8.
    pub text: Option<String>,
}

/// How somebody names a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// By its hash, or the first digits of it.
    Hash(String),
    Running,
    OnDisk,
}

impl Named {
    /// `running`, `on_disk`, or a hash.
    pub fn of(text: &str) -> Self {
        match text {
            "running" => Self::Running,
            "on_disk" => Self::OnDisk,
            hash => Self::Hash(hash.to_owned()),
        }
    }
}

/// What is kept beside the files of a release.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct About {
    pub(crate) warnings: Vec<Value>,
    pub(crate) tests: Option<Value>,
    pub(crate) commit: Option<String>,
}

impl About {
    pub(crate) fn of(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

/// The first twelve digits of a hash.
pub fn label(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// RFC 3339.
pub fn time(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at).unwrap_or_default().to_string()
}

/// The hash of the one release that is kept under this name.
///
/// # Errors
/// None is, or several are.
pub fn find(kept: &[PastRelease], name: &str) -> Result<String, Failure> {
    let unknown = || Failure::Unknown(name.chars().take(64).collect());
    if name.len() < FEWEST_DIGITS || !name.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(unknown());
    }
    let name = name.to_ascii_lowercase();
    let mut found = kept.iter().filter(|release| release.hash.starts_with(&name));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.hash.clone()),
        (None, _) => Err(unknown()),
        (Some(_), Some(_)) => Err(Failure::Ambiguous(name)),
    }
}

/// The releases as they stand; without a status, as they stood when the gateway ran last.
pub fn list(kept: Vec<PastRelease>, status: Option<&Status>) -> Vec<Release> {
    let newest = kept.first().map(|release| release.hash.clone());
    let running = status.map_or(newest, |status| status.running.clone());
    let pinned = status.and_then(|status| status.pinned.as_ref());
    let past = |release: PastRelease| {
        let is_running = running.as_ref() == Some(&release.hash);
        let state = match pinned {
            _ if is_running => Standing::Running,
            Some(pinned) if pinned.from == release.hash => Standing::Held,
            _ => Standing::Past,
        };
        let About { warnings, tests, commit } = About::of(&release.about);
        Release {
            label: label(&release.hash),
            state,
            pinned: is_running && pinned.is_some(),
            activated_at: Some(time(release.activated)),
            first_activated_at: Some(time(release.first)),
            who: Some(release.who),
            commit,
            findings: warnings,
            tests,
            files: release.files,
            bytes: release.bytes,
            hash: release.hash,
        }
    };
    status.and_then(refused).into_iter().chain(kept.into_iter().map(past)).collect()
}

/// What is on disk, if it was refused.
pub(crate) fn refused(status: &Status) -> Option<Release> {
    let hash = status.on_disk.clone().filter(|_| status.state == State::Refused)?;
    Some(Release {
        label: label(&hash),
        hash,
        state: Standing::Refused,
        pinned: false,
        activated_at: None,
        first_activated_at: None,
        who: None,
        commit: None,
        findings: status.error.iter().filter_map(|finding| serde_json::to_value(finding).ok()).collect(),
        tests: serde_json::to_value(&status.tests).ok(),
        files: 0,
        bytes: 0,
    })
}

/// The files of a release; texts that are there and short enough.
pub fn files(tree: &Tree) -> Vec<ShownFile> {
    let shown = |((part, name), leaf): (&(Part, String), &crate::history::content::Leaf)| {
        let text = leaf.text.as_deref().filter(|text| text.len() as u64 <= MOST_TEXT);
        let text = text.and_then(|text| std::str::from_utf8(text).ok()).map(str::to_owned);
        ShownFile { part: *part, name: name.clone(), digest: leaf.digest.clone(), bytes: leaf.bytes, text }
    };
    tree.iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(hash: &str) -> PastRelease {
        let about = r#"{"warnings":[],"tests":{"passed":3},"commit":"c0ffee"}"#.to_owned();
        let (hash, who) = (hash.to_owned(), "files".to_owned());
        PastRelease { hash, first: 0, activated: 1_000, who, about, files: 2, bytes: 9 }
    }

    #[test]
    fn a_release_is_named_by_digits_that_only_it_begins_with() {
        let all = [kept("abcd1111"), kept("abcd2222")];
        assert_eq!(find(&all, "ABCD1").unwrap(), "abcd1111");
        assert!(matches!(find(&all, "abcd"), Err(Failure::Ambiguous(_))));
        for name in ["", "abc", "ffff", "abcd1111x", "../../x", "abcd11112222"] {
            assert!(matches!(find(&all, name), Err(Failure::Unknown(_))), "{name}");
        }
    }

    #[test]
    fn the_list_says_how_each_stands() {
        let mut status = Status { running: Some("bb".to_owned()), ..Status::default() };
        let pinned = crate::release::witness::Pinned {
            to: "bb".to_owned(),
            from: "aa".to_owned(),
            since: String::new(),
            who: "ann".to_owned(),
        };
        status.pinned = Some(pinned);
        let all = || vec![kept("bb"), kept("aa"), kept("cc")];
        let standing = |status: Option<&Status>| {
            list(all(), status)
                .iter()
                .map(|release| (release.label.clone(), release.state, release.pinned))
                .collect::<Vec<_>>()
        };
        let of = |label: &str, state, pinned| (label.to_owned(), state, pinned);
        use Standing::{Held, Past, Refused, Running};
        assert_eq!(standing(Some(&status)), [of("bb", Running, true), of("aa", Held, false), of("cc", Past, false)]);
        status = Status { on_disk: Some("dd".to_owned()), state: State::Refused, pinned: None, ..status };
        assert_eq!(
            standing(Some(&status)),
            [of("dd", Refused, false), of("bb", Running, false), of("aa", Past, false), of("cc", Past, false)]
        );
        assert_eq!(standing(None)[0], of("bb", Running, false));
        let first = &list(all(), None)[0];
        assert_eq!(
            (first.commit.as_deref(), first.activated_at.as_deref()),
            (Some("c0ffee"), Some("1970-01-01T00:00:01Z"))
        );
    }
}
