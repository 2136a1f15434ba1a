//! Somebody writes over the file while it is in use. It is noticed where the file can be read beside SQLite.
#![cfg(target_os = "linux")]

use super::*;

/// Writes over the file of the store; it gets an older copy of the file, and one that the store made.
type Overwrite = fn(&std::path::Path, &std::path::Path, &std::path::Path);

/// As `cp` does.
fn put(from: &std::path::Path, to: &std::path::Path) {
    std::fs::copy(from, to).unwrap();
}

#[tokio::test]
async fn a_database_that_was_overwritten_is_noticed_and_the_copy_stays_whole() {
    let harms: [(&str, usize, Overwrite); 3] = [
        ("with an older copy", 20, |file, older, _| put(older, file)),
        ("with a backup", 25, |file, _, backup| put(backup, file)),
        ("with nothing", 0, |file, _, _| drop(std::fs::File::create(file).unwrap())),
    ];
    for (name, in_the_copy, harm) in harms {
        let folder = TempDir::new().unwrap();
        let (file, older, backup) =
            (folder.path().join("data/hookgate.db"), folder.path().join("older.db"), folder.path().join("backup.db"));
        let accept = async |store: &Sqlite, numbers: std::ops::Range<usize>| {
            for number in numbers {
                store.accept(intake(&number.to_string())).await.unwrap();
            }
        };
        let store = open(&folder);
        accept(&store, 0..20).await;
        store.close().await.unwrap();
        put(&file, &older);
        let store = open(&folder);
        accept(&store, 20..25).await;
        store.copy_to(backup.clone()).await.unwrap();
        accept(&store, 25..40).await;
        store.close().await.unwrap();
        let store = open(&folder);
        accept(&store, 40..60).await;
        // That somebody touched it is no trouble.
        std::fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
        accept(&store, 60..70).await;

        harm(&file, &older, &backup);
        for key in ["late", "later"] {
            let error = store.accept(intake(key)).await.unwrap_err();
            let StoreError::Broken(text) = &error else { panic!("{name}: {error}") };
            assert!(
                text.contains("hookgate.db` was overwritten") && text.contains("restart the gateway"),
                "{name}: {text}"
            );
        }
        assert!(store.health().await.unwrap().trouble.is_some(), "{name}");
        drop(store.close().await);
        drop(store);
        assert!(folder.path().join("data/hookgate.db-wal.aside").metadata().unwrap().len() > 0, "{name}");
        let again = open(&folder);
        let listed = again.list(Query { limit: 1000, ..Query::default() }).await.unwrap().events.len();
        assert_eq!(listed, in_the_copy, "{name}: nothing of the log was put into it");
        again.accept(intake("again")).await.unwrap();
        again.close().await.unwrap();
        let db = rusqlite::Connection::open(&file).unwrap();
        let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok", "{name}");
    }
}

#[tokio::test]
async fn a_copy_of_the_same_run_over_the_database_is_noticed() {
    let folder = TempDir::new().unwrap();
    let (file, older) = (folder.path().join("data/hookgate.db"), folder.path().join("older.db"));
    let store = open(&folder);
    // A checkpoint after about a hundred of them.
    let fill = async |numbers: std::ops::Range<usize>| {
        let mut heavy = intake("");
        for number in numbers {
            heavy.events[0].key = number.to_string();
            heavy.events[0].jobs[0].key = number.to_string();
            heavy.events[0].body = vec![b'x'; 40_000].into();
            store.accept(heavy.clone()).await.unwrap();
        }
    };
    fill(0..150).await;
    put(&file, &older);
    fill(150..300).await;
    assert_eq!(store.health().await.unwrap().trouble, None);
    put(&older, &file);
    let error = store.accept(intake("late")).await.unwrap_err();
    assert!(error.to_string().contains("hookgate.db` was overwritten"), "{error}");
    drop(store.close().await);
    drop(store);
    drop(open(&folder));
    let db = rusqlite::Connection::open(&file).unwrap();
    let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}
