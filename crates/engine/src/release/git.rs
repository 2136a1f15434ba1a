//! Which commit a bundle's folder is at, and whether somebody is changing its files. Reads files alone: no process is started,
//! and nothing is asked of a work tree.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How far up the folder of a repository is looked for.
const MOST_LEVELS: usize = 16;
/// Longer files of references are not read.
const MOST_BYTES: u64 = 4 << 20;

/// The id of the commit that `HEAD` names, above or at `folder`; nothing where there is no repository, or no commit yet.
pub(crate) fn head(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let found = folder.ancestors().take(MOST_LEVELS).map(|level| level.join(".git")).find(|git| git.exists())?;
    let git = if found.is_dir() { found } else { linked(&found)? };
    let head = read(&git.join("HEAD"))?;
    let Some(reference) = head.trim().strip_prefix("ref:") else { return id(&head) };
    let reference = reference.trim();
    // A work tree beside the repository has a HEAD of its own and shares the rest.
    let common = read(&git.join("commondir")).map(|path| git.join(path.trim()));
    let places = [Some(git.clone()), common];
    places.into_iter().flatten().find_map(|place| loose(&place, reference).or_else(|| packed(&place, reference)))
}

/// The lock that git or Mercurial holds while it changes the files of a work tree, at or above `folder`; nothing where there is
/// none. Of work trees in one another each one counts.
pub(crate) fn lock(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    folder.ancestors().take(MOST_LEVELS).find_map(|level| {
        let git = level.join(".git");
        let git = if git.is_file() { linked(&git).unwrap_or(git) } else { git };
        // That of Mercurial is a link to no file.
        let locks = [git.join("index.lock"), level.join(".hg/wlock")];
        locks.into_iter().find(|lock| lock.symlink_metadata().is_ok())
    })
}

/// Where a `.git` file says that the repository is: `gitdir: PATH`.
fn linked(file: &Path) -> Option<PathBuf> {
    let text = read(file)?;
    let path = text.trim().strip_prefix("gitdir:")?.trim();
    Some(file.parent()?.join(path))
}

fn loose(git: &Path, reference: &str) -> Option<String> {
    // It is a name below the repository, whatever the file says.
    let safe = reference.starts_with("refs/") && !reference.split('/').any(|part| part == "..");
    id(&read(&git.join(reference)).filter(|_| safe)?)
}

fn packed(git: &Path, reference: &str) -> Option<String> {
    let text = read(&git.join("packed-refs"))?;
    let line = text.lines().find(|line| line.split_once(' ').is_some_and(|(_, name)| name == reference))?;
    id(line.split(' ').next()?)
}

fn id(text: &str) -> Option<String> {
    let text = text.trim();
    let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_id.then(|| text.to_owned())
}

fn read(file: &Path) -> Option<String> {
    if !fs::metadata(file).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    fs::File::open(file).ok()?.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn put(root: &Path, name: &str, text: &str) {
        let file = root.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn the_commit_is_found_wherever_git_keeps_it() {
        let cases: [(&str, &[(&str, &str)]); 4] = [
            ("loose", &[(".git/HEAD", "ref: refs/heads/main\n"), (".git/refs/heads/main", ID)]),
            (
                "packed",
                &[
                    (".git/HEAD", "ref: refs/heads/main\n"),
                    (".git/packed-refs", &format!("# pack-refs\n{ID} refs/heads/main\n")),
                ],
            ),
            ("detached", &[(".git/HEAD", ID)]),
            (
                "a work tree beside it",
                &[
                    (".git", "gitdir: ../repo/worktrees/w\n"),
                    ("../repo/worktrees/w/HEAD", "ref: refs/heads/main\n"),
                    ("../repo/worktrees/w/commondir", "../..\n"),
                    ("../repo/refs/heads/main", ID),
                ],
            ),
        ];
        for (name, files) in cases {
            let folder = tempfile::tempdir().unwrap();
            let bundle = folder.path().join("work/bundle");
            fs::create_dir_all(&bundle).unwrap();
            files.iter().for_each(|(file, text)| put(&folder.path().join("work"), file, text));
            assert_eq!(head(&bundle).as_deref(), Some(ID), "{name}");
        }
    }

    #[test]
    fn a_lock_is_found_wherever_the_repository_is() {
        type Case = (&'static str, &'static [(&'static str, &'static str)], Option<&'static str>);
        let cases: [Case; 6] = [
            ("no repository", &[], None),
            ("at work", &[("bundle/.git/index.lock", "")], Some("index.lock")),
            ("above", &[(".git/HEAD", ""), (".git/index.lock", "")], Some("index.lock")),
            ("done", &[(".git/index", "")], None),
            (
                "a work tree beside the repository",
                &[("bundle/.git", "gitdir: ../../repo/worktrees/w\n"), ("../repo/worktrees/w/index.lock", "")],
                Some("index.lock"),
            ),
            (
                "a module of a repository that is at work",
                &[("bundle/.git", "gitdir: ../.git/modules/b\n"), (".git/modules/b/HEAD", ""), (".git/index.lock", "")],
                Some("index.lock"),
            ),
        ];
        for (name, files, expected) in cases {
            let folder = tempfile::tempdir().unwrap();
            let bundle = folder.path().join("work/bundle");
            fs::create_dir_all(&bundle).unwrap();
            files.iter().for_each(|(file, text)| put(&folder.path().join("work"), file, text));
            let found = lock(&bundle);
            assert_eq!(found.is_some(), expected.is_some(), "{name}: {found:?}");
            assert!(found.is_none_or(|found| found.ends_with(expected.unwrap_or_default())), "{name}");
        }
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".hg")).unwrap();
        std::os::unix::fs::symlink("host:123", folder.path().join(".hg/wlock")).unwrap();
        assert!(lock(folder.path()).is_some_and(|found| found.ends_with("wlock")));
    }

    #[test]
    fn what_is_no_commit_is_not_told() {
        let cases: [&[(&str, &str)]; 4] = [
            &[(".git/HEAD", "ref: refs/heads/unborn\n")],
            &[(".git/HEAD", "ref: ../../secret\n"), ("secret", ID)],
            &[(".git/HEAD", "ref: refs/../../secret\n"), ("secret", ID), (".git/refs/x", "")],
            &[(".git/HEAD", "not an id")],
        ];
        for files in cases {
            let folder = tempfile::tempdir().unwrap();
            files.iter().for_each(|(file, text)| put(folder.path(), file, text));
            assert_eq!(head(folder.path()), None, "{files:?}");
        }
    }
}
