//! What the file system says of the files of a bundle without reading them: enough to tell that one changed.
//!
//! A stamp has what changes with every write, rename and replacement: device, inode, size and both times. The kernel's times are
//! coarse, so two writes within a few milliseconds may leave the same one. Stamps prove something only of files that were left
//! alone for longer than that; [`settle`](super::settle) waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::config::Config;
use crate::config::Document;
use crate::release::bundle::{Place, script_files};
use crate::release::fence;
use hookgate_model::files::fence::Fence;

/// How many links are followed for one path.
const MOST_LINKS: u32 = 40;

/// Which files a configuration makes a bundle of.
#[derive(Clone, Debug)]
pub(super) struct FileList {
    fence: Fence,
    dir: String,
    /// Tables and the manifest, as written.
    files: Vec<String>,
    /// How long they must be quiet before they are read.
    pub(super) settle: Duration,
}

impl FileList {
    pub(super) fn of(place: &Place, document: &Document) -> Self {
        let config = &document.config;
        let (fence, _) = fence::of(place, document);
        let files = files(config).map(str::to_owned).collect();
        Self { fence, dir: config.scripts.dir.clone(), files, settle: config.scripts.settle() }
    }

    /// Folders in which files of the bundle lie.
    pub(super) fn folders(&self, place: &Place) -> BTreeSet<PathBuf> {
        let parent = |file: &String| place.root.join(file).parent().map(Path::to_owned);
        let folders = self.files.iter().filter_map(parent);
        folders.chain([place.root.clone(), place.root.join(&self.dir)]).collect()
    }
}

/// Files that are read beside `gateway.toml` and the scripts.
pub(super) fn files(config: &Config) -> impl Iterator<Item = &str> {
    config.tables.values().map(|table| table.file.as_str()).chain(config.scripts.manifest.as_deref())
}

/// What the file system says at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps {
    /// By path relative to the bundle; nothing for a file that is not there.
    files: BTreeMap<String, Option<Stamp>>,
    /// Folders, and links on the way to a file: who swaps one and swaps it back leaves no trace on files.
    ways: BTreeMap<PathBuf, Stamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

impl Stamps {
    /// Looks at `gateway.toml`, and at what it is known to name.
    pub(super) fn of(place: &Place, parts: Option<&FileList>) -> Self {
        let mut stamps = Self::default();
        stamps.folder(&place.root);
        stamps.file(place.config_name(), &place.config);
        let Some(parts) = parts else { return stamps };
        for file in &parts.files {
            stamps.file(file.clone(), &place.root.join(file));
        }
        let folder = place.root.join(&parts.dir);
        stamps.follow(&folder, &mut { MOST_LINKS });
        stamps.folder(&folder);
        let mut folders = BTreeSet::new();
        for name in script_files(&parts.fence, &parts.dir) {
            let path = folder.join(&name);
            folders.extend(Path::new(&name).ancestors().skip(1).map(|below| folder.join(below)));
            stamps.script(format!("{}/{name}", parts.dir), &path);
        }
        folders.iter().for_each(|folder| stamps.folder(folder));
        stamps
    }

    /// The files that are not the same in both.
    pub(super) fn differing(&self, other: &Self) -> BTreeSet<String> {
        let names = self.files.keys().chain(other.files.keys());
        names.filter(|name| self.files.get(*name) != other.files.get(*name)).cloned().collect()
    }

    /// How long ago the last of the files changed, by the clock; nothing where that is in the future.
    pub(super) fn age(&self) -> Option<Duration> {
        let newest = self.files.values().flatten().map(|stamp| stamp.changed).max()?;
        let (seconds, nanoseconds) = newest;
        let since_1970 = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH.checked_add(since_1970)?).ok()
    }

    fn file(&mut self, name: String, path: &Path) {
        self.follow(path, &mut { MOST_LINKS });
        self.files.insert(name, fs::metadata(path).ok().map(|found| Stamp::of(&found)));
    }

    /// A file in the folder of scripts, whose way was followed already.
    fn script(&mut self, name: String, path: &Path) {
        let found = fs::symlink_metadata(path).ok();
        if found.as_ref().is_some_and(Metadata::is_symlink) {
            return self.file(name, path);
        }
        self.files.insert(name, found.map(|found| Stamp::of(&found)));
    }

    fn folder(&mut self, path: &Path) {
        if let Ok(found) = fs::metadata(path) {
            self.ways.insert(path.to_owned(), Stamp::of(&found));
        }
    }

    /// Notes every link on the way to a path.
    fn follow(&mut self, path: &Path, left: &mut u32) {
        let mut so_far = PathBuf::new();
        for part in path.components() {
            so_far.push(part);
            let Ok(found) = fs::symlink_metadata(&so_far) else { return };
            if !found.is_symlink() || *left == 0 {
                continue;
            }
            *left -= 1;
            self.ways.insert(so_far.clone(), Stamp::of(&found));
            if let Ok(target) = fs::read_link(&so_far) {
                let around = so_far.parent().unwrap_or(Path::new(""));
                self.follow(&around.join(target), left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::release::build;

    const TOML: &str = "[scripts]\nmanifest = \"all.sha256\"\n[auth.a]\nscheme = \"none\"\n\
        [tables.t]\nfile = \"tables/t.txt\"\nkind = \"lines\"\n\
        [routes.a]\npath = \"/a\"\nhook = \"okta.registration\"\nscript = \"a.rhai\"\nauth = \"a\"\non_failure = \"allow\"\n";

    struct Files {
        folder: tempfile::TempDir,
        place: Place,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let place = Place::of(&folder.path().join("gateway.toml"));
            let files = Self { folder, place };
            files.put("gateway.toml", TOML);
            files.put("all.sha256", "");
            files.put("tables/t.txt", "a\n");
            files.put("scripts/a.rhai", "fn on_registration(request) { allow() }");
            files.put("scripts/lib/b.rhai", "fn b() { 1 }");
            files
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn put(&self, name: &str, text: &str) {
            let path = self.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn stamps(&self) -> Stamps {
            let parts = build::parts(&self.place).unwrap();
            Stamps::of(&self.place, Some(&parts))
        }
    }

    /// A later tick of the clock that files are stamped with.
    fn tick() {
        std::thread::sleep(Duration::from_millis(25));
    }

    #[test]
    fn every_kind_of_change_leaves_another_stamp() {
        type Change = (&'static str, fn(&Files), &'static [&'static str]);
        let changes: &[Change] = &[
            ("written in place", |files| files.put("scripts/a.rhai", "//"), &["scripts/a.rhai"]),
            ("the same size", |files| files.put("tables/t.txt", "b\n"), &["tables/t.txt"]),
            (
                "the same size and times",
                |files| {
                    let before = fs::metadata(files.path("tables/t.txt")).unwrap().modified().unwrap();
                    files.put("tables/t.txt", "b\n");
                    fs::File::options()
                        .write(true)
                        .open(files.path("tables/t.txt"))
                        .unwrap()
                        .set_modified(before)
                        .unwrap();
                },
                &["tables/t.txt"],
            ),
            (
                "renamed over",
                |files| {
                    files.put("x", TOML);
                    fs::rename(files.path("x"), files.path("gateway.toml")).unwrap();
                },
                &["gateway.toml"],
            ),
            ("removed", |files| fs::remove_file(files.path("all.sha256")).unwrap(), &["all.sha256"]),
            ("one more", |files| files.put("scripts/lib/more/c.rhai", ""), &["scripts/lib/more/c.rhai"]),
            (
                "a folder replaced",
                |files| {
                    files.put("lib.new/b.rhai", "fn b() { 2 }");
                    fs::rename(files.path("scripts/lib"), files.path("lib.old")).unwrap();
                    fs::rename(files.path("lib.new"), files.path("scripts/lib")).unwrap();
                },
                &["scripts/lib/b.rhai"],
            ),
        ];
        for (name, change, expected) in changes {
            let files = Files::new();
            let before = files.stamps();
            assert_eq!(before, files.stamps(), "reading leaves no trace");
            assert_eq!(before.files.len(), 5, "{before:?}");
            tick();
            change(&files);
            let changed = before.differing(&files.stamps());
            assert_eq!(changed.iter().map(String::as_str).collect::<Vec<_>>(), *expected, "{name}");
        }
    }

    #[test]
    fn a_swap_and_a_swap_back_are_seen() {
        let files = Files::new();
        for version in ["one", "two"] {
            files.put(&format!("{version}/t.txt"), version);
        }
        let swap = |to: &str| {
            symlink(to, files.path("new")).unwrap();
            fs::rename(files.path("new"), files.path("tables")).unwrap();
        };
        fs::remove_dir_all(files.path("tables")).unwrap();
        swap("one");
        let before = files.stamps();
        tick();
        swap("two");
        assert_eq!(before.differing(&files.stamps()), BTreeSet::from(["tables/t.txt".to_owned()]));
        swap("one");
        let after = files.stamps();
        assert!(before.differing(&after).is_empty());
        assert_ne!(before, after, "the files are what they were, and a reading in between was of others");
    }

    #[test]
    fn a_link_to_itself_ends() {
        let files = Files::new();
        symlink("loop.rhai", files.path("scripts/loop.rhai")).unwrap();
        assert_eq!(files.stamps().files["scripts/loop.rhai"], None);
    }
}
