//! What happens when the disk does not do what it should.

use std::process::Command;

use super::*;

use hookgate_model::environment;

/// A small file system of its own, gone when dropped.
struct Disk(TempDir);

impl Disk {
    /// Nothing, and said so, where this may not be done; a failure where it must be.
    fn mount(size: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let option = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &option, "tmpfs"]).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        let required = environment::variable("HOOKGATE_REQUIRE_SERVICES").is_some_and(|value| value == "1");
        assert!(!required, "a file system cannot be mounted here");
        skipped("a file system cannot be mounted here");
        None
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).output());
    }
}

#[allow(clippy::print_stderr, reason = "a test that did nothing must say so")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

async fn kept(store: &Sqlite, key: &str) -> bool {
    store.show(EventRef::Key(key.to_owned())).await.unwrap().is_some()
}

/// Accepts one event after the other until one is refused.
async fn fill(store: &Sqlite, name: &str) -> (Vec<String>, StoreError) {
    let mut acknowledged = Vec::new();
    loop {
        let key = format!("{name} {}", acknowledged.len());
        match store.accept(intake(&key)).await {
            Ok(_) => acknowledged.push(key),
            Err(error) => return (acknowledged, error),
        }
        assert!(acknowledged.len() < 20_000, "the disk never fills");
    }
}

/// Waits until a store that failed works again.
async fn again(store: &Sqlite, key: &str) {
    let started = Instant::now();
    while let Err(error) = store.accept(intake(key)).await {
        assert!(started.elapsed() < Duration::from_secs(30), "it does not recover: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_full_disk_refuses_loses_nothing_and_works_again_with_space() {
    let Some(disk) = Disk::mount("8m") else { return };
    std::fs::write(disk.path("ballast"), vec![0; 3 << 20]).unwrap();
    let file = disk.path("data/hookgate.db");
    let store = Sqlite::open(&file, Options::default()).unwrap();
    let (mut acknowledged, error) = fill(&store, "before").await;
    assert_eq!(error, StoreError::Full);
    assert!(store.accept(intake("refused")).await.is_err());
    assert!(store.health().await.unwrap().trouble.is_some());
    for key in &acknowledged {
        assert!(kept(&store, key).await, "{key}");
    }
    std::fs::remove_file(disk.path("ballast")).unwrap();
    again(&store, "again").await;
    acknowledged.push("again".to_owned());
    assert_eq!(store.health().await.unwrap().trouble, None);
    drop(store);
    let store = Sqlite::open(&file, Options::default()).unwrap();
    for key in &acknowledged {
        assert!(kept(&store, key).await, "{key} after a restart");
    }
}

#[tokio::test]
async fn a_full_disk_keeps_an_answer_with_its_jobs_or_neither() {
    let Some(disk) = Disk::mount("8m") else { return };
    std::fs::write(disk.path("ballast"), vec![0; 3 << 20]).unwrap();
    let file = disk.path("data/hookgate.db");
    let store = Sqlite::open(&file, Options::default()).unwrap();
    let until = store.now() + 3_600_000;
    let answer =
        |key: &str| OneTimeAnswer { route: "logout".into(), key: key.to_owned(), answer: "told".into(), until };
    let mut refused = None;
    for number in 0..20_000 {
        let key = number.to_string();
        if let Err(error) = store.keep_answer(intake(&key), answer(&key)).await {
            refused = Some((number, error));
            break;
        }
    }
    let (count, error) = refused.expect("the disk never fills");
    assert_eq!(error, StoreError::Full);
    std::fs::remove_file(disk.path("ballast")).unwrap();
    again(&store, "again").await;
    drop(store);
    let store = Sqlite::open(&file, Options::default()).unwrap();
    for number in 0..=count {
        let key = number.to_string();
        let there = (kept(&store, &key).await, store.answer("logout", &key).await.unwrap().is_some());
        assert_eq!(there, (number < count, number < count), "{key}");
    }
}

#[tokio::test]
async fn trouble_ends_by_itself_when_nothing_arrives() {
    let Some(disk) = Disk::mount("6m") else { return };
    std::fs::write(disk.path("ballast"), vec![0; 3 << 20]).unwrap();
    let store = Sqlite::open(&disk.path("hookgate.db"), Options::default()).unwrap();
    fill(&store, "before").await;
    std::fs::remove_file(disk.path("ballast")).unwrap();
    let started = Instant::now();
    while store.health().await.unwrap().trouble.is_some() {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_file_system_that_can_only_be_read_is_refused_by_name() {
    let Some(disk) = Disk::mount("8m") else { return };
    let file = disk.path("hookgate.db");
    let store = Sqlite::open(&file, Options::default()).unwrap();
    store.accept(intake("a")).await.unwrap();
    drop(store);
    let remount = |how: &str| {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(disk.0.path()).status().unwrap();
        assert!(done.success());
    };
    remount("ro");
    let refused = Sqlite::open(&file, Options::default()).err().unwrap().to_string();
    assert!(refused.contains("hookgate.db"), "{refused}");
    remount("rw");
    assert!(kept(&Sqlite::open(&file, Options::default()).unwrap(), "a").await);
}

#[tokio::test]
async fn a_disk_that_fails_is_refused_and_tried_again() {
    let Some(disk) = Disk::mount("8m") else { return };
    let file = disk.path("hookgate.db");
    let store = Sqlite::open(&file, Options::default()).unwrap();
    store.accept(intake("a")).await.unwrap();
    // No write to the log succeeds while it is like this, also through a handle that is open already.
    let attribute = |how| Command::new("chattr").arg(how).arg(disk.path("hookgate.db-wal")).status();
    if !attribute("+i").is_ok_and(|status| status.success()) || store.accept(intake("b")).await.is_ok() {
        return skipped("this file system cannot make a file immutable");
    }
    let error = store.accept(intake("c")).await.unwrap_err();
    assert!(matches!(error, StoreError::Broken(_) | StoreError::ReadOnly(_)), "{error}");
    assert!(store.health().await.unwrap().trouble.is_some());
    assert!(attribute("-i").unwrap().success());
    again(&store, "d").await;
    assert!(kept(&store, "a").await);
    assert_eq!(store.health().await.unwrap().trouble, None);
}

#[tokio::test]
async fn a_replaced_file_is_noticed_before_anything_is_acknowledged() {
    for replace in [true, false] {
        let folder = TempDir::new().unwrap();
        let store = open(&folder);
        store.accept(intake("a")).await.unwrap();
        let file = folder.path().join("data/hookgate.db");
        std::fs::rename(&file, folder.path().join("moved.db")).unwrap();
        if replace {
            std::fs::copy(folder.path().join("moved.db"), &file).unwrap();
        }
        for key in ["b", "c"] {
            let error = store.accept(intake(key)).await.unwrap_err();
            let StoreError::Broken(text) = &error else { panic!("{error}") };
            assert!(text.contains("hookgate.db"), "{text}");
        }
        assert!(store.health().await.unwrap().trouble.is_some());
    }
}

#[tokio::test]
async fn a_removed_log_is_noticed() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    store.accept(intake("a")).await.unwrap();
    std::fs::remove_file(folder.path().join("data/hookgate.db-wal")).unwrap();
    assert!(matches!(store.accept(intake("b")).await, Err(StoreError::Broken(_))));
}

#[tokio::test]
async fn what_a_removed_log_held_is_not_lost() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    for number in 0..40 {
        store.accept(intake(&number.to_string())).await.unwrap();
    }
    std::fs::remove_file(folder.path().join("data/hookgate.db-wal")).unwrap();
    assert!(matches!(store.accept(intake("late")).await, Err(StoreError::Broken(_))));
    // As after `kill -9`: only what is in the files by now counts.
    let elsewhere = TempDir::new().unwrap();
    std::fs::copy(folder.path().join("data/hookgate.db"), elsewhere.path().join("hookgate.db")).unwrap();
    let again = Sqlite::open(&elsewhere.path().join("hookgate.db"), Options::default()).unwrap();
    for number in 0..40 {
        assert!(kept(&again, &number.to_string()).await, "{number}");
    }
}

/// Opens a file and writes to it, or cuts it off.
type Harm = fn(&std::fs::File, u64);

#[tokio::test]
async fn a_log_that_was_emptied_or_shortened_is_noticed_and_spoils_nothing() {
    use std::os::unix::fs::FileExt;
    let harms: [(&str, Harm); 5] = [
        ("emptied", |log, _| log.set_len(0).unwrap()),
        ("without most of its header", |log, _| log.set_len(7).unwrap()),
        ("half as long", |log, length| log.set_len(length / 2).unwrap()),
        ("without half of its last frame", |log, length| log.set_len(length - 2_000).unwrap()),
        ("overwritten", |log, _| log.write_all_at(&[0; 5_000], 0).unwrap()),
    ];
    for (name, harm) in harms {
        let folder = TempDir::new().unwrap();
        let log = folder.path().join("data/hookgate.db-wal");
        let store = open(&folder);
        for number in 0..20 {
            store.accept(intake(&number.to_string())).await.unwrap();
        }
        store.close().await.unwrap();
        let store = open(&folder);
        for number in 0..40 {
            store.accept(intake(&format!("in the log {number}"))).await.unwrap();
        }
        let file = std::fs::File::options().write(true).open(&log).unwrap();
        harm(&file, file.metadata().unwrap().len());
        for key in ["late", "later"] {
            let error = store.accept(intake(key)).await.unwrap_err();
            let StoreError::Broken(text) = &error else { panic!("{name}: {error}") };
            assert!(
                text.contains("hookgate.db-wal` was emptied") && text.contains("restart the gateway"),
                "{name}: {text}"
            );
        }
        assert!(store.health().await.unwrap().trouble.is_some(), "{name}");
        drop(store.close().await);
        drop(store);
        let again = open(&folder);
        for number in 0..20 {
            assert!(kept(&again, &number.to_string()).await, "{name}: {number}");
        }
        again.accept(intake("again")).await.unwrap();
        again.close().await.unwrap();
        let db = rusqlite::Connection::open(folder.path().join("data/hookgate.db")).unwrap();
        let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok", "{name}");
    }
}

#[tokio::test]
async fn a_log_that_goes_into_the_database_and_begins_anew_is_no_trouble() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let beside = Sqlite::attach(&folder.path().join("data/hookgate.db")).unwrap();
    let mut heavy = intake("");
    for number in 0..400 {
        heavy.events[0].key = number.to_string();
        heavy.events[0].jobs[0].key = number.to_string();
        heavy.events[0].body = vec![b'x'; 40_000].into();
        store.accept(heavy.clone()).await.unwrap();
        if number % 50 == 0 {
            // Somebody else writes, too, and may put the log into the database.
            let which = crate::Selection::One(EventRef::Key(number.to_string()));
            let _ = beside.operate(Operation::Replay { which, force: false }).await;
        }
    }
    assert_eq!(store.health().await.unwrap().trouble, None);
    let log = folder.path().join("data/hookgate.db-wal").metadata().unwrap().len();
    assert!(log < 12 << 20, "16 MB were written, and the log has {log} bytes");
}

#[tokio::test]
async fn what_waits_together_is_answered_each_by_itself() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(open(&folder));
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                if number % 10 == 0 {
                    let which = crate::Selection::One(EventRef::Id(1_000_000));
                    let refused = store.operate(Operation::Replay { which, force: false }).await;
                    assert!(matches!(refused, Err(StoreError::Refused(_))));
                }
                store.accept(intake(&number.to_string())).await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        assert!(matches!(task.await.unwrap()[..], [Accepted::New(_)]));
    }
    assert_eq!(store.health().await.unwrap().waiting, 200);
}

#[tokio::test]
async fn more_than_can_wait_is_refused_at_once() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(open(&folder));
    let blocker = connect::writer(&folder.path().join("data/hookgate.db")).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting: Vec<_> = (0..6000).map(|number| Box::pin(store.accept(intake(&number.to_string())))).collect();
    let mut refused = 0;
    let mut left = Vec::new();
    for mut accept in waiting.drain(..) {
        match futures_poll(&mut accept) {
            Some(Err(StoreError::Busy)) => refused += 1,
            Some(other) => panic!("{other:?}"),
            None => left.push(accept),
        }
    }
    // More of them where making so many took so long that the first one had waited too long already.
    assert!(refused >= 1000 && !left.is_empty(), "{refused} refused");
    blocker.execute_batch("ROLLBACK").unwrap();
    drop(blocker);
    for accept in left {
        accept.await.unwrap();
    }
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_kept() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(open(&folder));
    let blocker = connect::writer(&folder.path().join("data/hookgate.db")).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut first = Box::pin(store.accept(intake("a")));
    assert!(futures_poll(&mut first).is_none());
    // The writer is stuck with the first one, the others stand in line.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut given_up = Box::pin(store.accept(intake("b")));
    assert!(futures_poll(&mut given_up).is_none());
    drop(given_up);
    let mut last = Box::pin(store.accept(intake("c")));
    assert!(futures_poll(&mut last).is_none());
    blocker.execute_batch("ROLLBACK").unwrap();
    first.await.unwrap();
    last.await.unwrap();
    let page = store.list(crate::Query::default()).await.unwrap();
    let keys: Vec<&str> = page.events.iter().map(|event| event.key.as_str()).collect();
    assert_eq!(keys, ["c", "a"]);
    assert!(matches!(store.accept(intake("b")).await.unwrap()[..], [Accepted::New(_)]), "it comes again");
}

#[tokio::test]
async fn what_waits_takes_so_much_memory_and_no_more() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(open(&folder));
    let blocker = connect::writer(&folder.path().join("data/hookgate.db")).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let heavy = |number: usize| {
        let mut intake = intake(&number.to_string());
        intake.events[0].body = vec![b'x'; 8 * 1024 * 1024].into();
        intake
    };
    let mut waiting: Vec<_> = (0..12).map(|number| Box::pin(store.accept(heavy(number)))).collect();
    let looked: Vec<_> = waiting.iter_mut().map(futures_poll).collect();
    let refused = looked.iter().filter(|answer| matches!(answer, Some(Err(StoreError::Busy)))).count();
    // None, one or two are with the writer yet; of eight, which are a little over the limit, seven fit in line.
    assert!((2..=5).contains(&refused), "{refused} refused");
    blocker.execute_batch("ROLLBACK").unwrap();
}

/// Looks once whether it is done.
pub(super) fn futures_poll<T>(future: &mut std::pin::Pin<Box<impl Future<Output = T> + ?Sized>>) -> Option<T> {
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
