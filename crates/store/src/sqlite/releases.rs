//! Past releases: which texts each is made of, and the texts, each once.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params;
use sha2::{Digest, Sha256};

use crate::Millis;
use crate::StoreError;
use crate::archive::{FileLine, MOST_RELEASE_BYTES, MOST_RELEASES, Part, PastRelease};
use crate::sqlite::fault::Fault;
use crate::sqlite::work::Tx;

/// The most bytes that one transaction writes or removes of a text.
const PIECE: usize = 256 << 10;
/// Shorter texts hardly shrink.
const WORTH_PACKING: usize = 512;

/// A release with its files named by digest.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) hash: String,
    pub(super) who: String,
    pub(super) at: Millis,
    pub(super) about: String,
    pub(super) files: Vec<FileLine>,
}

/// A text as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) line: Line,
    stored: Arc<[u8]>,
}

#[derive(Clone, Debug)]
pub(super) struct Line {
    digest: String,
    bytes: usize,
    packed: bool,
    stored: usize,
}

impl Packed {
    /// Deflates a text where that makes it shorter.
    pub(super) fn of(digest: String, text: &Arc<[u8]>) -> Self {
        let packed = Some(text).filter(|text| text.len() > WORTH_PACKING).and_then(|text| {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text).and_then(|()| encoder.finish()).ok().filter(|packed| packed.len() < text.len())
        });
        let is_packed = packed.is_some();
        let stored = packed.map_or_else(|| Arc::clone(text), Arc::from);
        let line = Line { digest, bytes: text.len(), packed: is_packed, stored: stored.len() };
        Self { line, stored }
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = Vec<u8>> {
        self.stored.chunks(PIECE).map(<[u8]>::to_vec)
    }
}

/// Which of these texts are there, whole.
pub(super) fn known(db: &Connection, digests: &[String]) -> rusqlite::Result<HashSet<String>> {
    let mut find = db.prepare_cached("SELECT 1 FROM release_text WHERE digest = ?1 AND whole = 1")?;
    let mut known = HashSet::new();
    for digest in digests {
        if find.exists([digest])? {
            known.insert(digest.clone());
        }
    }
    Ok(known)
}

/// Begins a text: its number. What an earlier process left of it goes.
pub(super) fn begin(tx: &Tx<'_>, line: &Line) -> Result<i64, Fault> {
    let mut find = tx.db.prepare_cached("SELECT id FROM release_text WHERE digest = ?1")?;
    if let Some(id) = find.query_row([&line.digest], |row| row.get::<_, i64>(0)).optional()? {
        tx.db.prepare_cached("DELETE FROM release_piece WHERE text = ?1")?.execute([id])?;
        tx.db.prepare_cached("DELETE FROM release_text WHERE id = ?1")?.execute([id])?;
    }
    let mut insert = tx
        .db
        .prepare_cached("INSERT INTO release_text (digest, bytes, packed, stored, whole) VALUES (?1, ?2, ?3, ?4, 0)")?;
    Ok(insert.insert(params![line.digest, line.bytes as i64, line.packed, line.stored as i64])?)
}

pub(super) fn piece(tx: &Tx<'_>, text: i64, number: usize, bytes: &[u8]) -> Result<(), Fault> {
    let mut insert = tx.db.prepare_cached("INSERT INTO release_piece (text, number, bytes) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![text, number as i64, bytes])?;
    Ok(())
}

pub(super) fn end(tx: &Tx<'_>, text: i64) -> Result<(), Fault> {
    tx.db.prepare_cached("UPDATE release_text SET whole = 1 WHERE id = ?1")?.execute([text])?;
    Ok(())
}

/// Keeps a release whose texts are there, as the newest, and forgets those that are too many.
pub(super) fn keep(tx: &Tx<'_>, release: &Named) -> Result<(), Fault> {
    let mut put = tx.db.prepare_cached(
        "INSERT INTO release_kept (hash, turn, first_at, activated_at, who, about)
         VALUES (?1, (SELECT coalesce(max(turn), 0) + 1 FROM release_kept), ?2, ?2, ?3, ?4)
         ON CONFLICT (hash) DO UPDATE SET turn = excluded.turn, activated_at = ?2, who = ?3, about = ?4",
    )?;
    put.execute(params![release.hash, release.at, release.who, release.about])?;
    tx.db.prepare_cached("DELETE FROM release_file WHERE release = ?1")?.execute([&release.hash])?;
    let mut insert = tx.db.prepare_cached(
        "INSERT INTO release_file (release, part, name, text)
         SELECT ?1, ?2, ?3, id FROM release_text WHERE digest = ?4 AND whole = 1",
    )?;
    for file in &release.files {
        if insert.execute(params![release.hash, file.part.name(), file.name, file.digest])? == 0 {
            let text = format!("the text of `{}` went while its release was kept", file.name);
            return Err(Fault::Refused(StoreError::Broken(text)));
        }
    }
    forget(tx)
}

/// Removes releases beyond the newest fifty, and beyond the bytes that all may take.
fn forget(tx: &Tx<'_>) -> Result<(), Fault> {
    let mut read = tx.db.prepare_cached("SELECT hash FROM release_kept ORDER BY turn DESC")?;
    let hashes = read.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let mut sizes = tx.db.prepare_cached(
        "SELECT DISTINCT id, stored FROM release_file JOIN release_text ON id = text WHERE release = ?1",
    )?;
    let (mut seen, mut bytes) = (HashSet::new(), 0u64);
    let mut gone = Vec::new();
    for (place, hash) in hashes.into_iter().enumerate() {
        let texts = sizes.query_map([&hash], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        for text in texts {
            let (id, stored) = text?;
            if seen.insert(id) {
                bytes += stored.unsigned_abs();
            }
        }
        if place >= MOST_RELEASES || (place >= 2 && bytes > MOST_RELEASE_BYTES) {
            gone.push(hash);
        }
    }
    for hash in gone {
        tx.db.prepare_cached("DELETE FROM release_file WHERE release = ?1")?.execute([&hash])?;
        tx.db.prepare_cached("DELETE FROM release_kept WHERE hash = ?1")?.execute([&hash])?;
    }
    Ok(())
}

/// Removes a piece of a text that no release has; whether there may be more to remove.
pub(super) fn sweep(tx: &Tx<'_>) -> Result<bool, Fault> {
    let mut find = tx.db.prepare_cached(
        "SELECT id FROM release_text WHERE NOT EXISTS (SELECT 1 FROM release_file WHERE text = id) LIMIT 1",
    )?;
    let Some(id) = find.query_row([], |row| row.get::<_, i64>(0)).optional()? else { return Ok(false) };
    let mut last = tx.db.prepare_cached(
        "DELETE FROM release_piece WHERE text = ?1
         AND number = (SELECT max(number) FROM release_piece WHERE text = ?1)",
    )?;
    // What remains is no whole text any more, should the process end here.
    tx.db.prepare_cached("UPDATE release_text SET whole = 0 WHERE id = ?1")?.execute([id])?;
    if last.execute([id])? == 0 {
        tx.db.prepare_cached("DELETE FROM release_text WHERE id = ?1")?.execute([id])?;
    }
    Ok(true)
}

pub(super) fn list(db: &Connection) -> rusqlite::Result<Vec<PastRelease>> {
    let mut read = db.prepare_cached(
        "SELECT hash, first_at, activated_at, who, about, count(text), coalesce(sum(bytes), 0)
         FROM release_kept LEFT JOIN release_file ON release = hash LEFT JOIN release_text ON id = text
         GROUP BY hash ORDER BY turn DESC",
    )?;
    let releases = read.query_map([], |row| {
        Ok(PastRelease {
            hash: row.get(0)?,
            first: row.get(1)?,
            activated: row.get(2)?,
            who: row.get(3)?,
            about: row.get(4)?,
            files: row.get::<_, i64>(5)?.unsigned_abs(),
            bytes: row.get::<_, i64>(6)?.unsigned_abs(),
        })
    })?;
    releases.collect()
}

pub(super) fn files(db: &Connection, hash: &str) -> rusqlite::Result<Option<Vec<FileLine>>> {
    if !db.prepare_cached("SELECT 1 FROM release_kept WHERE hash = ?1")?.exists([hash])? {
        return Ok(None);
    }
    let mut read = db.prepare_cached(
        "SELECT part, name, digest, bytes FROM release_file JOIN release_text ON id = text WHERE release = ?1
         ORDER BY part, name",
    )?;
    let lines = read.query_map([hash], |row| {
        let part = row.get_ref(0)?.as_str()?;
        let part = Part::ALL.into_iter().find(|known| known.name() == part).unwrap_or(Part::Fixture);
        let bytes = row.get::<_, i64>(3)?.unsigned_abs();
        Ok(FileLine { part, name: row.get(1)?, digest: row.get(2)?, bytes })
    })?;
    lines.collect::<rusqlite::Result<_>>().map(Some)
}

/// A text by its digest. What is not what it was is an error.
pub(super) fn text(db: &Connection, digest: &str) -> rusqlite::Result<Option<Arc<[u8]>>> {
    let mut find = db.prepare_cached("SELECT id, bytes, packed FROM release_text WHERE digest = ?1 AND whole = 1")?;
    let found = find.query_row([digest], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get(2)?)));
    let Some((id, bytes, packed)) = found.optional()? else { return Ok(None) };
    let mut read = db.prepare_cached("SELECT bytes FROM release_piece WHERE text = ?1 ORDER BY number")?;
    let mut rows = read.query([id])?;
    let mut stored = Vec::new();
    while let Some(row) = rows.next()? {
        stored.extend_from_slice(row.get_ref(0)?.as_blob()?);
    }
    let text = if packed { unpacked(&stored, bytes.unsigned_abs()) } else { Some(stored) };
    match text.filter(|text| hex::encode(Sha256::digest(text)) == digest) {
        Some(text) => Ok(Some(text.into())),
        None => Err(rusqlite::Error::FromSqlConversionFailure(
            0,
            rusqlite::types::Type::Blob,
            format!("the text {digest} of a past release is not what it was").into(),
        )),
    }
}

fn unpacked(stored: &[u8], bytes: u64) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    DeflateDecoder::new(stored).take(bytes + 1).read_to_end(&mut text).ok()?;
    Some(text)
}
