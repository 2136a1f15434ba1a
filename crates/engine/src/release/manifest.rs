//! A list of hashes that the files of a bundle must have before they go live, as `sha256sum` writes it. Who copies files one
//! after the other is certain that no mix of old and new ones is ever served.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::release::build::Reading;
use crate::release::bundle::{Place, is_script_file, unreadable};
use crate::release::fence;
use hookgate_model::files::fence::Purpose;
use hookgate_model::finding::Finding;

/// A longer list is none.
const MAX_BYTES: u64 = 16 << 20;
/// Names of files in a finding.
const MOST_NAMED: usize = 5;
/// Some editors begin a file with it; it is no part of what was read.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether every file of a reading is in the list that its configuration names, with the same hash. While the release in force
/// (`before`) has a list, the bundle must match that one if it names none: else half a copy without the setting would go live.
///
/// # Errors
/// Which files do not match; or the list cannot be read.
pub fn check(place: &Place, reading: &Reading, before: Option<&Config>) -> Result<(), Vec<Finding>> {
    let named = |config: &Config| config.scripts.manifest.clone();
    let Some(manifest) = named(&reading.document.config).or_else(|| before.and_then(named)) else { return Ok(()) };
    let (fence, _) = fence::of(place, &reading.document);
    let bytes = fence.read(&manifest, Purpose::Text, MAX_BYTES);
    let bytes = bytes.map_err(|error| vec![unreadable("release/manifest", &manifest, &error)])?;
    let listed = List::parse(&String::from_utf8_lossy(&bytes)).map_err(|line| {
        let finding = Finding::error("release/manifest", &*manifest, format!("line {line} is not of `sha256sum`"));
        vec![finding.help(HELP)]
    })?;
    let differs = listed.compared(place, reading);
    if differs.is_empty() {
        Ok(())
    } else {
        Err(vec![Finding::error("release/manifest", manifest, differs).help(HELP)])
    }
}

const HELP: &str = "copy all files of the release, and the list that was made of them; \
    `sha256sum --check --quiet FILE` in the folder of `gateway.toml` compares them, too";

/// Hashes by path relative to the bundle.
struct List(BTreeMap<String, String>);

impl List {
    /// `HASH  NAME` on each line, with `*` before the name of what was read as binary.
    ///
    /// # Errors
    /// The number of a line that is none.
    fn parse(text: &str) -> Result<Self, usize> {
        let mut listed = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (hash, name) = line.split_once(' ').ok_or(number + 1)?;
            let is_hash = hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
            let name = name.strip_prefix([' ', '*']).filter(|name| is_hash && !name.is_empty()).ok_or(number + 1)?;
            listed.insert(plain(name).to_owned(), hash.to_ascii_lowercase());
        }
        Ok(Self(listed))
    }

    /// How the files of a reading differ from the list, as a clause about it; empty if they do not.
    fn compared(&self, place: &Place, reading: &Reading) -> String {
        let files = files(place, reading);
        let (mut differ, mut unlisted) = (Vec::new(), Vec::new());
        for (name, bytes) in &files {
            match self.0.get(name) {
                None => unlisted.push(&**name),
                Some(hash) if !has_hash(bytes, hash) => differ.push(&**name),
                Some(_) => {}
            }
        }
        let dir = folder(reading);
        let is_ours = |name: &&str| name.strip_prefix(&*dir).is_some_and(is_script_file);
        let gone = self.0.keys().map(String::as_str).filter(|name| !files.contains_key(*name)).filter(is_ours);
        let clauses = [
            ("of another content than listed", differ),
            ("not listed", unlisted),
            ("listed and not there", gone.collect::<Vec<_>>()),
        ];
        let clauses = clauses.into_iter().filter(|(_, names)| !names.is_empty());
        clauses.map(|(what, names)| format!("{what}: {}", named(names))).collect::<Vec<_>>().join("; ")
    }
}

/// The content of every file of a reading, by path relative to the bundle.
fn files<'r>(place: &Place, reading: &'r Reading) -> BTreeMap<String, &'r [u8]> {
    let config = &reading.document.config;
    let dir = folder(reading);
    let texts = &reading.texts;
    let scripts = texts.scripts.iter().chain(&texts.fixtures);
    let scripts = scripts.map(|(name, text)| (format!("{dir}{name}"), text.as_bytes()));
    let table = |(name, bytes): (&String, &'r std::sync::Arc<[u8]>)| {
        Some((plain(&config.tables.get(name)?.file).to_owned(), &**bytes))
    };
    let tables = texts.tables.iter().filter_map(table);
    scripts.chain(tables).chain([(place.config_name(), reading.config.as_bytes())]).collect()
}

/// What the path of a script begins with.
fn folder(reading: &Reading) -> String {
    let dir = plain(&reading.document.config.scripts.dir);
    if dir == "." { String::new() } else { format!("{dir}/") }
}

fn has_hash(bytes: &[u8], hash: &str) -> bool {
    let with_mark = || Sha256::new().chain_update(BYTE_ORDER_MARK).chain_update(bytes).finalize();
    hex::encode(Sha256::digest(bytes)) == hash || hex::encode(with_mark()) == hash
}

/// Some names of many.
pub(super) fn named<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: BTreeSet<&str> = names.into_iter().collect();
    let shown: Vec<String> = names.iter().take(MOST_NAMED).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(MOST_NAMED);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

fn plain(path: &str) -> &str {
    path.trim_start_matches("./").trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_sha256sum_are_read() {
        let hash = "AB".repeat(32);
        let text = format!("# made by CI\n{hash}  ./scripts/a b.rhai\n{hash} *gateway.toml\r\n\n");
        let list = List::parse(&text).unwrap().0;
        let names: Vec<&str> = list.keys().map(String::as_str).collect();
        assert_eq!(names, ["gateway.toml", "scripts/a b.rhai"]);
        assert!(list.values().all(|listed| *listed == hash.to_lowercase()));
        for wrong in ["x", "ab  a", &hash, &format!("{hash}  "), &format!("{hash}a  a"), "SHA256 (a) = b"] {
            assert_eq!(List::parse(&format!("\n{wrong}\n")).err(), Some(2), "{wrong}");
        }
    }

    #[test]
    fn of_many_names_some_are_told() {
        assert_eq!(named(["b", "a"]), "`a`, `b`");
        assert_eq!(named(["1", "2", "3", "4", "5", "6", "7"]), "`1`, `2`, `3`, `4`, `5` and 2 more");
    }
}
