//! Reading a bundle from disk: `gateway.toml`, every script, every table file, in one go.
//!
//! Symbolic links are followed as far as the [`Fence`] of the bundle goes (a ConfigMap is made of links); names that begin
//! with a dot and editors' backup files are left out. What cannot be read is a finding, never a smaller bundle.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::release::bundle::listing::Listing;
use hookgate_model::files;
use hookgate_model::files::FileError;
use hookgate_model::files::fence::{Fence, Purpose};
use hookgate_model::finding::Finding;

mod listing;

/// Larger scripts are a mistake: positions in Rhai end at line 65,535.
const MAX_SCRIPT_BYTES: u64 = 1024 * 1024;
/// All scripts and fixtures together: what is read is in memory more than once while a release is built.
const MAX_SCRIPTS_BYTES: usize = 128 * 1024 * 1024;
const MAX_CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// Where a bundle is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder that relative paths start at.
    pub root: PathBuf,
    /// `gateway.toml`, or what `--config` names.
    pub config: PathBuf,
    /// Texts that stand in for files: what an editor has not saved yet.
    pub open: BTreeMap<PathBuf, Arc<str>>,
}

/// Texts by path below the scripts folder, with `/`.
pub(crate) type Named = BTreeMap<String, Arc<str>>;

/// Everything that a release is made of, but secrets, which are not in a bundle.
#[derive(Clone, Debug)]
pub struct Content {
    /// The text of `gateway.toml`.
    pub config: Arc<str>,
    pub texts: Texts,
}

impl Content {
    /// The hash that names it.
    pub(crate) fn hash(&self) -> String {
        hash(&self.config, &self.texts)
    }
}

/// The texts of one reading.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// By path below the scripts folder, with `/`.
    pub scripts: BTreeMap<String, Arc<str>>,
    /// By table name.
    pub tables: BTreeMap<String, Arc<[u8]>>,
    /// JSON files of tests (golden cases, bodies to load), by path below the scripts folder.
    pub fixtures: BTreeMap<String, Arc<str>>,
}

impl Place {
    /// The bundle of a configuration file.
    pub fn of(config: &Path) -> Self {
        let root = config.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self { root: root.to_owned(), config: config.to_owned(), open: BTreeMap::new() }
    }

    /// The name that findings carry.
    pub fn config_name(&self) -> String {
        self.config.file_name().map_or_else(|| "gateway.toml".into(), |name| name.to_string_lossy().into_owned())
    }

    /// The text of the configuration.
    ///
    /// # Errors
    /// It cannot be read, or is not UTF-8.
    pub(crate) fn read_config(&self) -> Result<String, Box<Finding>> {
        let name = self.config_name();
        if let Some(text) = self.open.get(&self.config) {
            return Ok(text.to_string());
        }
        let bytes = files::read(&self.config, MAX_CONFIG_BYTES);
        text_of(bytes, &name, "config/unreadable").map_err(|finding| match finding.help {
            Some(_) => finding,
            None => Box::new(finding.help("`hookgate init` writes a first bundle; --config names another file")),
        })
    }

    /// Every `*.rhai` below `dir`, and every `*.json`, which tests may load.
    ///
    /// # Errors
    /// Whatever cannot be read.
    pub(crate) fn read_scripts(&self, fence: &Fence, dir: &str) -> Result<(Named, Named), Vec<Finding>> {
        let (scripts, fixtures, findings) = self.readable_scripts(fence, dir);
        if findings.is_empty() { Ok((scripts, fixtures)) } else { Err(findings) }
    }

    /// Every `*.rhai` and `*.json` below `dir` that can be read, and findings about the others.
    pub(crate) fn readable_scripts(&self, fence: &Fence, dir: &str) -> (Named, Named, Vec<Finding>) {
        let (mut scripts, mut fixtures) = (Named::new(), Named::new());
        let folder = self.root.join(dir);
        let Listing { found, mut findings, .. } = Listing::of(fence, dir);
        let mut room = MAX_SCRIPTS_BYTES;
        for name in found {
            let file = format!("{dir}/{name}");
            let is_script = name.ends_with(".rhai");
            let texts = if is_script { &mut scripts } else { &mut fixtures };
            let bytes = fence.read(&file, Purpose::Text, MAX_SCRIPT_BYTES.min(room as u64));
            match text_of(bytes, &file, "script/unreadable") {
                Ok(text) => {
                    room = room.saturating_sub(text.len());
                    texts.insert(name, Arc::from(text));
                }
                Err(finding) => findings.push(*finding),
            }
            if room == 0 {
                let text = format!("all scripts and fixtures together are larger than {MAX_SCRIPTS_BYTES} bytes");
                findings.push(Finding::error("script/unreadable", dir, text));
                break;
            }
        }
        for (path, text) in &self.open {
            let name = path.strip_prefix(&folder).ok().and_then(Path::to_str).filter(|name| name.ends_with(".rhai"));
            if let Some(name) = name {
                let name = name.replace('\\', "/");
                findings.retain(|finding| finding.file != format!("{dir}/{name}"));
                scripts.insert(name, text.clone());
            }
        }
        (scripts, fixtures, findings)
    }

    /// Files of the bundle that are mounts of their own: a container runtime pins those to the file of its start, so a
    /// change never shows. Linux tells; elsewhere nothing is found.
    pub(crate) fn mounted_files(&self) -> Vec<Finding> {
        let (Ok(mounts), Ok(root)) = (fs::read_to_string("/proc/self/mountinfo"), self.root.canonicalize()) else {
            return Vec::new();
        };
        let files = mounts_below(&mounts, &root).into_iter().filter(|file| root.join(file).is_file());
        let warn = |file: String| {
            let text = format!("`{file}` is mounted as a single file, so changes to it will never be seen");
            Finding::warning("config/single-file-mount", file, text)
                .help("mount the folder instead; a ConfigMap by `subPath` never updates")
        };
        files.map(warn).collect()
    }
}

/// Mount points below `root`, relative to it (proc(5), mountinfo: the fifth field, blanks written as `\\040`).
fn mounts_below(mountinfo: &str, root: &Path) -> Vec<String> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| point.replace("\\040", " "));
    let below =
        points.filter_map(|point| Some(Path::new(&point).strip_prefix(root).ok()?.to_string_lossy().into_owned()));
    below.filter(|file| !file.is_empty()).collect()
}

/// Hash over everything that makes a release.
pub(crate) fn hash(config: &str, texts: &Texts) -> String {
    let mut hasher = Sha256::new();
    let mut part = |name: &str, bytes: &[u8]| {
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part("config", config.as_bytes());
    for (name, text) in &texts.scripts {
        part(name, text.as_bytes());
    }
    for (name, bytes) in &texts.tables {
        part(name, bytes);
    }
    for (name, text) in &texts.fixtures {
        part(name, text.as_bytes());
    }
    hex::encode(hasher.finalize())
}

/// Whether a path below the folder of scripts names a script or a fixture.
pub(super) fn is_script_file(path: &str) -> bool {
    let is_ours = path.ends_with(".rhai") || path.ends_with(".json");
    is_ours && !path.split('/').any(listing::is_left_out)
}

/// The names of the scripts and fixtures below `dir`, without reading them.
pub(super) fn script_files(fence: &Fence, dir: &str) -> Vec<String> {
    Listing::of(fence, dir).found
}

/// A finding about a file that was not read.
pub(crate) fn unreadable(code: &'static str, file: &str, error: &FileError) -> Finding {
    let finding = Finding::error(code, file, format!("cannot be read: {error}"));
    match error.help() {
        Some(help) => finding.help(help),
        None => finding,
    }
}

fn text_of(bytes: Result<Vec<u8>, FileError>, name: &str, code: &'static str) -> Result<String, Box<Finding>> {
    let bytes = bytes.map_err(|error| Box::new(unreadable(code, name, &error)))?;
    // Some editors write a byte order mark; it is no part of the text.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(bytes);
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let finding = Finding::error(code, name, format!("is not UTF-8 at line {line}"));
        Box::new(finding.help("save the file as UTF-8"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_inside_the_bundle_are_found() {
        let mounts = "22 1 254:1 / / rw - ext4 /dev/vda rw\n\
            36 22 0:32 /a /etc/hookgate/gateway.toml ro - ext4 /dev/vda rw\n\
            37 22 0:33 /b /etc/hookgate/scripts/my\\040rule.rhai ro - ext4 /dev/vda rw\n\
            38 22 0:34 / /etc/hookgate rw - tmpfs tmpfs rw\n39 22 0:35 / /etc/hookgate2/x rw - tmpfs tmpfs rw\n";
        let found = mounts_below(mounts, Path::new("/etc/hookgate"));
        assert_eq!(found, ["gateway.toml", "scripts/my rule.rhai"]);
    }
}
