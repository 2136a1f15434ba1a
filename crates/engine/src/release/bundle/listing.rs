//! Which files of the scripts folder belong to a bundle. Reads folders only, and never more than the limits here.

use std::fs;
use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};

use crate::release::bundle::unreadable;
use hookgate_model::files::FileError;
use hookgate_model::files::fence::{Fence, Purpose};
use hookgate_model::finding::Finding;

const MAX_FOLDER_DEPTH: usize = 8;
/// Entries of all folders together.
const MAX_ENTRIES: usize = 50_000;

/// Scripts and fixtures below a folder, by their path below it, and what is wrong with the folder.
pub(super) struct Listing<'a> {
    fence: &'a Fence,
    dir: &'a str,
    pub(super) found: Vec<String>,
    pub(super) findings: Vec<Finding>,
    entries: usize,
}

impl<'a> Listing<'a> {
    /// Lists the folder `dir` of a bundle.
    pub(super) fn of(fence: &'a Fence, dir: &'a str) -> Self {
        let mut listing = Self { fence, dir, found: Vec::new(), findings: Vec::new(), entries: 0 };
        let listed = fence.locate(dir, Purpose::Text).and_then(|real| listing.folder(&real, "", &mut Vec::new()));
        if let Err(error) = listed {
            let finding = unreadable("script/unreadable", dir, &error);
            let text = format!("the scripts folder {}", finding.message);
            listing.findings.push(Finding { message: text, ..finding });
        }
        listing
    }

    /// `above` are the real paths of the folders around this one.
    fn folder(&mut self, real: &Path, prefix: &str, above: &mut Vec<PathBuf>) -> Result<(), FileError> {
        if above.len() > MAX_FOLDER_DEPTH {
            return Err(other(format!("folders are nested more than {MAX_FOLDER_DEPTH} deep at {prefix}")));
        }
        above.push(real.to_owned());
        for entry in fs::read_dir(real)? {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(other(format!("there are more than {MAX_ENTRIES} files in it")));
            }
            self.entry(&entry?, prefix, above)?;
        }
        above.pop();
        Ok(())
    }

    fn entry(&mut self, entry: &DirEntry, prefix: &str, above: &mut Vec<PathBuf>) -> Result<(), FileError> {
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_left_out(&name) {
            return Ok(());
        }
        let path = format!("{prefix}{name}");
        // `metadata` follows links; a dangling one to a script is an error, like a script that is gone.
        if !fs::metadata(entry.path()).is_ok_and(|found| found.is_dir()) {
            if name.ends_with(".rhai") || name.ends_with(".json") {
                self.found.push(path);
            }
            return Ok(());
        }
        let is_link = entry.file_type()?.is_symlink();
        let file = format!("{}/{path}", self.dir);
        match self.fence.locate(&file, Purpose::Text) {
            Ok(real) if above.contains(&real) => {
                let text = "is a link to a folder around itself";
                self.findings.push(Finding::error("script/unreadable", file, text).help("remove the link"));
            }
            Ok(real) => self.folder(&real, &format!("{path}/"), above)?,
            // A folder of secrets or of the store that lies in the scripts folder is no part of it. A link to one is a
            // mistake, or worse.
            Err(FileError::Secret | FileError::Store) if !is_link => {}
            Err(error) => self.findings.push(unreadable("script/unreadable", &file, &error)),
        }
        Ok(())
    }
}

/// Whether a file or folder of this name is no part of a bundle: it is hidden, or what an editor leaves.
pub(super) fn is_left_out(name: &str) -> bool {
    name.starts_with('.') || name.starts_with('#') || name.ends_with('~')
}

fn other(text: String) -> FileError {
    FileError::Io(io::Error::other(text))
}
