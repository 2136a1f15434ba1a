//! Which store an address names, and opening it. Whoever wants a store names no kind of it.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Store;
use crate::claimant::Claimant;
use crate::clock::Clock;
use crate::sqlite::{Options, Sqlite};

/// How an embedded store's address begins.
const FILE: &str = "sqlite:";

/// The file that an address names, as it is written there; nothing for a store that is no file.
pub fn file_of(url: &str) -> Option<&str> {
    let file = url.strip_prefix(FILE)?;
    // `sqlite:///var/lib/hookgate.db` is written, too.
    Some(file.strip_prefix("//").unwrap_or(file))
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreAddress {
    file: PathBuf,
}

/// Why a text is no address of a store that this version can open. No message repeats the address: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("names a PostgreSQL database, and this version keeps events in SQLite only")]
    Server,
    #[error("is not the address of a store")]
    Unknown,
    #[error("must name a file, without options")]
    NoFile,
}

impl StoreAddress {
    /// Reads `sqlite:FILE`. A relative path starts at `folder`.
    ///
    /// # Errors
    /// It is something else.
    pub fn parse(url: &str, folder: &Path) -> Result<Self, AddressError> {
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Err(AddressError::Server);
        }
        let file = file_of(url).ok_or(AddressError::Unknown)?;
        if file.is_empty() || file.starts_with(":memory:") || file.contains('?') {
            return Err(AddressError::NoFile);
        }
        // Without the dot of the working directory, which would only be in the way when it is shown.
        let file = if folder == Path::new(".") { file.into() } else { folder.join(file) };
        Ok(Self { file })
    }

    /// The embedded store in this file.
    pub fn of_file(file: PathBuf) -> Self {
        Self { file }
    }

    /// The file in which everything is.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whether there is a store already.
    pub fn is_there(&self) -> bool {
        self.file.is_file()
    }

    /// Whether both lead to the same store, however they are written.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let real = |file: &Path| file.canonicalize().unwrap_or_else(|_| file.to_owned());
        real(&self.file) == real(&other.file)
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.display().fmt(formatter)
    }
}

/// Who opens a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opener {
    /// A gateway, which claims jobs as this one. The store is made if it is not there. Leases of an earlier start of the same
    /// claimant are void from then on. The embedded store has one gateway at a time, which is [`Claimant::only`].
    Gateway(Claimant),
    /// An operator, beside the gateway that may use it: to look, to operate, to back up. Takes no jobs and keeps no events.
    Operator,
}

/// Opens a store.
///
/// # Errors
/// It cannot be used, another gateway uses it, or there is none and the opener is an operator.
pub fn open(address: &StoreAddress, opener: Opener, clock: Arc<Clock>) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match opener {
        Opener::Gateway(claimant) => Arc::new(Sqlite::open(&address.file, Options { clock, claimant })?),
        Opener::Operator => Arc::new(Sqlite::attach(&address.file)?),
    })
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("another gateway uses `{}`: its lock `{}` is held", file.display(), lock.display())]
    Locked { file: PathBuf, lock: PathBuf },
    #[error("there is no store at `{}`", .0.display())]
    Missing(PathBuf),
    #[error("`{}` was written by a newer version: its schema is {found}, this version knows {known}", file.display())]
    Newer { file: PathBuf, found: i64, known: i64 },
    #[error("`{}` was written by an older version: start the gateway once, which brings it up to date", .0.display())]
    Older(PathBuf),
    #[error("`{}` is a database, but not one of this program", .0.display())]
    Foreign(PathBuf),
    #[error(
        "`{}` says that its tables are those of version {found}, and they are not ({problem}): put a backup in its place",
        file.display()
    )]
    Tables { file: PathBuf, found: i64, problem: String },
    #[error("`{}` does not keep the setting `{setting}`: it should be `{wanted}` and is `{found}`", file.display())]
    Setting { file: PathBuf, setting: &'static str, wanted: String, found: String },
    #[error("cannot use `{}`: {error}", file.display())]
    Io { file: PathBuf, error: std::io::Error },
    #[error("cannot open `{}`: {error}", file.display())]
    Database { file: PathBuf, error: Box<dyn Error + Send + Sync> },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<StoreAddress, AddressError> {
        StoreAddress::parse(url, Path::new("/srv/bundle"))
    }

    #[test]
    fn a_path_starts_at_the_bundle_unless_it_is_absolute() {
        for (url, file) in [
            ("sqlite:data/hookgate.db", "/srv/bundle/data/hookgate.db"),
            ("sqlite:/var/lib/hookgate.db", "/var/lib/hookgate.db"),
            ("sqlite:///var/lib/hookgate.db", "/var/lib/hookgate.db"),
        ] {
            assert_eq!(parse(url).map(|address| address.file), Ok(file.into()), "{url}");
        }
        assert_eq!(StoreAddress::parse("sqlite:a.db", Path::new(".")).map(|address| address.file), Ok("a.db".into()));
    }

    #[test]
    fn what_is_no_file_is_refused_without_repeating_it() {
        for (url, why) in [
            ("postgres://u:secret@h/d", AddressError::Server),
            ("postgresql://u:secret@h/d", AddressError::Server),
            ("mysql://u:secret@h/d", AddressError::Unknown),
            ("sqlite:", AddressError::NoFile),
            ("sqlite::memory:", AddressError::NoFile),
            ("sqlite:a.db?mode=ro&key=secret", AddressError::NoFile),
        ] {
            assert_eq!(parse(url), Err(why), "{url}");
            assert!(!why.to_string().contains("secret"));
        }
    }

    #[test]
    fn the_same_store_is_known_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.db"), folder.path().join("b.db"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let [real, linked] = [file, link].map(StoreAddress::of_file);
        assert!(real.is_same_as(&linked) && linked.is_there());
        assert!(!real.is_same_as(&StoreAddress::of_file(folder.path().join("c.db"))));
    }
}
