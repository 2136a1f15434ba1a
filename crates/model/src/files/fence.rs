//! Where files of a bundle may lie: below its folder, or below a folder that the configuration lists; never among secrets,
//! in the store, or hidden.
//!
//! What counts is where a file really is, after all links. Links inside one of the folders are followed, because a ConfigMap
//! is made of them (`list.txt -> ..data/list.txt`, `..data -> ..2026_01_01_00_00/`).

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::OFlags;

use crate::files::{FileError, check_path, open_with, read_open};

/// How often a file is looked for again that was replaced while it was being opened: a ConfigMap is swapped as a whole.
const TRIES: usize = 3;

/// A folder of this name holds secrets, wherever it is in a bundle.
const SECRETS: &str = "secrets";

/// What a file is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Its text becomes a part of a release, which people and scripts may read.
    Text,
    /// A database that a connector asks.
    Database,
    /// Authorities and public keys: what they hold is shown to nobody.
    Certificate,
}

/// Device and number of a file: the same for every name of it.
type Identity = (u64, u64);

/// The folders of a bundle, and what of them is closed.
#[derive(Clone, Debug, Default)]
pub struct Fence {
    /// Where relative paths start.
    start: PathBuf,
    /// As they are named, the folder of the bundle first. What they lead to is looked at each time: a new version of a bundle
    /// often is another target of the same link.
    roots: Vec<PathBuf>,
    /// Real paths of folders that hold secrets.
    secret_folders: Vec<PathBuf>,
    secret_files: Vec<Identity>,
    /// Real path of the database, and of its folder where nothing else of the bundle is in it.
    store: Option<PathBuf>,
    /// The database and its log. They are never opened here, not even to look: closing a file ends the locks that this
    /// process has on it, those of SQLite included.
    store_files: Vec<Identity>,
    store_folder: Option<PathBuf>,
    /// Real paths that are read as parts of the bundle: nothing is written there.
    sources: Vec<PathBuf>,
}

impl Fence {
    /// The fence of a bundle in a folder. A folder that is not there holds no file.
    pub fn new(start: &Path) -> Self {
        let start = if start.as_os_str().is_empty() { Path::new(".") } else { start };
        Self { start: start.to_owned(), roots: vec![start.to_owned()], ..Self::default() }
    }

    /// Also files below this folder are allowed. A relative path starts at the bundle.
    ///
    /// # Errors
    /// It is not there, is no folder, or is one that cannot be a root: `/`, or where the kernel shows its state or devices.
    pub fn add_root(&mut self, folder: &str) -> Result<(), FileError> {
        let named = self.start.join(folder);
        let real = named.canonicalize()?;
        let kernel = ["/proc", "/sys", "/dev"].iter().any(|kernel| real.starts_with(kernel));
        if !real.is_dir() || real == Path::new("/") || (kernel && !real.starts_with("/dev/shm")) {
            return Err(FileError::NotARoot);
        }
        self.roots.push(named);
        Ok(())
    }

    /// Says that this file, or what is below this folder, is a part of the bundle. The whole bundle is not: there is more in
    /// its folder.
    pub fn add_source(&mut self, path: &str) {
        let real = self.start.join(path).canonicalize().ok();
        let is_root = |real: &PathBuf| self.real_roots().any(|root| root == *real);
        let source = real.filter(|real| !is_root(real));
        self.sources.extend(source);
    }

    /// Closes a file that holds a secret, and its folder; not the folder where it is the bundle's own, its parent, or holds
    /// what was added as a source before. A file that is not there closes its folder.
    pub fn close_secret(&mut self, path: &str) {
        let path = self.start.join(path);
        let named = path.parent().and_then(|folder| folder.canonicalize().ok());
        let real = path.canonicalize().ok().and_then(|real| real.parent().map(Path::to_owned));
        for folder in named.into_iter().chain(real) {
            if !self.is_shared(&folder) && !self.secret_folders.contains(&folder) {
                self.secret_folders.push(folder);
            }
        }
        self.secret_files.extend(identity(&path));
    }

    /// Closes the database of the store, and its folder where nothing of the bundle is in it.
    pub fn close_store(&mut self, database: &str) {
        let path = self.start.join(database);
        let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
        self.store = folder.as_ref().zip(path.file_name()).map(|(folder, name)| folder.join(name));
        self.store_folder = folder.filter(|folder| !self.is_shared(folder));
        let beside = |end: &str| identity(Path::new(&format!("{}{end}", path.display())));
        self.store_files = ["", "-wal", "-shm"].into_iter().filter_map(beside).collect();
    }

    /// Whether a folder holds a root or a source, so that closing it would close the bundle.
    fn is_shared(&self, folder: &Path) -> bool {
        self.real_roots().any(|root| root.starts_with(folder))
            || self.sources.iter().any(|source| source.starts_with(folder))
    }

    /// The bytes of a file, of which at most `limit` may be there.
    ///
    /// # Errors
    /// Why it is not read.
    pub fn read(&self, written: &str, purpose: Purpose, limit: u64) -> Result<Vec<u8>, FileError> {
        read_open(self.open(written, purpose)?, limit)
    }

    fn open(&self, written: &str, purpose: Purpose) -> Result<File, FileError> {
        let mut last = FileError::Replaced;
        for _ in 0..TRIES {
            let real = self.locate(written, purpose)?;
            match self.open_real(&real, purpose) {
                Err(error) if error.is_absent() || matches!(error, FileError::Replaced) => last = error,
                opened => return opened,
            }
        }
        Err(last)
    }

    /// Opens what a name meant, and looks whether that is what was opened.
    fn open_real(&self, real: &Path, purpose: Purpose) -> Result<File, FileError> {
        let file = open_with(real, OFlags::NOFOLLOW)?;
        let found = file.metadata()?;
        if purpose != Purpose::Certificate && self.secret_files.contains(&(found.dev(), found.ino())) {
            return Err(FileError::Secret);
        }
        if same_place(&file, real)? { Ok(file) } else { Err(FileError::Replaced) }
    }

    /// The real path of a file or folder that may be read.
    ///
    /// # Errors
    /// It is not there, or may not be read for this.
    pub fn locate(&self, written: &str, purpose: Purpose) -> Result<PathBuf, FileError> {
        let real = self.start.join(written).canonicalize()?;
        let Some(below) = self.below(&real) else {
            return Err(outside(written));
        };
        if self.is_store(&real) {
            return Err(FileError::Store);
        }
        if purpose == Purpose::Certificate {
            return Ok(real);
        }
        self.check_closed(&real, below)?;
        let in_folder = self.store_folder.as_ref().is_some_and(|folder| real.starts_with(folder));
        if in_folder && purpose == Purpose::Text { Err(FileError::Store) } else { Ok(real) }
    }

    /// The real path of a database that a connector may ask. It is not opened here, and may not be there yet.
    ///
    /// # Errors
    /// It may not be read, or is no regular file.
    pub fn locate_database(&self, written: &str) -> Result<PathBuf, FileError> {
        let path = self.start.join(written);
        match self.locate(written, Purpose::Database) {
            Ok(real) => {
                check_path(&real)?;
                Ok(real)
            }
            Err(error) if error.is_absent() && !path.is_symlink() => {
                match path.parent().and_then(|folder| folder.canonicalize().ok()).zip(path.file_name()) {
                    Some((folder, name)) if self.below(&folder).is_some() => Ok(folder.join(name)),
                    None if !leads_out(written) => Ok(path),
                    _ => Err(outside(written)),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The path of a file that a connector may write: anywhere if it is absolute, else below the roots, and never where
    /// secrets, the store or the bundle itself are. Its folder must be there.
    ///
    /// # Errors
    /// Why not.
    pub fn locate_for_writing(&self, written: &str) -> Result<PathBuf, FileError> {
        let path = self.start.join(written);
        let (folder, name) = path.parent().zip(path.file_name()).ok_or(FileError::NotAFile("a folder"))?;
        let real = match path.canonicalize() {
            Ok(real) => real,
            // A link to what is not there would make a file elsewhere.
            Err(_) if path.is_symlink() => return Err(FileError::LinkOutside),
            Err(_) => folder.canonicalize()?.join(name),
        };
        let below = match self.below(&real) {
            Some(below) => below,
            None if Path::new(written).is_absolute() => Path::new(""),
            None => return Err(outside(written)),
        };
        self.check_closed(&real, below)?;
        if self.is_store(&real) {
            return Err(FileError::Store);
        }
        if self.sources.iter().any(|source| real.starts_with(source)) {
            return Err(FileError::Source);
        }
        Ok(real)
    }

    /// The path below the root that a file is in.
    fn below<'p>(&self, real: &'p Path) -> Option<&'p Path> {
        self.real_roots().find_map(|root| real.strip_prefix(root).ok())
    }

    fn real_roots(&self) -> impl Iterator<Item = PathBuf> {
        self.roots.iter().filter_map(|root| root.canonicalize().ok())
    }

    fn check_closed(&self, real: &Path, below: &Path) -> Result<(), FileError> {
        let name = |part: &Component<'_>| part.as_os_str().to_string_lossy().into_owned();
        if self.secret_folders.iter().any(|folder| real.starts_with(folder))
            || below.components().any(|part| name(&part).eq_ignore_ascii_case(SECRETS))
        {
            return Err(FileError::Secret);
        }
        // `..data` and `..2026_01_01_00_00` are folders of a ConfigMap.
        let hidden = |part: &Component<'_>| name(part).starts_with('.') && !name(part).starts_with("..");
        // By another name (a hard link), too.
        if identity(real).is_some_and(|found| self.secret_files.contains(&found)) {
            return Err(FileError::Secret);
        }
        if below.components().any(|part| hidden(&part)) { Err(FileError::Hidden) } else { Ok(()) }
    }

    /// The database, or a file that SQLite keeps beside it, by whatever name.
    fn is_store(&self, real: &Path) -> bool {
        let Some(store) = &self.store else { return false };
        if identity(real).is_some_and(|found| self.store_files.contains(&found)) {
            return true;
        }
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        real.parent() == store.parent() && name(real).starts_with(&name(store))
    }
}

fn identity(path: &Path) -> Option<Identity> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}

fn outside(written: &str) -> FileError {
    if leads_out(written) { FileError::Outside } else { FileError::LinkOutside }
}

/// Whether a path is absolute, or climbs above where it starts, by its text alone.
pub fn leads_out(written: &str) -> bool {
    let mut depth = 0_i32;
    for part in Path::new(written).components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth -= 1,
            Component::RootDir | Component::Prefix(_) => return true,
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

/// Whether a path names a folder of secrets, or something hidden, by its text alone.
///
/// # Errors
/// Which of the two.
pub fn check_names(written: &str) -> Result<(), FileError> {
    for part in Path::new(written).components() {
        let Component::Normal(name) = part else { continue };
        let name = name.to_string_lossy();
        if name.eq_ignore_ascii_case(SECRETS) {
            return Err(FileError::Secret);
        }
        if name.starts_with('.') && !name.starts_with("..") {
            return Err(FileError::Hidden);
        }
    }
    Ok(())
}

/// Whether an open file is the one at this real path: no part of the path was replaced by a link meanwhile.
#[cfg(target_os = "linux")]
fn same_place(file: &File, real: &Path) -> io::Result<bool> {
    use std::os::fd::AsRawFd;
    match std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) {
        Ok(place) => Ok(place == real),
        // Without /proc.
        Err(_) => still_there(file, real),
    }
}

#[cfg(not(target_os = "linux"))]
fn same_place(file: &File, real: &Path) -> io::Result<bool> {
    still_there(file, real)
}

fn still_there(file: &File, real: &Path) -> io::Result<bool> {
    let (opened, now) = (file.metadata()?, real.metadata()?);
    Ok(real.canonicalize()? == real && (opened.dev(), opened.ino()) == (now.dev(), now.ino()))
}
