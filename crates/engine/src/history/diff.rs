//! How the files of two releases differ, line by line.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};
use utoipa::ToSchema;

use crate::history::content::Tree;
use hookgate_store::archive::Part;

/// Of longer files only the lines are counted.
const MOST_COMPARED: usize = 256 << 10;
/// What is shown of all files together to somebody who asks.
pub const MOST_SHOWN: usize = 1 << 20;
/// A comparison that takes longer becomes coarser.
const LONGEST: Duration = Duration::from_millis(300);
const AROUND: usize = 3;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    Added,
    Removed,
    Changed,
}

/// How a file differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FileDiff {
    /// `config`, `script`, `fixture` (JSON that tests read) or `table`.
    #[schema(value_type = String)]
    pub part: Part,
    /// Path below the scripts folder; the name of a table; `gateway.toml`.
    pub name: String,
    pub change: Fate,
    /// Lines that only the later one has.
    pub added: usize,
    /// Lines that only the earlier one has.
    pub removed: usize,
    /// Unified diff without a header; nothing where the file is longer than 256 KiB or is no text, or where the answer as a whole
    /// would be too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Compares files, with at most so many bytes of text in all.
pub(crate) fn files(changed: &[(Part, String)], from: &Tree, to: &Tree, most: usize) -> Vec<FileDiff> {
    let mut room = most;
    let compare = |key: &(Part, String)| {
        let text = |tree: &Tree| tree.get(key).and_then(|leaf| leaf.text.clone());
        let (before, after) = (text(from), text(to));
        let change = match (&before, &after) {
            (None, _) => Fate::Added,
            (_, None) => Fate::Removed,
            _ => Fate::Changed,
        };
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        let mut diff = file(&before, &after);
        diff.text = diff.text.filter(|text| text.len() <= room);
        room -= diff.text.as_ref().map_or(0, String::len);
        FileDiff { part: key.0, name: key.1.clone(), change, added: diff.added, removed: diff.removed, text: diff.text }
    };
    changed.iter().map(compare).collect()
}

struct Lines {
    added: usize,
    removed: usize,
    text: Option<String>,
}

fn file(before: &[u8], after: &[u8]) -> Lines {
    let short = before.len().max(after.len()) <= MOST_COMPARED;
    match (std::str::from_utf8(before), std::str::from_utf8(after)) {
        (Ok(before), Ok(after)) if short => unified(before, after),
        _ => counted(before, after),
    }
}

fn unified(before: &str, after: &str) -> Lines {
    let diff = TextDiff::configure().timeout(LONGEST).diff_lines(before, after);
    let of = |tag: ChangeTag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    let (added, removed) = (of(ChangeTag::Insert), of(ChangeTag::Delete));
    Lines { added, removed, text: Some(diff.unified_diff().context_radius(AROUND).to_string()) }
}

/// How many lines are in one and not in the other, wherever they stand.
fn counted(before: &[u8], after: &[u8]) -> Lines {
    let mut balance: HashMap<u64, i64> = HashMap::new();
    let mut count = |text: &[u8], by: i64| {
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let mut hasher = DefaultHasher::new();
            line.hash(&mut hasher);
            *balance.entry(hasher.finish()).or_default() += by;
        }
    };
    count(before, -1);
    count(after, 1);
    let sum = |sign: i64| balance.values().map(|number| (number * sign).max(0) as usize).sum();
    Lines { added: sum(1), removed: sum(-1), text: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::content::tree;
    use hookgate_store::archive::File;

    fn tree_of(files: &[(&str, &[u8])]) -> Tree {
        let file =
            |&(name, text): &(&str, &[u8])| File { part: Part::Script, name: name.to_owned(), text: text.into() };
        tree(files.iter().map(file).collect())
    }

    fn compare(from: &[(&str, &[u8])], to: &[(&str, &[u8])], most: usize) -> Vec<FileDiff> {
        let names: std::collections::BTreeSet<&str> = from.iter().chain(to).map(|(name, _)| *name).collect();
        let keys: Vec<_> = names.into_iter().map(|name| (Part::Script, name.to_owned())).collect();
        files(&keys, &tree_of(from), &tree_of(to), most)
    }

    #[test]
    fn files_come_go_and_change() {
        let found =
            compare(&[("a", b"1\n2\n3\n"), ("gone", b"x\n")], &[("a", b"1\ntwo\n3\n"), ("new", b"y\nz\n")], MOST_SHOWN);
        let told: Vec<_> =
            found.iter().map(|file| (file.name.as_str(), file.change, file.added, file.removed)).collect();
        assert_eq!(told, [("a", Fate::Changed, 1, 1), ("gone", Fate::Removed, 0, 1), ("new", Fate::Added, 2, 0)]);
        assert_eq!(found[0].text.as_deref(), Some("@@ -1,3 +1,3 @@\n 1\n-2\n+two\n 3\n"));
    }

    #[test]
    fn what_is_long_or_no_text_is_only_counted() {
        let long = "same\n".repeat(MOST_COMPARED / 5 + 1);
        let longer = format!("{long}other\n");
        let found = compare(
            &[("a", long.as_bytes()), ("b", b"\xff\n1\n")],
            &[("a", longer.as_bytes()), ("b", b"\xff\n")],
            MOST_SHOWN,
        );
        assert_eq!((found[0].added, found[0].removed, &found[0].text), (1, 0, &None));
        assert_eq!((found[1].added, found[1].removed, &found[1].text), (0, 1, &None));
    }

    #[test]
    fn all_texts_together_stay_within_their_limit() {
        let (one, two) = ("1\n".repeat(50), "2\n".repeat(5));
        let found = compare(&[], &[("a", one.as_bytes()), ("b", two.as_bytes())], 100);
        assert_eq!((found[0].added, &found[0].text), (50, &None), "it alone is longer");
        assert!(found[1].text.as_ref().is_some_and(|text| text.ends_with("+2\n")), "{found:?}");
    }
}
