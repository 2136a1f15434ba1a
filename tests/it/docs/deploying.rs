//! What docs/operations.md tells a reader to type for a deployment of many files, typed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::{blocks, root};
use crate::process::hookgate;

/// The commands of a section.
fn commands() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let section = page.split("### Many files at once\n").nth(1).expect("the section is there");
    blocks(section.split("\n### ").next().unwrap(), "sh")
}

fn typed(folder: &Path, script: &str) -> Output {
    let ran = Command::new("sh").args(["-euc", script]).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
    ran
}

/// A bundle of `hookgate init`, which wants a manifest.
fn bundle() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    assert!(hookgate(folder.path(), &["init"]).output().unwrap().status.success());
    let file = folder.path().join("gateway.toml");
    let text = fs::read_to_string(&file).unwrap();
    let wanted = text.replace("[scripts]\n", "[scripts]\nmanifest = \"release.sha256\"\n");
    assert_ne!(wanted, text);
    fs::write(&file, wanted).unwrap();
    folder
}

fn checked(folder: &Path, config: &str) -> (bool, String) {
    let ran = hookgate(folder, &["check", "--tests", "--config", config]).output().unwrap();
    (ran.status.success(), String::from_utf8_lossy(&ran.stdout).into_owned())
}

#[test]
fn the_list_of_hashes_matches_what_it_was_made_of() {
    let folder = bundle();
    let list = commands()[0].lines().next().expect("a command").to_owned();
    assert!(list.contains("sha256sum > release.sha256"), "{list}");
    assert!(!checked(folder.path(), "gateway.toml").0, "there is no list yet");
    // What editors leave and what is no part of a bundle makes no difference.
    fs::write(folder.path().join("scripts/.main.rhai.swp"), "x").unwrap();
    fs::write(folder.path().join("scripts/README"), "x").unwrap();
    typed(folder.path(), &list);
    let (good, said) = checked(folder.path(), "gateway.toml");
    assert!(good, "{said}");
    typed(folder.path(), "echo '// more' >> scripts/registration.rhai");
    let (good, said) = checked(folder.path(), "gateway.toml");
    assert!(!good && said.contains("of another content than listed: `scripts/registration.rhai`"), "{said}");
}

#[test]
fn the_folder_of_a_release_becomes_the_current_one() {
    let (folder, place) = (bundle(), tempfile::tempdir().unwrap());
    typed(folder.path(), "sed -i '/manifest/d' gateway.toml");
    let there = place.path().to_str().unwrap();
    let swap = commands()[1].replace("/srv/hookgate", there);
    typed(folder.path(), &swap);
    let current = place.path().join("current/gateway.toml");
    let (good, said) = checked(folder.path(), current.to_str().unwrap());
    assert!(good, "{said}");
    typed(folder.path(), &swap.replace("42", "43"));
    assert_eq!(fs::read_link(place.path().join("current")).unwrap(), Path::new("releases/43"));
}
