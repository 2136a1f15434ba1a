//! The only door to files that a configuration names or that a bundle holds.
//!
//! What is opened here is a regular file of a real file system: folders, devices, pipes, sockets and what the kernel shows
//! under `/proc` and `/sys` are refused, opening never waits, and no more than a limit is read. A [`Fence`](fence::Fence)
//! also says where the file may lie. Every check is made again on the file that was opened, because a name may mean another
//! file a moment later. Nothing here knows the configuration, and no error repeats what a file holds.

use std::fs;
use std::fs::File;
use std::fs::FileType;
use std::io;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::StatFs;

pub mod fence;

/// A certificate, a key or a set of keys that is larger is a mistake.
pub const MAX_CERTIFICATE_BYTES: u64 = 4 * 1024 * 1024;

/// Why a file was not read, as a clause about it, for whoever wrote its name into the configuration.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("it is outside the bundle")]
    Outside,
    #[error("it is a link that leads out of the bundle")]
    LinkOutside,
    #[error("it is in a folder of secrets, or is one, and secrets are no part of a bundle")]
    Secret,
    #[error("it is in the folder of the store, and what is stored is no part of a bundle")]
    Store,
    #[error("it is hidden: a file or folder whose name begins with a dot is no part of a bundle")]
    Hidden,
    #[error("it is read as a part of the bundle, so nothing may be written there")]
    Source,
    #[error("it is not a file but {0}")]
    NotAFile(&'static str),
    #[error("it is not a file of a disk: the kernel shows its own state there")]
    Kernel,
    #[error("it is no folder that can be listed there")]
    NotARoot,
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    #[error("it was replaced while it was read")]
    Replaced,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl FileError {
    /// What to do about it, where the error does not say it itself.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Outside | Self::LinkOutside => Some(
                "put it below the folder of `gateway.toml`, or list its folder in `[scripts] roots` if it is to be elsewhere",
            ),
            Self::Secret => Some(
                "keep it in a folder that holds no secret and is not named `secrets`; a key that takes `{ file = … }` \
                 reads secrets",
            ),
            Self::Store => Some("keep it in a folder of its own"),
            Self::Hidden => Some("give it a name without a dot at the beginning"),
            Self::Source => Some("write to another file, such as one below `data`"),
            _ => None,
        }
    }

    /// Whether there is no such file.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Opens a regular file for reading, wherever it is. Never waits: not for the writer of a pipe either.
///
/// # Errors
/// It is not there, may not be read, or is no regular file of a real file system.
pub(crate) fn open(path: &Path) -> Result<File, FileError> {
    open_with(path, OFlags::empty())
}

/// Reads a regular file of at most `limit` bytes, wherever it is.
///
/// # Errors
/// As [`open`], or it is larger.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    read_open(open(path)?, limit)
}

fn open_with(path: &Path, flags: OFlags) -> Result<File, FileError> {
    // Asked before opening, because opening a device can do something.
    check_kind(fs::metadata(path)?.file_type())?;
    let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?);
    check_open(&file)?;
    Ok(file)
}

/// Whether an open file is a regular file of a real file system.
///
/// # Errors
/// What it is instead.
pub fn check_open(file: &File) -> Result<(), FileError> {
    check_kind(file.metadata()?.file_type())?;
    check_type(rustix::fs::fstatfs(file).map_err(io::Error::from)?)
}

/// The same for a path, without opening it.
fn check_path(path: &Path) -> Result<(), FileError> {
    check_kind(fs::metadata(path)?.file_type())?;
    check_type(rustix::fs::statfs(path).map_err(io::Error::from)?)
}

fn read_open(file: File, limit: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(FileError::TooLarge(limit)) } else { Ok(bytes) }
}

fn check_kind(kind: FileType) -> Result<(), FileError> {
    if kind.is_file() {
        return Ok(());
    }
    Err(FileError::NotAFile(match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_symlink() => "a link",
        _ => "a device",
    }))
}

/// File systems in which the kernel shows and takes its own state (`linux/magic.h`): `proc`, `sysfs`, `debugfs`, `tracefs`,
/// `securityfs`, `configfs`, both kinds of control groups, `bpf`, `devpts`, `selinuxfs`, `efivarfs`, `binfmt_misc`.
#[cfg(target_os = "linux")]
const KERNEL_FILE_SYSTEMS: [u32; 13] = [
    0x9fa0,
    0x6265_6572,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0x6265_6570,
    0x0027_e0eb,
    0x6367_7270,
    0xcafe_4a11,
    0x1cd1,
    0xf97c_ff8c,
    0xde5e_81e4,
    0x4249_4e4d,
];

#[cfg(target_os = "linux")]
fn check_type(found: StatFs) -> Result<(), FileError> {
    // The numbers have 32 bits; the field is as wide as the machine's words.
    let kernel = KERNEL_FILE_SYSTEMS.contains(&(found.f_type as u32));
    if kernel { Err(FileError::Kernel) } else { Ok(()) }
}

/// Elsewhere the kernel's state is shown in no file that is a regular one.
#[cfg(not(target_os = "linux"))]
fn check_type(_: StatFs) -> Result<(), FileError> {
    Ok(())
}

#[cfg(test)]
mod tests;
