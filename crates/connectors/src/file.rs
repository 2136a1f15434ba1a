//! `file`: one JSON line an action, appended to a file. For trying things out, for tests, and for what another program reads.
//!
//! Never changes a line that was written. A line is written with one call and is on the disk before the action counts as done.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rustix::fs::OFlags;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::entry;
use crate::setup::{Kind, Problem, Setup};
use crate::{Connector, Done, Order, Performing, Probed, Probing, Trouble};
use hookgate_model::command::{Action, Task};
use hookgate_model::files;
use hookgate_model::files::fence::Fence;
use hookgate_model::question;
use hookgate_model::question::Reason;

#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "file",
    about: "A file that gets one JSON line an action.",
    guide: include_str!("file/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Lines::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: false,
    proxied: false,
};

/// The mode of a new file.
const PRIVATE: u32 = 0o600;
/// Rights of others, and of a group to write, which no file keeps.
const TOO_WIDE: u32 = 0o027;

/// Of a digest, as many actions are written out.
const MOST_ITEMS: usize = 100;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Path of the file: below the folder of `gateway.toml`, or absolute. Its folder must be there. What a release is made of,
    /// secrets and the store cannot be written. A new file has the mode 0600.
    #[schemars(length(min = 1))]
    path: String,
    /// When a line would make the file larger than this, a new file is begun and the old one gets `.1` behind its name.
    #[serde(default = "hundred_mebibytes")]
    #[schemars(range(min = 1))]
    rotate_bytes: u64,
    /// How many old files are kept: `.1` is the youngest.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 1000))]
    keep_files: u32,
}

fn hundred_mebibytes() -> u64 {
    100 * 1024 * 1024
}

fn five() -> u32 {
    5
}

struct Lines {
    log: Arc<Log>,
}

/// The file, and who may write to it: one at a time.
struct Log {
    path: PathBuf,
    /// The path as the settings have it: where it leads is looked at each time that it is opened.
    written: String,
    fence: Arc<Fence>,
    rotate_bytes: u64,
    keep_files: u32,
    open: Mutex<Option<Open>>,
}

struct Open {
    file: File,
    inode: u64,
    bytes: u64,
    /// The last line has no end: whoever wrote it was stopped.
    torn: bool,
}

impl Lines {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let Settings { path: written, rotate_bytes, keep_files } = setup.read()?;
        let path = Path::new(&written);
        if path.is_relative() && path.components().any(|part| part == Component::ParentDir) {
            let problem = Problem::bad_value("path", "leads out of the folder of `gateway.toml`");
            return Err(vec![problem.help("write an absolute path if it is meant to be elsewhere")]);
        }
        if written.ends_with('/') || path.file_name().is_none() {
            return Err(vec![Problem::bad_value("path", "is not the path of a file")]);
        }
        let fence = setup.fence.clone();
        match fence.locate_for_writing(&written) {
            Ok(_) => {}
            // Its folder may come later.
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(vec![Problem::file("path", &written, &error)]),
        }
        let log =
            Log { path: setup.root.join(&written), written, fence, rotate_bytes, keep_files, open: Mutex::default() };
        Ok(Self { log: Arc::new(log) })
    }
}

impl Log {
    /// Whether it could be written: the file, or the nearest folder that is there.
    fn probed(&self) -> Result<Probed, question::Trouble> {
        let nearest = self.path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        match rustix::fs::access(nearest, rustix::fs::Access::WRITE_OK) {
            Ok(()) if nearest == self.path || nearest.is_dir() => Ok(Probed::new("it can be written", &[])),
            Ok(()) => {
                let text = format!("`{}` is no folder", nearest.display());
                Err(question::Trouble::new(Reason::Rejected, text))
            }
            Err(error) => {
                let text = format!("`{}` cannot be written: {error}", nearest.display());
                Err(question::Trouble::new(Reason::Denied, text))
            }
        }
    }
}

impl Connector for Lines {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn check(&self, _: &Action) -> Result<(), String> {
        Ok(())
    }

    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        Box::pin(async move {
            let line =
                line(order).map_err(|error| Trouble::refused(format!("it cannot be written as JSON: {error}")))?;
            let log = self.log.clone();
            let written = tokio::task::spawn_blocking(move || log.append(&line)).await;
            match written {
                Ok(Ok(())) => Ok(Done { status: None, note: String::new() }),
                Ok(Err(error)) => {
                    Err(Trouble::not_delivered(format!("`{}` cannot be written: {error}", self.log.path.display())))
                }
                Err(error) => Err(Trouble::maybe_delivered(format!("writing was broken off: {error}"))),
            }
        })
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(std::future::ready(self.log.probed())))
    }
}

/// What stands in a line.
#[derive(Serialize)]
struct Line<'a> {
    /// When the event or call came.
    time: String,
    key: &'a str,
    event_id: &'a str,
    event_type: &'a str,
    route: &'a str,
    #[serde(flatten)]
    task: &'a Task,
    /// The event as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Box<RawValue>>,
    /// Of a digest: how many actions it stands for, and the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    items: Vec<&'a Task>,
}

fn line(order: &Order) -> serde_json::Result<Vec<u8>> {
    let task = &order.action.task;
    let digest = order.gathered_count > 0;
    let line = Line {
        time: Timestamp::from_millisecond(order.received).unwrap_or_default().to_string(),
        key: &order.key,
        event_id: &order.event_id,
        event_type: &order.event_type,
        route: &order.route,
        task,
        event: if *task == Task::Forward { Some(raw(&order.event)?) } else { None },
        count: digest.then(|| order.count()),
        items: if digest { order.tasks(MOST_ITEMS).collect() } else { Vec::new() },
    };
    let mut text = serde_json::to_vec(&line)?;
    text.push(b'\n');
    Ok(text)
}

/// The event in one line.
fn raw(event: &[u8]) -> serde_json::Result<Box<RawValue>> {
    RawValue::from_string(entry::one_line(entry::json_of(event).get()))
}

impl Log {
    fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match slot.take() {
            Some(open) if self.is_current(&open) => open,
            _ => self.opened(None)?,
        };
        let full = open.bytes > 0 && open.bytes + line.len() as u64 > self.rotate_bytes;
        let open = if full { self.rotate(open)? } else { open };
        slot.insert(open).append(line)
    }

    /// Whether the name still means this file: others may have moved or removed it.
    fn is_current(&self, open: &Open) -> bool {
        self.path.metadata().is_ok_and(|found| found.ino() == open.inode)
    }

    /// The file as the path means it now. A new one gets this mode, or one that nobody else may read.
    fn opened(&self, mode: Option<u32>) -> io::Result<Open> {
        let real = self.fence.locate_for_writing(&self.written).map_err(io::Error::other)?;
        Open::at(&real, mode.unwrap_or(PRIVATE))
    }

    fn rotate(&self, open: Open) -> io::Result<Open> {
        // Whoever was allowed to read the old file may read the new one.
        let mode = open.file.metadata()?.mode() & 0o777;
        drop(open);
        for number in (1..self.keep_files).rev() {
            match std::fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(&self.path, self.numbered(1))?;
        self.opened(Some(mode))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

impl Open {
    fn at(path: &Path, mode: u32) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
        options.create(true).append(true).read(true).mode(mode).custom_flags(flags.bits().cast_signed());
        let mut file = options.open(path)?;
        files::check_open(&file).map_err(io::Error::other)?;
        let found = file.metadata()?;
        // Earlier versions made files that everybody could read. A group that may only read was meant by somebody.
        if found.mode() & TOO_WIDE != 0 {
            file.set_permissions(Permissions::from_mode(PRIVATE))?;
        }
        let mut last = [b'\n'];
        if found.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        // A new name is on the disk only once its folder is.
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            kept(File::open(folder)?.sync_all())?;
        }
        Ok(Self { file, inode: found.ino(), bytes: found.len(), torn: last != [b'\n'] })
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let mut text = Vec::with_capacity(line.len() + 1);
        if self.torn {
            text.push(b'\n');
        }
        text.extend_from_slice(line);
        let written = self.file.write(&text)?;
        if written < text.len() {
            self.broke_off(written);
            return Err(io::Error::new(io::ErrorKind::StorageFull, "only a part of the line could be written"));
        }
        self.bytes += written as u64;
        self.torn = false;
        kept(self.file.sync_data())
    }

    /// Takes away the part of a line that could be written, which is of no use to who reads the file. It needs no space. It stays
    /// where it cannot be taken away, as in a pipe, and where somebody else wrote behind it.
    fn broke_off(&mut self, written: usize) {
        let end = self.bytes + written as u64;
        let is_last = self.file.metadata().is_ok_and(|found| found.len() == end);
        if written > 0 && !(is_last && self.file.set_len(self.bytes).is_ok()) {
            self.bytes = end;
            self.torn = true;
        }
    }
}

/// Pipes and some network file systems cannot be asked to keep what they got.
fn kept(synced: io::Result<()>) -> io::Result<()> {
    synced.or_else(|error| if error.kind() == io::ErrorKind::InvalidInput { Ok(()) } else { Err(error) })
}
