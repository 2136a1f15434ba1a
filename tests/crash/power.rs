//! Power cuts: the store lies on a disk image of its own; the gateway is stopped in the middle of its work, and what the
//! image holds at that moment is all that is left. What was never synced is gone, as it is when a machine loses power.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::Fallible;
use crate::gateway::{Bundle, Gateway};
use crate::ledger::Ledger;
use crate::receiver::Receiver;
use crate::sender::Senders;

/// A file system in a file, mounted.
pub struct Disk {
    _folder: TempDir,
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// `None` where this machine does not let us mount.
    pub fn new() -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let (image, mount) = (folder.path().join("image"), folder.path().join("disk"));
        std::fs::create_dir(&mount).ok()?;
        std::fs::File::create(&image).ok()?.set_len(256 * 1024 * 1024).ok()?;
        ran("mkfs.ext4", &["-q", "-F", text(&image)]).then_some(())?;
        let disk = Self { _folder: folder, image, mount };
        disk.attach().then_some(disk)
    }

    pub fn folder(&self) -> &Path {
        &self.mount
    }

    fn attach(&self) -> bool {
        ran("mount", &["-o", "loop", text(&self.image), text(&self.mount)])
    }

    fn detach(&self) {
        ran("umount", &[text(&self.mount)]);
    }

    /// The image as it is now takes the place of what the system would still have written.
    fn cut(&self, stop: impl FnOnce()) -> bool {
        let copy = self.image.with_extension("cut");
        if std::fs::copy(&self.image, &copy).is_err() {
            return false;
        }
        stop();
        self.detach();
        std::fs::rename(&copy, &self.image).is_ok() && self.attach()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.detach();
    }
}

pub fn cut() -> Fallible {
    let Some(disk) = Disk::new() else { return skipped() };
    let receiver = Receiver::start();
    let bundle = Bundle::with_store(receiver.port(), Some(&disk.mount.join("hookgate.db")));
    let mut all = crate::sender::Sent::default();
    for _ in 0..3 {
        let gateway = Gateway::start(&bundle, None);
        let senders = Senders::start(bundle.port, 8);
        std::thread::sleep(Duration::from_millis(fastrand::u64(300..900)));
        // No answer may leave after the image was taken.
        ran("kill", &["-STOP", &gateway.id().to_string()]);
        let stopped = std::cell::Cell::new(Some(gateway));
        let cut = disk.cut(|| stopped.take().into_iter().for_each(Gateway::kill));
        if !cut {
            return Err("the image could not be cut".to_owned());
        }
        // Those that were not acknowledged are sent again to the next one.
        let next = Gateway::start(&bundle, None);
        let sent = senders.stop();
        all.acknowledged.extend(sent.acknowledged);
        all.in_doubt.extend(sent.in_doubt);
        next.kill();
    }
    let gateway = Gateway::start(&bundle, None);
    gateway.drain()?;
    gateway.stop();
    // A cut undoes what was done and not yet synced, with it the record of many actions: repetitions are not counted.
    Ledger::read(&bundle.store()).check(&all, &receiver, None)
}

/// The same with a database that does not wait for the disk.
pub fn control() -> Fallible {
    let Some(disk) = Disk::new() else { return skipped() };
    let path = disk.mount.join("careless.db");
    let connection = rusqlite::Connection::open(&path).map_err(|error| error.to_string())?;
    connection
        .execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; CREATE TABLE kept (id INTEGER PRIMARY KEY);")
        .map_err(|error| error.to_string())?;
    ran("sync", &["-f", text(&disk.mount)]);
    for _ in 0..1_000 {
        connection.execute("INSERT INTO kept DEFAULT VALUES", []).map_err(|error| error.to_string())?;
    }
    // Closing writes everything, but only to what is thrown away.
    if !disk.cut(|| drop(connection)) {
        return Err("the image could not be cut".to_owned());
    }
    let connection = rusqlite::Connection::open(&path).map_err(|error| error.to_string())?;
    let left: i64 = connection.query_row("SELECT count(*) FROM kept", [], |row| row.get(0)).unwrap_or(0);
    drop(connection);
    println!("        {} of 1000 careless commits were lost", 1_000 - left);
    if left < 1_000 { Ok(()) } else { Err("nothing was lost: the cut cuts nothing".to_owned()) }
}

pub fn skipped() -> Fallible {
    if std::env::var_os("HOOKGATE_REQUIRE_SERVICES").is_some() {
        return Err("disk images cannot be mounted here, and nothing may be skipped".to_owned());
    }
    println!("SKIPPED disk images cannot be mounted here (it takes root)");
    Ok(())
}

fn ran(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}
