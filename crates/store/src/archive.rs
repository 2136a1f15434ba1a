//! What a store keeps of the past: releases that were in force, and the log of changes.
//!
//! A release is kept by its content, each text once however many releases have it, and never holds a secret: a bundle names
//! where secrets are. The log of changes is a chain: each row holds the hash of the one before it, so that a row which was
//! edited or taken out is found by [`Archive::verify_changes`]. Both are bounded; the oldest go first.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Millis;
use crate::StoreError;

/// How many releases are kept, the newest ones.
pub(crate) const MOST_RELEASES: usize = 50;
/// How many bytes their texts may take in the store, all together. The two newest releases stay whatever they take.
pub(crate) const MOST_RELEASE_BYTES: u64 = 256 << 20;
/// How many rows the log of changes has at most.
pub(crate) const MOST_CHANGES: i64 = 20_000;
/// The longest detail of a change, in bytes of JSON.
pub const MOST_DETAIL: usize = 256 << 10;
/// The most changes of a page.
pub(crate) const MOST_CHANGE_PAGE: usize = 500;

/// Keeps past releases and the log of changes.
#[async_trait]
pub trait Archive: Send + Sync + 'static {
    /// Keeps a release that went live, as the newest one. What is kept of it already is not written again.
    async fn keep_release(&self, release: Snapshot) -> Result<(), StoreError>;

    /// The releases that are kept, the one that went live last first.
    async fn releases(&self) -> Result<Vec<PastRelease>, StoreError>;

    /// The files of a release; nothing if it is not kept.
    async fn release_files(&self, hash: &str) -> Result<Option<Vec<FileLine>>, StoreError>;

    /// Texts by digest, in that order; nothing for one that is not kept.
    ///
    /// # Errors
    /// [`StoreError::Broken`] where a text is not what its digest says.
    async fn texts(&self, digests: Vec<String>) -> Result<Vec<Option<Arc<[u8]>>>, StoreError>;

    /// Which release is to stay in force although the files say otherwise.
    async fn pin(&self) -> Result<Option<Pin>, StoreError>;

    /// Appends to the log of changes, and sets or ends the pin with it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where the detail is longer than [`MOST_DETAIL`].
    async fn note(&self, change: NewChange) -> Result<Change, StoreError>;

    /// Changes, newest first.
    async fn changes(&self, query: ChangeQuery) -> Result<ChangePage, StoreError>;

    /// Follows the chain of the log from its first row to its last.
    async fn verify_changes(&self) -> Result<Verified, StoreError>;
}

/// The content of a release.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// As the release is named: SHA-256 over everything, 64 hexadecimal digits.
    pub hash: String,
    /// Who put it in force.
    pub who: String,
    pub at: Millis,
    /// What else is known of it, as JSON.
    pub about: String,
    pub files: Vec<File>,
}

#[derive(Clone, Debug)]
pub struct File {
    pub part: Part,
    pub name: String,
    pub text: Arc<[u8]>,
}

/// What a file is to a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Config,
    Script,
    /// JSON that tests read.
    Fixture,
    Table,
}

impl Part {
    pub const ALL: [Self; 4] = [Self::Config, Self::Script, Self::Fixture, Self::Table];

    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Script => "script",
            Self::Fixture => "fixture",
            Self::Table => "table",
        }
    }
}

/// A release in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastRelease {
    pub hash: String,
    /// When it went live first, and last.
    pub first: Millis,
    pub activated: Millis,
    /// Who put it in force last.
    pub who: String,
    pub about: String,
    pub files: u64,
    pub bytes: u64,
}

/// A file of a release, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLine {
    pub part: Part,
    pub name: String,
    /// SHA-256 of the text, 64 hexadecimal digits.
    pub digest: String,
    pub bytes: u64,
}

/// A release that stays in force although the files say otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The hash of the release that stays.
    pub to: String,
    /// The hash of the files that do not go live as long as they stay what they are.
    pub from: String,
    pub since: Millis,
    pub who: String,
}

/// What becomes of the pin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Repin {
    #[default]
    Leave,
    Set(Pin),
    End,
}

/// What somebody, or something, changed.
#[derive(Clone, Debug, Default)]
pub struct NewChange {
    pub at: Millis,
    /// `files`, `start`, or who gave the order.
    pub who: String,
    /// `release activated`, `events replayed`, …
    pub what: String,
    /// What it was done to.
    pub subject: String,
    /// More about it, as JSON.
    pub detail: String,
    pub before: Option<String>,
    pub after: Option<String>,
    pub pin: Repin,
}

/// A row of the log of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Rises by one from row to row.
    pub number: i64,
    pub at: Millis,
    pub who: String,
    pub what: String,
    pub subject: String,
    /// JSON.
    pub detail: String,
    pub before: Option<String>,
    pub after: Option<String>,
    /// The hash of the row before; empty at the first one.
    pub previous: String,
    /// Over everything else here, 64 hexadecimal digits.
    pub hash: String,
}

impl Change {
    /// The hash that this row must have: SHA-256 over each member but `hash`, in the order of their declaration, each after
    /// its length in bytes (eight bytes, the lowest first; all ones for a member that is absent).
    pub(crate) fn seal(&self) -> String {
        let mut hasher = Sha256::new();
        let mut part = |bytes: Option<&[u8]>| {
            let length = bytes.map_or(u64::MAX, |bytes| bytes.len() as u64);
            hasher.update(length.to_le_bytes());
            hasher.update(bytes.unwrap_or_default());
        };
        part(Some(&self.number.to_le_bytes()));
        part(Some(&self.at.to_le_bytes()));
        for text in [&self.who, &self.what, &self.subject, &self.detail] {
            part(Some(text.as_bytes()));
        }
        for text in [&self.before, &self.after] {
            part(text.as_ref().map(String::as_bytes));
        }
        part(Some(self.previous.as_bytes()));
        hex::encode(hasher.finalize())
    }
}

/// Which changes are wanted. All conditions hold together.
#[derive(Clone, Debug, Default)]
pub struct ChangeQuery {
    pub who: Option<String>,
    pub what: Option<String>,
    /// At this time or later, and before.
    pub since: Option<Millis>,
    pub until: Option<Millis>,
    /// Where the last page ended.
    pub after: Option<i64>,
    /// At most [`MOST_CHANGE_PAGE`]; 0 means the default of 50.
    pub limit: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangePage {
    pub changes: Vec<Change>,
    /// For [`ChangeQuery::after`]; nothing on the last page.
    pub next: Option<i64>,
}

/// What following the chain found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Rows that are as they were written, up to the first that is not.
    pub rows: u64,
    /// The last of these: its number and its hash.
    pub last: Option<(i64, String)>,
    pub wrong: Option<Wrong>,
}

/// The first row that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wrong {
    pub number: i64,
    /// What is wrong with it, as a clause: `was edited`.
    pub why: String,
}

/// Follows a chain row by row, whatever keeps it.
#[derive(Debug)]
pub(crate) struct Follower {
    next: i64,
    previous: String,
    verified: Verified,
}

impl Follower {
    /// Begins behind the last row that was removed for age: its number and hash, 0 and nothing if none was.
    pub(crate) fn new(removed: i64, hash: &str) -> Self {
        Self { next: removed + 1, previous: hash.to_owned(), verified: Verified::default() }
    }

    /// Takes the next row; whether to go on.
    pub(crate) fn follow(&mut self, row: &Change) -> bool {
        let why = if row.number != self.next {
            Some("is missing")
        } else if row.previous != self.previous {
            Some("does not follow on the row before it")
        } else if row.seal() != row.hash {
            Some("was edited")
        } else {
            None
        };
        if let Some(why) = why {
            self.wrong(why);
            return false;
        }
        self.next += 1;
        self.previous.clone_from(&row.hash);
        self.verified.rows += 1;
        self.verified.last = Some((row.number, row.hash.clone()));
        true
    }

    /// What was found, given the number and hash of the row that was written last.
    pub(crate) fn end(mut self, written: i64, hash: &str) -> Verified {
        if self.verified.wrong.is_none() {
            if self.next <= written {
                self.wrong("is missing");
            } else if self.next != written + 1 {
                self.wrong("was added by something else");
            } else if self.previous != hash {
                self.next = written;
                self.wrong("was edited");
            }
        }
        self.verified
    }

    fn wrong(&mut self, why: &str) {
        self.verified.wrong = Some(Wrong { number: self.next, why: why.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash of a row is part of the file format: rows of today must verify for ever.
    #[test]
    fn the_seal_of_a_row_never_changes() {
        let row =
            Change { number: 1, at: 5, who: "files".to_owned(), before: Some(String::new()), ..Change::default() };
        assert_eq!(row.seal(), "cff6141361f513186ccdabb8a20852a54f0ced36ba71361229f9e9b4ba12c2ef");
        let other = Change { before: None, after: Some(String::new()), ..row.clone() };
        assert_ne!(other.seal(), row.seal(), "which member is absent counts");
        let moved = Change { who: "file".to_owned(), what: "s".to_owned(), ..row.clone() };
        assert_ne!(moved.seal(), row.seal(), "and where one ends");
    }
}
