//! What releases are made of, as they are kept and compared: texts by part and name, each with its digest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::history::Failure;
use crate::history::diff;
use crate::history::diff::FileDiff;
use crate::history::shown;
use crate::release::build;
use crate::release::bundle::{Content, Place, Texts};
use hookgate_store::Store;
use hookgate_store::archive::{File, Part};

/// The files of a release; a text is there once it was needed.
pub(crate) type Tree = BTreeMap<(Part, String), Leaf>;

#[derive(Clone, Debug)]
pub struct Leaf {
    pub(crate) digest: String,
    pub(crate) bytes: u64,
    pub(crate) text: Option<Arc<[u8]>>,
}

/// The name under which the configuration is kept, whatever the file is called.
const CONFIG: &str = "gateway.toml";

/// The files of a content, without copying them but for the texts of scripts.
pub(crate) fn files(content: &Content) -> Vec<File> {
    let of =
        |part: Part, name: &str, text: &Arc<str>| File { part, name: name.to_owned(), text: text.as_bytes().into() };
    let mut files = vec![of(Part::Config, CONFIG, &content.config)];
    files.extend(content.texts.scripts.iter().map(|(name, text)| of(Part::Script, name, text)));
    files.extend(content.texts.fixtures.iter().map(|(name, text)| of(Part::Fixture, name, text)));
    let table =
        |(name, text): (&String, &Arc<[u8]>)| File { part: Part::Table, name: name.clone(), text: text.clone() };
    files.extend(content.texts.tables.iter().map(table));
    files
}

/// Files with their digests; takes a while for large tables.
pub(crate) fn tree(files: Vec<File>) -> Tree {
    let leaf = |file: File| {
        let digest = hex::encode(Sha256::digest(&file.text));
        ((file.part, file.name), Leaf { digest, bytes: file.text.len() as u64, text: Some(file.text) })
    };
    files.into_iter().map(leaf).collect()
}

/// The files on disk.
///
/// # Errors
/// Why they cannot be read.
pub async fn on_disk(place: &Place) -> Result<Tree, Failure> {
    let place = place.clone();
    let read = tokio::task::spawn_blocking(move || {
        build::read(&place).map(|reading| tree(files(&reading.content()))).map_err(Failure::OnDisk)
    });
    read.await.unwrap_or_else(|error| Err(Failure::Damaged("on disk".to_owned(), error.to_string())))
}

/// The files of a release that is kept, without their texts.
///
/// # Errors
/// It is not kept, or the store cannot be read.
pub async fn kept(store: &dyn Store, hash: &str) -> Result<Tree, Failure> {
    let files = store.archive().release_files(hash).await?.ok_or_else(|| Failure::Unknown(shown::label(hash)))?;
    let leaf = |file: hookgate_store::archive::FileLine| {
        ((file.part, file.name), Leaf { digest: file.digest, bytes: file.bytes, text: None })
    };
    Ok(files.into_iter().map(leaf).collect())
}

/// Brings the texts into a tree that pass a test.
///
/// # Errors
/// One is gone, or is not what it was.
pub(crate) async fn load(
    store: &dyn Store,
    tree: &mut Tree,
    wanted: impl Fn(&(Part, String)) -> bool,
) -> Result<(), Failure> {
    let missing: Vec<_> = tree
        .iter()
        .filter(|(key, leaf)| leaf.text.is_none() && wanted(key))
        .map(|(key, leaf)| (key.clone(), leaf.digest.clone()))
        .collect();
    let texts = store.archive().texts(missing.iter().map(|(_, digest)| digest.clone()).collect()).await?;
    for ((key, digest), text) in missing.into_iter().zip(texts) {
        let text =
            text.ok_or_else(|| Failure::Damaged(key.1.clone(), format!("its text {digest} is not kept any more")))?;
        if let Some(leaf) = tree.get_mut(&key) {
            leaf.text = Some(text);
        }
    }
    Ok(())
}

/// Brings the texts into a tree that are short enough to be shown.
///
/// # Errors
/// One is gone, or is not what it was.
pub async fn load_short(store: &dyn Store, tree: &mut Tree) -> Result<(), Failure> {
    let short = |leaf: &Leaf| leaf.bytes <= shown::MOST_TEXT;
    let wanted: BTreeSet<(Part, String)> =
        tree.iter().filter(|(_, leaf)| short(leaf)).map(|(key, _)| key.clone()).collect();
    load(store, tree, |key| wanted.contains(key)).await
}

/// What a release was made of.
///
/// # Errors
/// It is not kept, or not as it was.
pub(crate) async fn read(store: &dyn Store, hash: &str) -> Result<Content, Failure> {
    let mut tree = kept(store, hash).await?;
    load(store, &mut tree, |_| true).await?;
    let damaged = |why: &str| Failure::Damaged(shown::label(hash), why.to_owned());
    let mut config = None;
    let mut texts = Texts::default();
    for ((part, name), leaf) in tree {
        let bytes = leaf.text.unwrap_or_default();
        if part == Part::Table {
            texts.tables.insert(name, bytes);
            continue;
        }
        let text: Arc<str> = std::str::from_utf8(&bytes).map_err(|_| damaged("a file of it is not UTF-8"))?.into();
        match part {
            Part::Config => config = Some(text),
            Part::Script => drop(texts.scripts.insert(name, text)),
            Part::Fixture | Part::Table => drop(texts.fixtures.insert(name, text)),
        }
    }
    let content = Content { config: config.ok_or_else(|| damaged("it has no configuration"))?, texts };
    if content.hash() != hash { Err(damaged("its content has another hash")) } else { Ok(content) }
}

/// How two trees differ, with at most so many bytes of text.
///
/// # Errors
/// A text is gone, or is not what it was.
pub async fn diff(store: &dyn Store, mut from: Tree, mut to: Tree, most: usize) -> Result<Vec<FileDiff>, Failure> {
    let differs = |key: &(Part, String), other: &Tree, leaf: &Leaf| {
        other.get(key).is_none_or(|found| found.digest != leaf.digest)
    };
    let mut changed: Vec<(Part, String)> = Vec::new();
    changed.extend(from.iter().filter(|(key, leaf)| differs(key, &to, leaf)).map(|(key, _)| key.clone()));
    changed.extend(to.iter().filter(|(key, leaf)| differs(key, &from, leaf)).map(|(key, _)| key.clone()));
    changed.sort();
    changed.dedup();
    load(store, &mut from, |key| changed.binary_search(key).is_ok()).await?;
    load(store, &mut to, |key| changed.binary_search(key).is_ok()).await?;
    let compare = move || diff::files(&changed, &from, &to, most);
    tokio::task::spawn_blocking(compare).await.map_err(|error| Failure::Damaged("diff".to_owned(), error.to_string()))
}
