//! #14: no mix of files goes live, however slowly and in whatever order they arrive.

use std::fmt::Write as _;
use std::path::Path;

use hookgate_engine::release::attempts;
use hookgate_engine::release::attempts::Attempts;
use hookgate_engine::release::live::status::Status;
use hookgate_engine::release::{build, manifest};
use hookgate_model::finding::Finding;
use sha2::{Digest, Sha256};

use super::*;

/// Longer than a save, and much longer than a pause of a busy machine.
const SETTLE_MS: u64 = 600;
/// What a bundle that has been changing for long may take beside.
const SETTLED: Duration = Duration::from_secs(10);

/// All files of a version, with these keys of `[scripts]`.
fn keyed(version: u64, keys: &str) -> Vec<(&'static str, String)> {
    let mut texts = Vec::from(all(version));
    texts[0].1.insert_str(0, &format!("[scripts]\n{keys}\n\n"));
    texts
}

fn put_all(files: &Files, texts: &[(&str, String)]) {
    texts.iter().for_each(|(name, text)| files.put(name, text));
}

/// Renames one file after the other into place; how long the longest pause between two was.
fn copy_slowly(files: &Files, texts: &[(&str, String)], pause: Duration) -> Duration {
    let mut longest = Duration::ZERO;
    let mut last = Instant::now();
    for (name, text) in texts {
        files.put("../one.tmp", text);
        fs::rename(files.path("../one.tmp"), files.path(name)).unwrap();
        longest = longest.max(last.elapsed());
        last = Instant::now();
        std::thread::sleep(pause);
    }
    longest
}

/// Waits until something holds of the status.
async fn until(rig: &Rig, what: &str, holds: impl Fn(&Status) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds(&rig.live.status()) {
        assert!(Instant::now() < deadline, "{what}: {:#?}", rig.live.status());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A bundle without anybody who watches it.
fn alone(texts: &[(&str, String)]) -> (TempDir, Files, Place, Live) {
    let folder = tempfile::tempdir().unwrap();
    let files = Files(folder.path().to_owned());
    files.put("secrets/test", SECRET);
    put_all(&files, texts);
    let place = Place::of(&files.path(TOML));
    let live = Live::new(Metrics::new()).remembering(Attempts::open(folder.path()));
    assert_eq!(live.reload(&place), Reloaded::Activated, "{:#?}", live.status().error);
    (folder, files, place, live)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn files_that_are_copied_one_after_the_other_go_live_together() {
    let keys = format!("settle_ms = {SETTLE_MS}");
    let rig = Rig::start(|files| put_all(files, &keyed(1, &keys)));
    let mut copied = 0;
    for version in 2..40 {
        let mut texts = keyed(version, &keys);
        let places = texts.len();
        texts.rotate_left(usize::try_from(version).unwrap() % places);
        let longest = block_in_place(|| copy_slowly(&rig.files, &texts, Duration::from_millis(100)));
        rig.answered_by(version, "slow copy", SETTLED).await;
        let wrong = std::mem::take(&mut *rig.calls.wrong.lock().unwrap());
        // A machine that stops for so long says nothing about the gateway.
        if longest < Duration::from_millis(SETTLE_MS / 2) {
            assert!(wrong.is_empty(), "{longest:?}: {wrong:#?}");
            copied += 1;
        }
        if copied == 4 {
            return rig.end();
        }
    }
    panic!("the machine is too busy for any copy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_checkout_is_waited_for_wherever_the_repository_is() {
    type Where = (&'static str, &'static [(&'static str, &'static str)], &'static str);
    let places: &[Where] = &[
        ("in the bundle", &[(".git/HEAD", "")], ".git/index.lock"),
        ("above", &[("../.git/HEAD", "")], "../.git/index.lock"),
        ("a work tree", &[(".git", "gitdir: ../repo/worktrees/w\n")], "../repo/worktrees/w/index.lock"),
        ("Mercurial", &[], ".hg/wlock"),
    ];
    for (name, repository, lock) in places {
        let rig = Rig::start(|files| files.write_all(1));
        repository.iter().for_each(|(file, text)| rig.files.put(file, text));
        rig.files.put(lock, "");
        // Each file is quiet for much longer than it must be.
        for (file, text) in all(2) {
            rig.files.put(file, &text);
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        let lock_name = Path::new(lock).file_name().unwrap().to_str().unwrap();
        until(&rig, name, |status| status.waiting_for.as_ref().is_some_and(|what| what.contains(lock_name))).await;
        assert_eq!(rig.calls.edit.load(Ordering::Relaxed), 1, "{name}");
        assert_eq!(rig.live.status().state, State::Current, "{name}: nothing is wrong");
        fs::remove_file(rig.files.path(lock)).unwrap();
        rig.answered_by(2, name, LATEST).await;
        assert_eq!(rig.live.status().waiting_for, None, "{name}");
        rig.end();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_lock_that_was_left_behind_is_told_of_and_not_waited_for() {
    let rig = Rig::start(|files| files.write_all(1));
    rig.files.put(".git/index.lock", "");
    let lock = File::options().write(true).open(rig.files.path(".git/index.lock")).unwrap();
    lock.set_modified(SystemTime::now() - Duration::from_secs(120)).unwrap();
    rig.files.put(MAIN, &script(2));
    rig.answered_by(2, "beside an old lock", LATEST).await;
    let warnings = rig.live.status().warnings;
    assert!(warnings.iter().any(|warning| warning.code == "release/stale-lock"), "{warnings:#?}");
    rig.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_bundle_that_never_settles_does_not_go_live_and_says_why() {
    let rig = Rig::start(|files| files.write_all(1));
    let stop = Arc::new(AtomicBool::new(false));
    let (files, stopped) = (rig.files.clone(), stop.clone());
    // One file is of the new version, another one changes all the time.
    let writer = std::thread::spawn(move || {
        files.put(LIB, &lib(2));
        for row in 0.. {
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            files.put(TABLE, &table(1).replace("\"row0\": 0", &format!("\"row0\": {row}")));
            std::thread::sleep(Duration::from_millis(30));
        }
    });
    let names_it = |finding: &Finding| finding.code == "release/unsettled" && finding.message.contains(TABLE);
    until(&rig, "never settles", |status| status.error.iter().any(names_it)).await;
    let state = rig.live.status().state;
    assert_eq!((state, rig.calls.edit.load(Ordering::Relaxed)), (State::Refused, 1));
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    rig.files.write_all(2);
    rig.answered_by(2, "quiet again", SETTLED).await;
    rig.end();
}

/// What writes the same content again and again changes nothing.
#[test]
fn files_that_are_only_touched_are_no_change() {
    let (_folder, files, place, live) = alone(&all(1));
    let (stop, touched) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let table = File::options().write(true).open(files.path(TABLE)).unwrap();
            while !stop.load(Ordering::Relaxed) {
                table.set_modified(SystemTime::now()).unwrap();
                touched.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        while touched.load(Ordering::Relaxed) < 10 {
            std::thread::yield_now();
        }
        assert_eq!(live.reload(&place), Reloaded::Unchanged);
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(live.status().state, State::Current);
}

/// The other files arrive while the first one is being tested.
#[test]
fn what_changes_while_it_is_tested_is_read_again() {
    let slow =
        |number| format!("fn test_{number}() {{ let x = 0; while x < 3000 {{ x += 1; }} assert_eq(x, 3000); }}\n");
    let keys = "gate_timeout_ms = 600000";
    let (_folder, files, place, live) = alone(&keyed(1, keys));
    files.put(MAIN, &main(2, 2));
    files.put("scripts/main_test.rhai", &(0..30).map(slow).collect::<String>());
    std::thread::scope(|scope| {
        let reload = scope.spawn(|| live.reload(&place));
        // As long as it is built and tested, that is remembered.
        let building = files.path(attempts::FILE);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !building.exists() {
            assert!(Instant::now() < deadline, "nothing is built");
            std::thread::yield_now();
        }
        assert!(!reload.is_finished(), "the tests did not take long enough to show anything");
        put_all(&files, &keyed(2, keys));
        assert_eq!(reload.join().unwrap(), Reloaded::Activated);
    });
    let release = live.current().unwrap();
    assert_eq!(release.config.routes["hook"].params["version"].as_u64(), Some(2));
    assert!(release.compiler.source(LIB).unwrap().contains('2'));
}

const SUMS: &str = "release.sha256";
const LISTED: &str = "settle_ms = 20\nmanifest = \"release.sha256\"";

/// All files of a version and the list of them, as `sha256sum` writes it.
fn listed(version: u64, keys: &str) -> Vec<(&'static str, String)> {
    let mut texts = keyed(version, keys);
    let sums = sums(&texts);
    texts.push((SUMS, sums));
    texts
}

fn sums(texts: &[(&str, String)]) -> String {
    texts.iter().fold(String::new(), |mut sums, (name, text)| {
        writeln!(sums, "{}  ./{name}", hex::encode(Sha256::digest(text))).unwrap();
        sums
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn with_a_manifest_no_copy_is_too_slow() {
    let rig = Rig::start(|files| put_all(files, &listed(1, LISTED)));
    // Pauses are ten times as long as the files must be quiet. The last version is without the setting, which must make no
    // difference before all of it is there.
    for (version, keys) in [(2, LISTED), (3, LISTED), (4, "settle_ms = 20")] {
        let mut texts = listed(version, keys);
        let places = texts.len();
        texts.rotate_right(usize::try_from(version - 2).unwrap() % places);
        block_in_place(|| copy_slowly(&rig.files, &texts, Duration::from_millis(200)));
        rig.answered_by(version, "a listed copy", SETTLED).await;
    }
    rig.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_does_not_match_the_manifest_is_refused_with_names() {
    let rig = Rig::start(|files| put_all(files, &listed(1, LISTED)));
    let refused = async |says: &str| {
        let is_told = |finding: &Finding| finding.code == "release/manifest" && finding.message.contains(says);
        until(&rig, says, |status| status.error.iter().any(is_told)).await;
        assert_eq!(rig.calls.edit.load(Ordering::Relaxed), 1, "{says}");
    };
    rig.files.put(MAIN, &script(7));
    refused("of another content than listed: `scripts/main.rhai`").await;
    rig.files.put(MAIN, &script(1));
    rig.files.put("scripts/lib/more.rhai", "fn more() { 1 }\n");
    refused("not listed: `scripts/lib/more.rhai`").await;
    fs::remove_file(rig.files.path("scripts/lib/more.rhai")).unwrap();
    let list = fs::read_to_string(rig.files.path(SUMS)).unwrap();
    rig.files.put(SUMS, &format!("{list}{}  scripts/gone.rhai\n", "0".repeat(64)));
    refused("listed and not there: `scripts/gone.rhai`").await;
    rig.files.put(SUMS, "what is this");
    refused("line 1 is not of `sha256sum`").await;
    fs::remove_file(rig.files.path(SUMS)).unwrap();
    refused("cannot be read").await;
    put_all(&rig.files, &listed(2, LISTED));
    rig.answered_by(2, "all as listed", SETTLED).await;
    rig.end();
}

/// The list is of the files as they are on disk, whatever begins them.
#[test]
fn a_byte_order_mark_is_a_part_of_what_is_listed() {
    let mut texts = keyed(1, LISTED);
    texts[1].1.insert(0, '\u{feff}');
    let sums = sums(&texts);
    texts.push((SUMS, sums));
    let (_folder, _files, place, _live) = alone(&texts);
    assert_eq!(manifest::check(&place, &build::read(&place).unwrap(), None), Ok(()));
}

/// A version of the bundle in a folder of its own, which `current` may show.
fn release(current: &Files, version: u64) {
    let files = Files(current.0.with_file_name("releases").join(version.to_string()));
    files.put("secrets/test", SECRET);
    files.write_all(version);
}

/// Has `current` show another version.
fn swap(current: &Files, version: u64) {
    let new = current.0.with_file_name("current.new");
    symlink(format!("releases/{version}"), &new).unwrap();
    fs::rename(&new, &current.0).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_link_to_another_folder_swaps_the_bundle_whole() {
    let rig = Rig::start_at("current", |current| {
        release(current, 1);
        swap(current, 1);
    });
    for version in 2..6 {
        block_in_place(|| {
            release(&rig.files, version);
            swap(&rig.files, version);
        });
        rig.answered_by(version, "another folder", LATEST).await;
    }
    rig.end();
}

/// Much faster than a release is built: a reading in the middle must not count.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_link_that_is_swapped_all_the_time_shows_no_mix() {
    let rig = Rig::start_at("current", |current| {
        (1..=3).for_each(|version| release(current, version));
        swap(current, 1);
    });
    let files = rig.files.clone();
    let swapping = tokio::task::spawn_blocking(move || {
        let end = Instant::now() + Duration::from_secs(4);
        while Instant::now() < end {
            for version in [2, 1] {
                swap(&files, version);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        swap(&files, 3);
    });
    swapping.await.unwrap();
    rig.answered_by(3, "quiet again", SETTLED).await;
    rig.end();
}
