//! What is noted, who is blamed, and how long it lasts. Times are given.

use std::os::unix::fs::MetadataExt;

use super::*;

const BAD: &str = "bad0";
const GOOD: &str = "900d";

/// Begins a process in the folder that dies before this is dropped: nothing is put in order.
fn process(folder: &Path) -> Suspects {
    Suspects::open(folder)
}

fn watch(folder: &Path) -> Arc<Watch> {
    process(folder).watch().expect("the last process died")
}

fn deaths(watch: &Watch, hash: &str) -> Option<u32> {
    watch.lock().suspects.get(hash).map(|suspect| suspect.kept.deaths)
}

/// Dies while these run.
fn die_in(watch: &Watch, hashes: &[&str]) {
    for hash in hashes {
        watch.take_slot(hash, &format!("scripts/{hash}.rhai"));
    }
}

async fn turn(watch: &Arc<Watch>, hash: &str) -> Result<Option<Turn>, NoTurn> {
    watch.admit(hash, "scripts/x.rhai", Instant::now() + Duration::from_secs(5)).await
}

#[test]
fn after_a_stop_in_good_order_nothing_is_watched_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let suspects = process(folder.path());
        assert!(suspects.watch().is_none());
        assert_eq!(folder.path().join(FILE).metadata().unwrap().mode() & 0o777, 0o600);
        suspects.stop();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    drop(process(folder.path()));
    die_in(&watch(folder.path()), &[BAD]);
    let suspects = process(folder.path());
    assert!(folder.path().join(SUSPECTS).exists());
    suspects.stop();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(process(folder.path()).watch().is_none(), "a stop clears everybody");
}

#[tokio::test]
async fn a_script_in_two_noted_deaths_rests_and_then_runs_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(process(folder.path()));
    die_in(&watch(folder.path()), &[BAD, GOOD]);
    let second = watch(folder.path());
    assert_eq!((deaths(&second, BAD), deaths(&second, GOOD)), (Some(1), Some(1)));

    // Alone among suspects, and nobody else waits.
    let bad = turn(&second, BAD).await.unwrap().unwrap();
    let soon = Instant::now() + Duration::from_millis(20);
    assert_eq!(second.admit(GOOD, "x", soon).await.unwrap_err(), NoTurn::Late);
    let other = turn(&second, "07e4").await.unwrap().unwrap();
    assert!(other.alone.is_none());
    // It dies beside somebody who was no suspect.
    second.take_slot(&bad.hash, &bad.script);
    die_in(&second, &["07e4"]);
    let third = watch(folder.path());
    assert_eq!((deaths(&third, BAD), deaths(&third, GOOD)), (Some(2), Some(1)));
    assert_eq!(deaths(&third, "07e4"), None, "a suspect ran, so it was that one");
    assert_eq!(turn(&third, BAD).await.unwrap_err(), NoTurn::Rests);
    turn(&third, GOOD).await.unwrap().unwrap().watch(|| {});
    turn(&third, "changed").await.unwrap().unwrap().watch(|| {});

    let now = Instant::now();
    assert_eq!(third.judge(BAD, now + FIRST_REST), Verdict::Suspect, "it is tried again");
}

#[tokio::test]
async fn the_next_suspect_runs_when_the_one_before_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    drop(process(folder.path()));
    die_in(&watch(folder.path()), &[BAD, GOOD]);
    let watch = watch(folder.path());
    let first = turn(&watch, BAD).await.unwrap().unwrap();
    let waits = turn(&watch, GOOD);
    let runs = async {
        tokio::task::yield_now().await;
        first.watch(|| {
            let noted = read_slots(&fs::read(folder.path().join(FILE)).unwrap());
            assert_eq!(noted.into_keys().collect::<Vec<_>>(), [BAD]);
        });
    };
    let (second, ()) = tokio::join!(waits, runs);
    second.unwrap().unwrap().watch(|| {});
    assert!(read_slots(&fs::read(folder.path().join(FILE)).unwrap()).is_empty(), "slots are cleared");
}

#[test]
fn who_ran_for_long_enough_is_no_suspect_and_then_nothing_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    drop(process(folder.path()));
    die_in(&watch(folder.path()), &[BAD]);
    let watch = watch(folder.path());
    let start = Instant::now();
    assert_eq!(watch.judge(GOOD, start), Verdict::Innocent);
    assert_eq!(watch.judge(GOOD, start + WATCHED_FOR), Verdict::Unwatched);
    assert!(watch.is_on(), "there is a suspect that has not run");
    let slot = watch.take_slot(BAD, "scripts/bad.rhai");
    let ran = start + WATCHED_FOR;
    watch.give_slot(slot, BAD, ran);
    assert_eq!(watch.judge(BAD, ran + WATCHED_FOR - Duration::from_millis(1)), Verdict::Suspect);
    assert_eq!(watch.judge(BAD, ran + WATCHED_FOR), Verdict::Unwatched);
    assert!(!watch.is_on());
    assert!(!folder.path().join(SUSPECTS).exists());
}

#[test]
fn a_suspect_that_nobody_calls_is_forgotten_too() {
    let folder = tempfile::tempdir().unwrap();
    drop(process(folder.path()));
    die_in(&watch(folder.path()), &[BAD]);
    let watch = watch(folder.path());
    assert_eq!(watch.judge(GOOD, Instant::now() + LONGEST_REST), Verdict::Unwatched);
    assert!(!watch.is_on());
}

#[test]
fn rests_double_and_are_an_hour_at_most() {
    let rests: Vec<u64> = (0..12).map(|deaths| rest_after(deaths).as_secs()).collect();
    assert_eq!(rests, [0, 0, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]);
    assert_eq!(rest_after(u32::MAX), LONGEST_REST);
}

#[test]
fn a_run_that_panics_ended_and_did_not_end_the_process() {
    let folder = tempfile::tempdir().unwrap();
    drop(process(folder.path()));
    let watch = watch(folder.path());
    let turn = Turn { watch: Arc::clone(&watch), hash: BAD.to_owned(), script: String::new(), alone: None };
    let run = std::panic::AssertUnwindSafe(|| turn.watch(|| panic!("on purpose")));
    assert!(std::panic::catch_unwind(run).is_err());
    assert!(read_slots(&fs::read(folder.path().join(FILE)).unwrap()).is_empty());
}

#[test]
fn slots_that_were_not_written_whole_are_none() {
    let long = "ü".repeat(SLOT);
    let mut bytes = Vec::new();
    for (hash, script) in [(BAD, "scripts/a b.rhai"), (GOOD, long.as_str()), ("no hash", "x")] {
        let mut slot = slot_text(hash, script).into_bytes();
        assert!(slot.len() <= SLOT);
        slot.resize(SLOT, 0);
        bytes.extend(slot);
    }
    let found = read_slots(&bytes);
    assert_eq!(found.keys().collect::<Vec<_>>(), [GOOD, BAD]);
    assert_eq!(found[BAD], "scripts/a b.rhai");
    for end in 0..bytes.len() {
        assert!(read_slots(&bytes[..end]).len() <= 2);
    }
    assert!(read_slots(&bytes[..8]).is_empty(), "cut off before the end of its line");
    bytes[0] = 0;
    assert_eq!(read_slots(&bytes).len(), 1, "a cleared slot is free");
    assert!(read_slots(b"\xff\n").is_empty());
}

#[test]
fn what_cannot_be_read_or_written_keeps_nobody_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE), [0xff; 700]).unwrap();
    fs::write(folder.path().join(SUSPECTS), "{").unwrap();
    let watch = watch(folder.path());
    assert!(watch.lock().suspects.is_empty());
    fs::remove_file(folder.path().join(FILE)).unwrap();
    fs::create_dir(folder.path().join(FILE)).unwrap();
    assert!(process(folder.path()).watch().is_none());
    assert!(process(&folder.path().join("nowhere")).watch().is_none());
}

#[test]
fn those_of_fewest_deaths_are_forgotten_first() {
    let folder = tempfile::tempdir().unwrap();
    drop(process(folder.path()));
    die_in(&watch(folder.path()), &[BAD]);
    die_in(&watch(folder.path()), &[BAD]);
    let mut kept = read(&folder.path().join(SUSPECTS)).unwrap();
    for number in 0..MOST_REMEMBERED {
        kept.insert(format!("{number:04x}"), Kept { script: String::new(), deaths: 1 });
    }
    fs::write(folder.path().join(SUSPECTS), serde_json::to_vec(&kept).unwrap()).unwrap();
    let watch = watch(folder.path());
    assert_eq!(watch.lock().suspects.len(), MOST_REMEMBERED);
    assert_eq!(deaths(&watch, BAD), Some(2));
}
