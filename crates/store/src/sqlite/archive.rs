//! Past releases and the log of changes, kept by the embedded store.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::StoreError;
use crate::archive::{
    Archive, Change, ChangePage, ChangeQuery, FileLine, MOST_DETAIL, NewChange, PastRelease, Pin, Snapshot, Verified,
};
use crate::sqlite::Sqlite;
use crate::sqlite::changes;
use crate::sqlite::releases;

#[async_trait]
impl Archive for Sqlite {
    async fn keep_release(&self, release: Snapshot) -> Result<(), StoreError> {
        self.as_gateway()?;
        let (release, texts) = off_thread(move || by_digest(release)).await?;
        let digests: Vec<String> = texts.keys().cloned().collect();
        let known = self.people.read(move |db| releases::known(db, &digests)).await?;
        for (digest, text) in texts.into_iter().filter(|(digest, _)| !known.contains(digest)) {
            let packed = off_thread(move || releases::Packed::of(digest, &text)).await?;
            let line = packed.line.clone();
            let id = self.write(move |tx| releases::begin(tx, &line)).await?;
            for (number, piece) in packed.pieces().enumerate() {
                self.write(move |tx| releases::piece(tx, id, number, &piece)).await?;
            }
            self.write(move |tx| releases::end(tx, id)).await?;
        }
        self.write(move |tx| releases::keep(tx, &release)).await?;
        while self.write(|tx| releases::sweep(tx)).await? {}
        Ok(())
    }

    async fn releases(&self) -> Result<Vec<PastRelease>, StoreError> {
        self.people.read(releases::list).await
    }

    async fn release_files(&self, hash: &str) -> Result<Option<Vec<FileLine>>, StoreError> {
        let hash = hash.to_owned();
        self.people.read(move |db| releases::files(db, &hash)).await
    }

    async fn texts(&self, digests: Vec<String>) -> Result<Vec<Option<Arc<[u8]>>>, StoreError> {
        self.people.read(move |db| digests.iter().map(|digest| releases::text(db, digest)).collect()).await
    }

    async fn pin(&self) -> Result<Option<Pin>, StoreError> {
        self.people.read(changes::pin).await
    }

    async fn note(&self, change: NewChange) -> Result<Change, StoreError> {
        if change.detail.len() > MOST_DETAIL {
            let text = format!("the detail of a change has at most {MOST_DETAIL} bytes, not {}", change.detail.len());
            return Err(StoreError::Refused(text));
        }
        self.write(move |tx| changes::append(tx, &change)).await
    }

    async fn changes(&self, query: ChangeQuery) -> Result<ChangePage, StoreError> {
        self.people.read(move |db| changes::list(db, &query)).await
    }

    async fn verify_changes(&self) -> Result<Verified, StoreError> {
        // All of it as of one moment.
        let read = |db: &rusqlite::Connection| changes::verify(&*db.unchecked_transaction()?);
        self.people.read(read).await
    }
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Closed)
}

/// The texts of a release by digest, and the release with digests in their place.
fn by_digest(release: Snapshot) -> (releases::Named, BTreeMap<String, Arc<[u8]>>) {
    let Snapshot { hash, who, at, about, files } = release;
    let mut texts = BTreeMap::new();
    let line = |file: crate::archive::File| {
        let digest = hex::encode(Sha256::digest(&file.text));
        let line = FileLine { part: file.part, name: file.name, digest, bytes: file.text.len() as u64 };
        texts.insert(line.digest.clone(), file.text);
        line
    };
    let files = files.into_iter().map(line).collect();
    (releases::Named { hash, who, at, about, files }, texts)
}
