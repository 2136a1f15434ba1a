//! How the store ends, how copies of it are made, and that only one gateway has it (#14).

use std::path::Path;

use super::*;

fn at(folder: &TempDir) -> PathBuf {
    folder.path().join("data/hookgate.db")
}

/// How many events the file alone holds, without what lies beside it.
async fn alone(file: &Path) -> usize {
    let elsewhere = TempDir::new().unwrap();
    let copy = elsewhere.path().join("copy.db");
    std::fs::copy(file, &copy).unwrap();
    let db = rusqlite::Connection::open(&copy).unwrap();
    assert_eq!(db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
    let count: i64 = db.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).unwrap();
    usize::try_from(count).unwrap()
}

#[tokio::test]
async fn a_closed_store_is_one_whole_file() {
    for many in [1, 60, 300] {
        let folder = TempDir::new().unwrap();
        let store = open(&folder);
        for number in 0..many {
            store.accept(intake(&number.to_string())).await.unwrap();
        }
        store.list(Query::default()).await.unwrap();
        store.bookmark("none").await.unwrap();
        store.close().await.unwrap();
        let log = folder.path().join("data/hookgate.db-wal");
        assert!(log.metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound));
        assert_eq!(alone(&at(&folder)).await, many);
        assert_eq!(store.accept(intake("late")).await, Err(StoreError::Closed));
        assert_eq!(store.list(Query::default()).await.err(), Some(StoreError::Closed));
        assert_eq!(store.close().await, Ok(()), "twice is once");
        open(&folder).accept(intake("again")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_search_does_not_keep_the_store_from_closing() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(open(&folder));
    store.accept(intake("a")).await.unwrap();
    let (begun, waits) = oneshot::channel();
    let people = Arc::clone(&store.people);
    let endless = tokio::spawn(async move {
        let read = move |db: &rusqlite::Connection| {
            // As of this moment: the log cannot be emptied while it reads.
            db.query_row("SELECT count(*) FROM event", [], |row| row.get::<_, i64>(0))?;
            begun.send(()).unwrap();
            let endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
                 SELECT count(*) FROM n, event";
            db.query_row(endless, [], |row| row.get::<_, i64>(0))
        };
        people.read(read).await
    });
    waits.await.unwrap();
    store.close().await.unwrap();
    assert_eq!(endless.await.unwrap(), Err(StoreError::Closed));
    assert_eq!(alone(&at(&folder)).await, 1);
}

#[tokio::test]
async fn a_log_that_somebody_else_keeps_open_is_told_and_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    store.accept(intake("a")).await.unwrap();
    let other = connect::reader(&at(&folder)).unwrap();
    other.execute_batch("BEGIN").unwrap();
    other.query_row("SELECT count(*) FROM event", [], |row| row.get::<_, i64>(0)).unwrap();
    store.accept(intake("b")).await.unwrap();
    assert_eq!(store.close().await, Err(StoreError::Busy));
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    let page = open(&folder).list(Query::default()).await.unwrap();
    assert_eq!(page.events.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_people_take_no_place_of_what_calls_read() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    // More than may read at once, and none of them comes to an end.
    let mut lists = Vec::new();
    for _ in 0..20 {
        let (people, wait) = (Arc::clone(&store.people), Arc::clone(&wait));
        lists.push(tokio::spawn(async move { people.read(move |_| Ok(wait.lock().unwrap().recv().is_ok())).await }));
    }
    tokio::task::yield_now().await;
    let kv = hookgate_model::question::Kv::Get { key: "a".to_owned() };
    let answer = store.state(Step { kv, dry: false, origin: None }).await;
    assert_eq!(answer, Ok(Value::Null));
    assert_eq!(store.bookmark("none").await, Ok(None));
    store.health().await.unwrap();
    drop(go_on);
    for list in lists {
        assert_eq!(list.await.unwrap(), Ok(false), "it ends when nobody holds it up");
    }
}

#[tokio::test]
async fn a_second_gateway_is_refused_under_any_name() {
    let folder = TempDir::new().unwrap();
    let first = open(&folder);
    first.accept(intake("a")).await.unwrap();
    let refused = |file: &Path| {
        let Err(error) = Sqlite::open(file, Options::default()) else { panic!("it is in use") };
        assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    };
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(at(&folder), &link).unwrap();
    refused(&link);
    std::os::unix::fs::symlink(&link, folder.path().join("link of a link.db")).unwrap();
    refused(&folder.path().join("link of a link.db"));
    std::os::unix::fs::symlink(folder.path().join("data"), folder.path().join("linked")).unwrap();
    refused(&folder.path().join("linked/hookgate.db"));
    if cfg!(target_os = "linux") {
        std::fs::hard_link(at(&folder), folder.path().join("hard.db")).unwrap();
        refused(&folder.path().join("hard.db"));
        std::fs::remove_file(folder.path().join("data/hookgate.db.lock")).unwrap();
        refused(&at(&folder));
        refused(&link);
    }
    first.accept(intake("b")).await.unwrap();
    first.close().await.unwrap();
    let through = Sqlite::open(&link, Options::default()).unwrap();
    assert_eq!(through.list(Query::default()).await.unwrap().events.len(), 2);
    through.accept(intake("c")).await.unwrap();
    assert!(folder.path().join("data/hookgate.db-wal").exists(), "what lies beside it lies beside the file");
}

#[tokio::test]
async fn a_leftover_of_a_copy_is_in_nobodys_way_and_two_at_once_are_not_mixed() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    store.accept(intake("a")).await.unwrap();
    let (copy, part) = (folder.path().join("copy.db"), folder.path().join("copy.db.part"));
    // As a copy that was killed leaves it.
    std::fs::write(&part, vec![7; 100_000]).unwrap();
    let held = std::fs::File::open(&part).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let Err(StoreError::Refused(text)) = store.copy_to(copy.clone()).await else { panic!("another one writes it") };
    assert!(text.contains("another copy"), "{text}");
    assert!(!copy.exists() && part.metadata().unwrap().len() == 100_000);
    drop(held);
    store.copy_to(copy.clone()).await.unwrap();
    assert!(!part.exists());
    assert_eq!(alone(&copy).await, 1);
    // Whatever has the name is left as it is.
    for taken in ["file", "link to nothing"] {
        let taken = folder.path().join(taken);
        match taken.ends_with("file") {
            true => std::fs::write(&taken, "mine").unwrap(),
            false => std::os::unix::fs::symlink("nowhere", &taken).unwrap(),
        }
        assert!(matches!(store.copy_to(taken.clone()).await, Err(StoreError::Refused(_))));
        assert!(taken.symlink_metadata().is_ok_and(|found| found.len() < 10));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_copy_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    for number in 0..200 {
        let mut heavy = intake(&number.to_string());
        heavy.events[0].body = vec![b'x'; 200_000].into();
        store.accept(heavy).await.unwrap();
    }
    let (copy, part) = (folder.path().join("copy.db"), folder.path().join("copy.db.part"));
    let mut copying = Box::pin(store.copy_to(copy.clone()));
    let begun = async {
        while !part.metadata().is_ok_and(|found| found.len() > 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        copied = &mut copying => panic!("it was over before it could be interrupted: {copied:?}"),
        () = begun => {}
    }
    assert!(!copy.exists(), "the name is for what is whole");
    drop(copying);
    while part.exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!copy.exists());
    store.copy_to(copy.clone()).await.unwrap();
    assert_eq!(alone(&copy).await, 200);
}
