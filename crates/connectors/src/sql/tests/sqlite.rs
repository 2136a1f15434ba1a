//! SQLite.

use rusqlite::Connection;

use super::*;

fn legacy(folder: &TempDir, statements: &str) -> Sql {
    let database = Connection::open(folder.path().join("legacy.db")).expect("a file");
    database.execute_batch(statements).expect(statements);
    sql(folder.path(), &json!({ "url": "sqlite:legacy.db", "max_rows": 3, "max_bytes": 2000 }))
}

#[tokio::test]
async fn values_come_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let sql = legacy(
        &folder,
        "create table t (id integer, name text, part real, none text);
        insert into t values (1, 'Björn', 0.1, null), (9223372036854775807, '', -2.5, null)",
    );
    assert_eq!(
        rows(&sql, "select * from t order by id", json!([])).await,
        json!([
            { "id": 1, "name": "Björn", "part": 0.1, "none": null },
            { "id": i64::MAX, "name": "", "part": -2.5, "none": null },
        ])
    );
    assert_eq!(row(&sql, "select name from t where id = 1").await, json!({ "name": "Björn" }));
    assert_eq!(row(&sql, "select name from t where id = 2").await, Value::Null);
    let parameters = json!(["x'; drop table t; --", 7, 1.5, null]);
    let given = rows(&sql, "select ?1 a, ?2 b, ?3 c, ?4 d", parameters).await;
    assert_eq!(given, json!([{ "a": "x'; drop table t; --", "b": 7, "c": 1.5, "d": null }]));
    let probed = sql.probe().expect("a probe").await.expect("a file");
    assert!(probed.found.starts_with("SQLite 3.") && probed.found.ends_with(", read only"), "{}", probed.found);
}

#[tokio::test]
async fn nothing_is_written_and_nothing_else_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let sql = legacy(&folder, "create table t (id integer)");
    for statement in [
        "insert into t values (1)",
        "with x as (select 1) insert into t select * from x",
        "with x as (select 1) delete from t returning id",
        "attach 'other.db' as other",
        "pragma query_only = 0",
        "vacuum into 'other.db'",
        "select 1; delete from t",
        "select load_extension('x')",
    ] {
        let trouble = trouble(&sql, statement, json!([])).await;
        assert_eq!(trouble.reason, Reason::Rejected, "{statement}: {trouble}");
    }
    assert_eq!(value(&sql, "select count(*) from t", json!([])).await, json!(0));
    assert!(!folder.path().join("other.db").exists());
    let read_only = open_for_tests(&folder);
    assert!(read_only.execute("insert into t values (1)", []).is_err(), "the connection itself refuses");
}

fn open_for_tests(folder: &TempDir) -> Connection {
    super::super::sqlite::open(&folder.path().join("legacy.db"), Duration::from_secs(1)).expect("a file")
}

#[tokio::test]
async fn what_cannot_be_answered_names_its_column_and_no_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let sql = legacy(
        &folder,
        "create table t (id integer, photo blob, name text, far real);
        insert into t values (1, x'ff00', cast(x'63616e617279ff' as text), 9e999);
        insert into t (id) values (2), (3), (4)",
    );
    for (statement, reason, said) in [
        ("select photo from t", Reason::BadAnswer, "column `photo` is binary"),
        ("select name from t", Reason::BadAnswer, "column `name` holds text that is not UTF-8"),
        ("select far from t", Reason::BadAnswer, "column `far` holds a number that is infinite"),
        ("select id from t", Reason::TooLarge, "more than 3 rows"),
        ("select hex(zeroblob(990)) || 'canary' from t", Reason::TooLarge, "longer than 2000 bytes"),
        ("select hex(zeroblob(999)) as a, 'canary' as b", Reason::TooLarge, "longer than 2000 bytes"),
        ("select nick from t", Reason::Rejected, "no such column: nick"),
        ("select id from people", Reason::Rejected, "no such table: people"),
        ("select id fron t", Reason::Rejected, "syntax error"),
        ("select ?", Reason::Rejected, "places for 1 parameters, and 0 were given"),
        ("select id, id from t", Reason::Rejected, "two columns are called `id`"),
    ] {
        let trouble = trouble(&sql, statement, json!([])).await;
        assert!(trouble.reason == reason && trouble.message.contains(said), "{statement}: {trouble:?}");
        assert!(!trouble.message.contains("canary"), "{trouble}");
    }
    assert_eq!(value(&sql, "select id, photo from t", json!([])).await, json!(1), "only the first column counts");
}

#[tokio::test]
async fn a_statement_ends_with_its_time() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(legacy(&folder, "create table t (id integer)"));
    let sql = patient(folder.path(), &json!({ "url": "sqlite:legacy.db", "pool": 1 }), Duration::from_millis(200));
    let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
    assert_eq!(reason(&sql, endless).await, Reason::Timeout);
    // The thread, too: it would hold the file.
    let started = Instant::now();
    let path = folder.path().join("legacy.db");
    let asked = Asked { take: Take::Value, statement: endless, parameters: &[], limits: sql.limits };
    let held = super::super::sqlite::ask(&path, &asked, Duration::from_millis(100));
    assert_eq!(held.await.map_err(|trouble| trouble.reason), Err(Reason::Timeout));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(value(&sql, "select 1", json!([])).await, json!(1));
}

#[tokio::test]
async fn a_locked_a_broken_and_a_missing_file_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let absent = sql(folder.path(), &json!({ "url": "sqlite:legacy.db" }));
    assert_eq!(reason(&absent, "select 1").await, Reason::Unreachable);
    assert!(!folder.path().join("legacy.db").exists(), "it is not made");
    drop(legacy(&folder, "create table t (id integer)"));
    assert_eq!(value(&absent, "select count(*) from t", json!([])).await, json!(0), "it is there now");
    let writer = Connection::open(folder.path().join("legacy.db")).expect("a file");
    writer.execute_batch("begin exclusive").expect("a lock");
    let hasty = patient(folder.path(), &json!({ "url": "sqlite:legacy.db" }), Duration::from_millis(100));
    assert_eq!(reason(&hasty, "select count(*) from t").await, Reason::Timeout);
    drop(writer);
    fs::write(folder.path().join("legacy.db"), "x".repeat(9000)).expect("a file");
    assert_eq!(reason(&absent, "select count(*) from t").await, Reason::BadAnswer);
}

#[tokio::test]
async fn a_parameter_is_what_the_column_holds_or_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let sql = legacy(
        &folder,
        "create table t (id integer, login text);
        insert into t values (0, 'ann'), (7, '0'), (9, '18446744073709551615')",
    );
    for (statement, parameter, found) in [
        ("select id from t where login = ?", json!(0), json!(7)),
        ("select id from t where login = ?", json!(u64::MAX), json!(9)),
        ("select id from t where login = ?", json!("nobody"), Value::Null),
        ("select id from t where id = ?", json!("7"), json!(7)),
        ("select id from t where id = ?", json!("7abc"), Value::Null),
    ] {
        assert_eq!(value(&sql, statement, json!([parameter])).await, found, "{statement}: {parameter}");
    }
    let refused = trouble(&sql, "select id from t where login = ?", json!([false])).await;
    assert!(refused.reason == Reason::Rejected && refused.message.contains("such as 1 or 0"), "{refused}");
}

#[tokio::test]
async fn a_locked_file_and_a_slow_statement_say_that_it_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(legacy(&folder, "create table t (id integer)"));
    let sql = patient(folder.path(), &json!({ "url": "sqlite:legacy.db" }), Duration::from_millis(200));
    let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
    let asked = Asked { take: Take::Value, statement: endless, parameters: &[], limits: sql.limits };
    let path = folder.path().join("legacy.db");
    let slow = super::super::sqlite::ask(&path, &asked, Duration::from_millis(50)).await.expect_err("too slow");
    assert!(slow.answered && slow.reason == Reason::Timeout, "{slow:?}");
}
