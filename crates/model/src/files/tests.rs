//! Names that lead to what must not be read, and those that must go on working.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::files::fence::{Fence, Purpose, check_names, leads_out};

const CANARY: &str = "canary-of-a-file";

/// A bundle in a folder that holds more.
struct Machine {
    folder: tempfile::TempDir,
    fence: Fence,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "outside.txt",
            "shared/list.txt",
            "bundle/gateway.toml",
            "bundle/tables/list.txt",
            "bundle/scripts/rule.rhai",
            "bundle/secrets/okta",
            "bundle/keys/op",
            "bundle/keys/other.txt",
            "bundle/root-secret",
            "bundle/data/hookgate.db",
            "bundle/data/hookgate.db-wal",
            "bundle/data/alerts.jsonl",
            "bundle/.env",
            "bundle/.git/config",
            "bundle/sub/Secrets/x",
        ] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, CANARY).unwrap();
        }
        let mut fence = Fence::new(&folder.path().join("bundle"));
        fence.add_source("scripts");
        fence.add_source("gateway.toml");
        for secret in ["secrets/okta", "keys/op", "root-secret"] {
            fence.close_secret(secret);
        }
        fence.close_store("data/hookgate.db");
        fence.add_source("tables/list.txt");
        Self { folder, fence }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn link(&self, file: &str, target: impl AsRef<Path>) {
        fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        symlink(target, self.path(file)).unwrap();
    }

    fn read(&self, file: &str) -> Result<Vec<u8>, FileError> {
        self.fence.read(file, Purpose::Text, 1000)
    }

    #[track_caller]
    fn refuses(&self, file: &str, said: &str) {
        let error = self.read(file).expect_err(file);
        assert!(error.to_string().contains(said), "{file}: {error}");
        assert!(!error.to_string().contains(CANARY), "{file}: {error}");
    }
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn files_of_the_bundle_are_read() {
    let machine = Machine::new();
    machine.link("bundle/scripts/link.rhai", "rule.rhai");
    machine.link("bundle/tables/up.txt", "../tables/../tables/list.txt");
    machine.link("bundle/linked", "tables");
    let absolute = machine.path("bundle/tables/list.txt");
    for file in
        ["tables/list.txt", "./tables/list.txt", "tables/../tables/list.txt", "scripts/link.rhai", "tables/up.txt"]
    {
        assert_eq!(machine.read(file).expect(file), CANARY.as_bytes());
    }
    assert!(machine.read("linked/list.txt").is_ok());
    // By its text it leads out; but it is there, and a configuration with roots may say so.
    assert!(machine.read(absolute.to_str().unwrap()).is_ok());
}

#[test]
fn links_of_a_config_map_are_followed_through_a_swap() {
    let machine = Machine::new();
    for (folder, text) in [("..2026_01_01_00_00_00.1", "old"), ("..2026_01_02_00_00_00.2", "new")] {
        fs::create_dir_all(machine.path(&format!("bundle/mount/{folder}"))).unwrap();
        fs::write(machine.path(&format!("bundle/mount/{folder}/list.txt")), text).unwrap();
    }
    machine.link("bundle/mount/..data", "..2026_01_01_00_00_00.1");
    machine.link("bundle/mount/list.txt", "..data/list.txt");
    assert_eq!(machine.read("mount/list.txt").unwrap(), b"old");
    symlink("..2026_01_02_00_00_00.2", machine.path("bundle/mount/..data_tmp")).unwrap();
    fs::rename(machine.path("bundle/mount/..data_tmp"), machine.path("bundle/mount/..data")).unwrap();
    fs::remove_dir_all(machine.path("bundle/mount/..2026_01_01_00_00_00.1")).unwrap();
    assert_eq!(machine.read("mount/list.txt").unwrap(), b"new");
}

#[test]
fn a_bundle_that_is_a_config_map_itself_with_a_secret_in_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("..2026_01_01_00_00_00.1");
    fs::create_dir(&real).unwrap();
    for file in ["gateway.toml", "list.txt", "okta"] {
        fs::write(real.join(file), file).unwrap();
        symlink(format!("..data/{file}"), folder.path().join(file)).unwrap();
    }
    symlink("..2026_01_01_00_00_00.1", folder.path().join("..data")).unwrap();
    let mut fence = Fence::new(folder.path());
    fence.add_source("gateway.toml");
    fence.close_secret("okta");
    assert_eq!(fence.read("list.txt", Purpose::Text, 100).unwrap(), b"list.txt");
    assert!(matches!(fence.read("okta", Purpose::Text, 100), Err(FileError::Secret)));
}

#[test]
fn what_leads_out_of_the_bundle_is_not_read() {
    let machine = Machine::new();
    machine.link("bundle/tables/out.txt", "../../outside.txt");
    machine.link("bundle/tables/absolute.txt", machine.path("outside.txt"));
    machine.link("bundle/tables/passwd.txt", "/etc/passwd");
    machine.link("bundle/tables/twice.txt", "out.txt");
    machine.link("bundle/tables/folder", "../..");
    machine.link("bundle/tables/loop.txt", "loop.txt");
    let outside = machine.path("outside.txt");
    for file in ["../outside.txt", "tables/../../outside.txt", "/etc/passwd", outside.to_str().unwrap()] {
        machine.refuses(file, "outside the bundle");
        assert!(leads_out(file), "{file}");
    }
    for file in
        ["tables/out.txt", "tables/absolute.txt", "tables/passwd.txt", "tables/twice.txt", "tables/folder/outside.txt"]
    {
        machine.refuses(file, "a link that leads out");
    }
    machine.refuses("tables/loop.txt", "symbolic link");
    // A folder whose name begins like that of the bundle is another one.
    fs::create_dir(machine.path("bundle-2")).unwrap();
    fs::write(machine.path("bundle-2/x.txt"), CANARY).unwrap();
    machine.refuses("../bundle-2/x.txt", "outside the bundle");
}

#[test]
fn secrets_are_not_read_by_any_name() {
    let machine = Machine::new();
    machine.link("bundle/tables/link.txt", "../secrets/okta");
    machine.link("bundle/tables/root.txt", "../root-secret");
    machine.link("bundle/open", "secrets");
    fs::hard_link(machine.path("bundle/secrets/okta"), machine.path("bundle/tables/hard.txt")).unwrap();
    for file in [
        "secrets/okta",
        "./secrets/../secrets/okta",
        "tables/link.txt",
        "tables/root.txt",
        "tables/hard.txt",
        "open/okta",
        "keys/op",
        "keys/other.txt",
        "root-secret",
        "sub/Secrets/x",
    ] {
        machine.refuses(file, "secret");
    }
    machine.refuses(".env", "hidden");
    machine.refuses(".git/config", "hidden");
    assert!(check_names("a/secrets/b").is_err() && check_names("a/SECRETS").is_err() && check_names("a/.b").is_err());
    assert!(check_names("secretsx/b").is_ok() && check_names("../x").is_ok() && check_names("./x").is_ok());
}

#[test]
fn the_store_is_not_read_and_not_even_opened() {
    let machine = Machine::new();
    machine.link("bundle/tables/db.txt", "../data/hookgate.db");
    fs::hard_link(machine.path("bundle/data/hookgate.db"), machine.path("bundle/tables/hard.txt")).unwrap();
    for file in ["data/hookgate.db", "data/hookgate.db-wal", "data/alerts.jsonl", "tables/db.txt", "tables/hard.txt"] {
        machine.refuses(file, "store");
    }
    for file in ["data/hookgate.db", "tables/db.txt", "tables/hard.txt"] {
        for purpose in [Purpose::Database, Purpose::Certificate] {
            assert!(matches!(machine.fence.locate(file, purpose), Err(FileError::Store)), "{file}");
        }
    }
    // Beside the store there may be a database that a connector asks.
    assert!(machine.fence.locate_database("data/alerts.jsonl").is_ok());
}

#[test]
fn nothing_but_regular_files_is_opened() {
    let machine = Machine::new();
    pipe(&machine.path("bundle/tables/pipe"));
    machine.refuses("tables/pipe", "not a file but a pipe");
    machine.refuses("tables", "not a file but a folder");
    let _socket = std::os::unix::net::UnixListener::bind(machine.path("bundle/tables/socket")).unwrap();
    machine.refuses("tables/socket", "not a file but a socket");
    for (path, said) in [("/dev/zero", "a device"), ("/dev/null", "a device"), ("/", "a folder")] {
        assert!(open(Path::new(path)).unwrap_err().to_string().contains(said), "{path}");
    }
    assert!(matches!(open(&machine.path("bundle/tables/pipe")), Err(FileError::NotAFile("a pipe"))));
    assert!(matches!(read(&machine.path("outside.txt"), 3), Err(FileError::TooLarge(3))));
    assert_eq!(read(&machine.path("outside.txt"), CANARY.len() as u64).unwrap(), CANARY.as_bytes());
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_kernel_shows_is_no_file() {
    for path in
        ["/proc/self/environ", "/proc/self/status", "/proc/cpuinfo", "/sys/kernel/mm/transparent_hugepage/enabled"]
    {
        if Path::new(path).exists() {
            assert!(matches!(open(Path::new(path)), Err(FileError::Kernel)), "{path}");
        }
    }
    let machine = Machine::new();
    machine.link("bundle/tables/environ", "/proc/self/environ");
    machine.refuses("tables/environ", "link that leads out");
}

#[test]
fn a_root_opens_its_folder_and_nothing_else() {
    let machine = Machine::new();
    let mut fence = machine.fence.clone();
    fence.add_root(machine.path("shared").to_str().unwrap()).unwrap();
    machine.link("bundle/tables/shared.txt", "../../shared/list.txt");
    machine.link("shared/back.txt", "../outside.txt");
    fs::create_dir(machine.path("shared/secrets")).unwrap();
    fs::write(machine.path("shared/secrets/x"), CANARY).unwrap();
    let shared = |file: &str| machine.path("shared").join(file).to_str().unwrap().to_owned();
    let read = |file: &str| fence.read(file, Purpose::Text, 1000);
    for file in ["../shared/list.txt", "tables/shared.txt", &shared("list.txt")] {
        assert!(read(file).is_ok(), "{file}");
    }
    for file in ["../outside.txt", &shared("back.txt"), &shared("secrets/x"), &shared("../outside.txt")] {
        assert!(read(file).is_err(), "{file}");
    }
    for folder in ["/", "/proc", "/proc/self", "/sys", "/dev", "/no/such/folder", "outside.txt"] {
        assert!(fence.add_root(folder).is_err(), "{folder}");
    }
    fence.add_root("../shared").unwrap();
}

#[test]
fn a_connector_writes_to_no_part_of_the_bundle() {
    let machine = Machine::new();
    machine.link("bundle/data/link.jsonl", "../secrets/okta");
    machine.link("bundle/data/out.jsonl", "../../outside.txt");
    machine.link("bundle/data/gone.jsonl", "../../gone.txt");
    machine.link("bundle/data/folder", "../scripts");
    let elsewhere = machine.path("shared/log.jsonl");
    for file in ["data/alerts.jsonl", "data/new.jsonl", "new.jsonl", elsewhere.to_str().unwrap()] {
        assert!(machine.fence.locate_for_writing(file).is_ok(), "{file}");
    }
    for file in [
        "gateway.toml",
        "scripts/rule.rhai",
        "scripts/new.rhai",
        "data/folder/new.rhai",
        "tables/list.txt",
        "secrets/okta",
        "secrets/new",
        "keys/new",
        "root-secret",
        "data/link.jsonl",
        "data/hookgate.db",
        "data/hookgate.db-journal",
        "data/out.jsonl",
        "data/gone.jsonl",
        "../outside.txt",
        "../new.txt",
        ".git/hooks",
    ] {
        assert!(machine.fence.locate_for_writing(file).is_err(), "{file}");
    }
    let absolute = machine.path("bundle/secrets/okta");
    assert!(machine.fence.locate_for_writing(absolute.to_str().unwrap()).is_err());
}
