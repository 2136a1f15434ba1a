//! The entries of a table in one block of memory, and an index of their keys.
//!
//! An entry costs its bytes and about ten for the index, so that a table takes a small multiple of its file.

use std::borrow::Cow;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::table::encoded::{Reader, put_number, put_text};

/// How an entry begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// With its key; then come its own bytes.
    #[default]
    Keyed,
    /// With a value, whose text is the key. Values without one are not in the index.
    Values,
}

/// Bytes that are free before an entry is added; one that needs more makes the block grow as vectors do.
const ROOM: usize = 256;

/// Entries, found by key. The bytes after a key are whatever the kind of table keeps there.
#[derive(Default)]
pub(super) struct Entries {
    form: Form,
    block: Vec<u8>,
    index: HashTable<u32>,
    hasher: RandomState,
    /// Entries without a key among them.
    count: usize,
}

impl Entries {
    /// Empty, with room for a block of `bytes`.
    pub(crate) fn keyed(bytes: usize) -> Self {
        Self { block: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Empty, for values that are their own keys.
    pub(crate) fn values(bytes: usize) -> Self {
        Self { form: Form::Values, ..Self::keyed(bytes) }
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The bytes of an entry, after its key; in a list, from its value on.
    pub(crate) fn find(&self, key: &str) -> Option<Reader<'_>> {
        let place = *self.index.find(self.hasher.hash_one(key), |place| self.is_at(*place, key))?;
        Some(self.read(place))
    }

    /// The key as it is kept.
    pub(crate) fn key(&self, key: &str) -> Option<&str> {
        let place = *self.index.find(self.hasher.hash_one(key), |place| self.is_at(*place, key))?;
        (self.form == Form::Keyed).then(|| Reader { block: &self.block, at: place as usize }.text())
    }

    /// Adds an entry whose bytes `write` appends. Of two with one key the one that is there stays, and nothing is added;
    /// or the new one takes its place, where `replace` says so.
    ///
    /// # Errors
    /// What `write` says, and that the block is full.
    pub(crate) fn add<E>(
        &mut self,
        key: &str,
        replace: bool,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let hash = self.hasher.hash_one(key);
        let known = self.index.find(hash, |place| self.is_at(*place, key)).is_some();
        if known && !replace {
            return Ok(false);
        }
        let place = self.place();
        put_text(&mut self.block, key);
        write(&mut self.block)?;
        self.put(hash, place, known.then_some(key));
        self.count += usize::from(!known);
        Ok(!known)
    }

    /// Adds a value that `write` appends. The last of several with one key is found by it.
    ///
    /// # Errors
    /// What `write` says.
    pub(crate) fn push<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<bool, E>) -> Result<bool, E> {
        let place = self.place();
        if !write(&mut self.block)? {
            return Ok(false);
        }
        self.count += 1;
        let key = Reader { block: &self.block, at: place as usize }.key().map(Cow::into_owned);
        if let Some(key) = key {
            let hash = self.hasher.hash_one(key.as_str());
            let known = self.index.find(hash, |place| self.is_at(*place, &key)).is_some();
            self.put(hash, place, known.then_some(&key));
        }
        Ok(true)
    }

    /// Changes the first byte of an entry, after its key.
    pub(crate) fn mark(&mut self, key: &str, change: impl FnOnce(u8) -> u8) {
        let Some(reader) = self.find(key) else { return };
        let at = reader.at;
        if let Some(byte) = self.block.get_mut(at) {
            *byte = change(*byte);
        }
    }

    /// Gives back what the block and the index do not use.
    pub(crate) fn finished(mut self) -> Self {
        self.block.shrink_to_fit();
        let (block, form, hasher) = (&self.block, self.form, &self.hasher);
        self.index.shrink_to_fit(|place| hash_of(block, form, hasher, *place));
        self
    }

    /// All keys with the bytes after them, in no order; of a list, nothing.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Reader<'_>)> {
        self.index.iter().filter(|_| self.form == Form::Keyed).map(|place| {
            let mut reader = Reader { block: &self.block, at: *place as usize };
            (reader.text(), reader)
        })
    }

    /// From the first value of a list on.
    pub(crate) fn first(&self) -> Reader<'_> {
        Reader { block: &self.block, at: 0 }
    }

    /// Where the next entry begins. Makes room for it in small steps: doubling a large block would take three times its size.
    fn place(&mut self) -> u32 {
        let len = self.block.len();
        if self.block.capacity() - len < ROOM {
            self.block.reserve_exact(ROOM + len / 8);
        }
        // A file of the largest size makes a block that is far smaller than that.
        u32::try_from(len).unwrap_or(u32::MAX)
    }

    fn put(&mut self, hash: u64, place: u32, known: Option<&str>) {
        let (block, form, hasher) = (&self.block, self.form, &self.hasher);
        if let Some(key) = known
            && let Some(old) = self.index.find_mut(hash, |place| is_at(block, form, *place, key))
        {
            *old = place;
            return;
        }
        self.index.insert_unique(hash, place, |place| hash_of(block, form, hasher, *place));
    }

    fn read(&self, place: u32) -> Reader<'_> {
        let mut reader = Reader { block: &self.block, at: place as usize };
        if self.form == Form::Keyed {
            reader.text();
        }
        reader
    }

    fn is_at(&self, place: u32, key: &str) -> bool {
        is_at(&self.block, self.form, place, key)
    }
}

fn key_at(block: &[u8], form: Form, place: u32) -> Cow<'_, str> {
    let mut reader = Reader { block, at: place as usize };
    match form {
        Form::Keyed => Cow::Borrowed(reader.text()),
        Form::Values => reader.key().unwrap_or_default(),
    }
}

fn is_at(block: &[u8], form: Form, place: u32, key: &str) -> bool {
    key_at(block, form, place) == key
}

fn hash_of(block: &[u8], form: Form, hasher: &RandomState, place: u32) -> u64 {
    hasher.hash_one(&*key_at(block, form, place))
}

/// The cells of a row, one after the other.
pub(super) fn put_cells<'a>(block: &mut Vec<u8>, count: usize, cells: impl Iterator<Item = &'a str>) {
    put_number(block, count as u64);
    cells.for_each(|cell| put_text(block, cell));
}
