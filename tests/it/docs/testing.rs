//! docs/testing.md, followed as a reader would: its files are written, its commands are run in order, and what it says they
//! print is what they print. `UPDATE=1` writes what they print now.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::readme::shell;
use super::root;

/// A file before this block: "`scripts/x.rhai`:" at the end of the paragraph.
fn named_file(paragraph: &str) -> Option<&str> {
    paragraph.trim_end().strip_suffix("`:")?.rsplit_once('`').map(|(_, name)| name)
}

/// Runs the guide in a folder and gives it back with what really came of its commands.
fn followed(text: &str, folder: &Path) -> String {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("```") {
        let (info, after) = after.split_once('\n').unwrap();
        let (block, after) = after.split_once("```").unwrap();
        let told = match info {
            "console" => console(block, folder),
            _ => {
                if let Some(name) = named_file(before) {
                    fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
                    fs::write(folder.join(name), block).unwrap();
                }
                block.to_owned()
            }
        };
        made += &format!("{before}```{info}\n{told}```");
        rest = after;
    }
    made + rest
}

/// The commands of a block, each with what it prints.
fn console(block: &str, folder: &Path) -> String {
    let times = regex::Regex::new(r"\b\d+ ms\b").unwrap();
    let mut told = String::new();
    for command in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let output = shell(folder, &format!("{{ {command}; }} 2>&1")).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        told += &format!("$ {command}\n{}", times.replace_all(&printed, "9 ms"));
    }
    told
}

#[test]
fn the_guide_to_testing_shows_what_is_printed() {
    let folder = TempDir::new().unwrap();
    assert!(shell(folder.path(), "hookgate init").output().unwrap().status.success());
    let page = root().join("docs/testing.md");
    let text = fs::read_to_string(&page).unwrap();
    let made = followed(&text, folder.path());
    assert!(text.matches("$ hookgate test").count() > 5, "the guide shows few commands");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&page, &made).unwrap();
    }
    assert!(std::env::var_os("UPDATE").is_some() || made == text, "run `UPDATE=1 cargo test --test it docs`:\n{made}");
}
