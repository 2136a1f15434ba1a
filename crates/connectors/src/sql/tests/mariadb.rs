//! MariaDB.

use super::*;
use crate::tests::servers::certificate_for;
use crate::tests::servers::mariadb::MariaDb;

/// Settings of a user with a database of its own, with its password in `folder`.
async fn with_user(server: &MariaDb, folder: &TempDir, user: &str, statements: &[&str]) -> Value {
    let (drop, make) =
        (format!("drop database if exists {user}"), format!("create database {user} character set utf8mb4"));
    let (who, may) = (
        format!("create or replace user {user} identified by 'first-word'"),
        format!("grant all on {user}.* to {user}"),
    );
    let within = format!("use {user}");
    let all: Vec<&str> =
        [&drop, &make, &who, &may, &within].into_iter().map(String::as_str).chain(statements.iter().copied()).collect();
    server.run(&all).await;
    word(folder, "first-word");
    let authority = server.authority();
    json!({
        "url": format!("mariadb://{user}@localhost:{}/{user}", server.port),
        "password": { "file": "password" },
        "ca_file": authority.to_str().expect("a path"),
    })
}

fn server() -> Option<(Arc<MariaDb>, TempDir)> {
    Some((MariaDb::shared()?, tempfile::tempdir().expect("a folder")))
}

fn with(mut settings: Value, more: &Value) -> Value {
    settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
    settings
}

#[tokio::test]
async fn values_come_as_json() {
    let Some((server, folder)) = server() else { return };
    let made = [
        "create table t (b bit(1), y tinyint, i int, u bigint unsigned, f float, d double, n decimal(30, 10), none text,
            name varchar(40), c char(4), old varchar(40) character set latin1, mood enum('glad', 'sad'), tags set('a', 'b'),
            born date, at datetime(3), seen timestamp null, took time, y4 year, j json, b9 bit(9))",
        "insert into t values (1, -1, 7, 18446744073709551615, 0.1, 0.1, 12345678901234567890.0123456789, null, 'Björn 😀',
            'ab', 'Müller', 'glad', 'a,b', '2026-03-02', '2026-03-02 08:30:00.120', '2026-03-02 08:30:00', '-25:00:01', 2026,
            '{\"a\": [1, null]}', 257)",
    ];
    let sql = sql(folder.path(), &with_user(&server, &folder, "m1", &made).await);
    assert_eq!(
        row(&sql, "select * from t").await,
        json!({
            "b": 1, "y": -1, "i": 7, "u": "18446744073709551615", "f": 0.1, "d": 0.1, "n": "12345678901234567890.0123456789",
            "none": null, "name": "Björn 😀", "c": "ab", "old": "Müller", "mood": "glad", "tags": "a,b",
            "born": "2026-03-02", "at": "2026-03-02T08:30:00.12", "seen": "2026-03-02T08:30:00Z", "took": "-25:00:01",
            "y4": 2026, "j": "{\"a\": [1, null]}", "b9": 257,
        })
    );
    let parameters = json!(["x'; drop table t; -- \\", 7, 1.5, null, u64::MAX]);
    assert_eq!(
        rows(&sql, "select ? a, ? b, ? c, ? d, ? e", parameters).await,
        json!([{ "a": "x'; drop table t; -- \\", "b": "7", "c": "1.5", "d": null, "e": "18446744073709551615" }])
    );
    assert_eq!(value(&sql, "select name from t where i = 8", json!([])).await, Value::Null);
}

#[tokio::test]
async fn nothing_is_written_whatever_the_user_may() {
    let Some((server, folder)) = server() else { return };
    let made = [
        "create table t (id int)",
        "create function sneaky() returns int begin insert into t values (1); return 1; end",
        "create sequence s",
    ];
    let sql = sql(folder.path(), &with_user(&server, &folder, "m2", &made).await);
    for statement in [
        "select sneaky() as x",
        "select nextval(s) as x",
        "insert into t values (1)",
        "with x as (select 1) delete from t",
        "set session transaction read write",
        "select 1; delete from t",
        "/*! insert into */ t values (1)",
        "select /*! 1 into outfile '/tmp/hookgate-never' */",
        "select 1 as x into @x",
    ] {
        let trouble = trouble(&sql, statement, json!([])).await;
        assert!(matches!(trouble.reason, Reason::Rejected | Reason::Denied), "{statement}: {trouble:?}");
    }
    assert_eq!(value(&sql, "select count(*) from t", json!([])).await, json!(0));
}

#[tokio::test]
async fn what_cannot_be_answered_names_its_column_and_no_data() {
    let Some((server, folder)) = server() else { return };
    let made = [
        "create table t (id int, photo blob, raw varbinary(20), place point)",
        "insert into t values (1, 'canary', 0x63616e617279ff, point(1, 2))",
    ];
    let settings = with_user(&server, &folder, "m3", &made).await;
    let sql = sql(folder.path(), &with(settings, &json!({ "max_rows": 5, "max_bytes": 10_000 })));
    for (statement, reason, said) in [
        ("select photo from t", Reason::BadAnswer, "column `photo` is binary"),
        ("select raw from t", Reason::BadAnswer, "column `raw` is binary"),
        ("select place from t", Reason::BadAnswer, "column `place` is binary"),
        ("select nick from t", Reason::Rejected, "Unknown column 'nick'"),
        ("select id from people", Reason::Rejected, "Table 'm3.people' doesn't exist (1146)"),
        ("select id fron t where", Reason::Rejected, "You have an error in your SQL syntax"),
        ("select id from t where id = ?", Reason::Rejected, "places for 1 parameters, and 0 were given"),
        ("select id, id from t", Reason::Rejected, "two columns are called `id`"),
        ("select seq from seq_1_to_6", Reason::TooLarge, "more than 5 rows"),
        ("select seq from seq_1_to_100000000", Reason::TooLarge, "more than 5 rows"),
        ("select seq from seq_1_to_1000000000 limit 900000000", Reason::TooLarge, "more than 5 rows"),
        ("select repeat('x', 3000) r from seq_1_to_5", Reason::TooLarge, "longer than 10000 bytes"),
        ("select repeat('x', 15000000) r", Reason::TooLarge, "longer than 10000 bytes"),
    ] {
        let trouble = trouble(&sql, statement, json!([])).await;
        assert!(trouble.reason == reason && trouble.message.contains(said), "{statement}: {trouble:?}");
        assert!(!trouble.message.contains("canary"), "{trouble}");
    }
    assert_eq!(row(&sql, "select seq from seq_1_to_5").await, json!({ "seq": 1 }));
    assert_eq!(rows(&sql, "select seq from seq_1_to_5", json!([])).await.as_array().map(Vec::len), Some(5));
    // A schema that drifts under a kept connection.
    server.run(&["alter table m3.t drop column photo, add column name varchar(9) default 'Ann'"]).await;
    assert_eq!(rows(&sql, "select name from t", json!([])).await, json!([{ "name": "Ann" }]));
    assert_eq!(reason(&sql, "select photo from t").await, Reason::Rejected);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_never_guessed_at() {
    let Some((server, folder)) = server() else { return };
    let made = ["create table t (old varchar(20) character set latin1)", "insert into t values (0x4dfc6c6c6572)"];
    let sql = sql(folder.path(), &with_user(&server, &folder, "m4", &made).await);
    assert_eq!(value(&sql, "select old from t", json!([])).await, json!("Müller"), "the server knows what they mean");
    let trouble = trouble(&sql, "select cast(old as binary) as old from t", json!([])).await;
    assert_eq!((trouble.reason, trouble.message.starts_with("column `old` is binary")), (Reason::BadAnswer, true));
}

#[tokio::test]
async fn a_slow_statement_ends_here_and_there() {
    let Some((server, folder)) = server() else { return };
    let settings = with_user(&server, &folder, "m5", &[]).await;
    let hasty = patient(folder.path(), &settings, Duration::from_millis(700));
    let started = Instant::now();
    let slow = "select count(*) from seq_1_to_1000000 a, seq_1_to_1000000 b";
    assert_eq!(reason(&hasty, slow).await, Reason::Timeout);
    assert!(started.elapsed() < Duration::from_secs(10));
    let sql = sql(folder.path(), &settings);
    let running = "select count(*) from information_schema.processlist where info like '%1000000 b' and user = 'm5'";
    while value(&sql, running, json!([])).await != json!(0) {
        assert!(started.elapsed() < Duration::from_secs(15), "the server goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(value(&hasty, "select 1", json!([])).await, json!(1));
}

#[tokio::test]
async fn wrong_credentials_and_rights_are_denied_and_a_secret_rotates() {
    let Some((server, folder)) = server() else { return };
    let settings = with_user(&server, &folder, "m6", &[]).await;
    let sql = sql(folder.path(), &settings);
    assert_eq!(reason(&sql, "select user from mysql.user").await, Reason::Denied);
    let id = "select connection_id()";
    let first = value(&sql, id, json!([])).await;
    assert_eq!(value(&sql, id, json!([])).await, first, "the connection is kept");
    server.run(&["alter user m6 identified by 'second-word'"]).await;
    word(&folder, "second-word");
    for ring in Connector::secrets(&sql) {
        assert_eq!(ring.reload().changed.len(), 1);
    }
    assert_ne!(value(&sql, id, json!([])).await, first);
    word(&folder, "canary-word");
    let wrong = super::sql(folder.path(), &settings);
    let trouble = trouble(&wrong, "select 1", json!([])).await;
    assert_eq!(trouble.reason, Reason::Denied, "{trouble}");
    assert!(
        trouble.message.starts_with("Access denied for user 'm6'") && !trouble.message.contains("canary"),
        "{trouble}"
    );
}

#[tokio::test]
async fn only_a_certificate_of_the_host_is_trusted() {
    let Some((server, folder)) = server() else { return };
    let settings = with_user(&server, &folder, "m7", &[]).await;
    let sql = sql(folder.path(), &settings);
    let cipher = "select variable_value from information_schema.session_status where variable_name = 'Ssl_cipher'";
    assert_ne!(value(&sql, cipher, json!([])).await, json!(""));
    let other = settings["url"].as_str().expect("an address").replace("localhost", "127.0.0.1");
    certificate_for(folder.path(), None, "localhost", 2098);
    for changed in [json!({ "url": other }), json!({ "ca_file": "cert.pem" }), json!({ "ca_file": null })] {
        let distrustful = super::sql(folder.path(), &with(settings.clone(), &changed));
        let trouble = trouble(&distrustful, "select 1", json!([])).await;
        assert_eq!(trouble.reason, Reason::Forbidden, "{changed}: {trouble}");
    }
    let clear = json!({ "url": settings["url"], "password": settings["password"], "tls": "none" });
    assert_eq!(value(&super::sql(folder.path(), &clear), cipher, json!([])).await, json!(""));
}

#[tokio::test]
async fn a_server_that_was_gone_is_found_again() {
    let Some(server) = MariaDb::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let settings = with_user(&server, &folder, "m8", &[]).await;
    let sql = sql(folder.path(), &settings);
    let probed = sql.probe().expect("a probe").await.expect("it is there");
    assert!(probed.found.starts_with("MariaDB ") && probed.found.ends_with(", read only"), "{}", probed.found);
    assert_eq!(value(&sql, "select 1", json!([])).await, json!(1));
    server.stop();
    assert_eq!(reason(&sql, "select 1").await, Reason::Unreachable);
    server.start();
    assert_eq!(value(&sql, "select 1", json!([])).await, json!(1));
    server.stop();
    server.start();
    assert_eq!(value(&sql, "select 1", json!([])).await, json!(1), "a kept connection that broke is made anew");
}

#[tokio::test]
async fn a_parameter_is_what_the_column_holds_or_is_refused() {
    let Some((server, folder)) = server() else { return };
    let made = [
        "create table t (id int, big bigint unsigned, login varchar(40), amount decimal(10,2), d double, at date)",
        "insert into t values (0, 18446744073709551615, 'ann', 1.10, 0.1, '2026-01-01'),
         (7, 9007199254740993, '0', 2, 1e10, '2026-01-02'), (9, 9007199254740992, 'false', 3, 3, '2026-01-03')",
    ];
    let sql = sql(folder.path(), &with_user(&server, &folder, "m9", &made).await);
    for (column, parameter, found) in [
        ("login", json!(0), json!([7])),
        ("login", json!("0"), json!([7])),
        ("login", json!("nobody"), json!([])),
        ("id", json!(7), json!([7])),
        ("id", json!("7"), json!([7])),
        ("big", json!(9_007_199_254_740_993_i64), json!([7])),
        ("big", json!("18446744073709551615"), json!([0])),
        ("amount", json!(1.1), json!([0])),
        ("d", json!(0.1), json!([0])),
        ("at", json!("2026-01-02"), json!([7])),
    ] {
        let statement = format!("select id from t where {column} = ?");
        let rows = rows(&sql, &statement, json!([parameter])).await;
        let ids: Vec<&Value> = rows.as_array().expect("rows").iter().map(|row| &row["id"]).collect();
        assert_eq!(json!(ids), found, "{column} = {parameter}");
    }
    for (column, parameter) in [("id", "7abc"), ("id", "canary"), ("id", ""), ("at", "canary"), ("d", "canary\u{e4}")] {
        let statement = format!("select id from t where {column} = ?");
        let trouble = trouble(&sql, &statement, json!([parameter])).await;
        assert_eq!(trouble.reason, Reason::Rejected, "{column} = {parameter}");
        assert!(trouble.message.contains("parameter 1 is a text") && !trouble.message.contains("canary"), "{trouble}");
    }
    let refused = trouble(&sql, "select id from t where login = ?", json!([false])).await;
    assert!(refused.reason == Reason::Rejected && refused.message.contains("such as 1 or 0"), "{refused}");
    assert_eq!(rows(&sql, "select id from t order by id limit ?", json!([1])).await, json!([{ "id": 0 }]));
}

#[tokio::test]
async fn a_session_forgets_what_a_question_left() {
    let Some((server, folder)) = server() else { return };
    let settings = with_user(&server, &folder, "m10", &[]).await;
    let (sql, other) = (sql(folder.path(), &settings), super::sql(folder.path(), &settings));
    let first = value(&sql, "select connection_id()", json!([])).await;
    assert_eq!(value(&sql, "select @left := 'canary'", json!([])).await, json!("canary"));
    assert_eq!(value(&sql, "select get_lock('hookgate', 0)", json!([])).await, json!(1));
    assert_eq!(value(&sql, "select @left", json!([])).await, Value::Null);
    assert_eq!(value(&other, "select get_lock('hookgate', 5)", json!([])).await, json!(1), "nobody holds it");
    assert_eq!(value(&sql, "select @@session.time_zone", json!([])).await, json!("+00:00"));
    assert_eq!(value(&sql, "select connection_id()", json!([])).await, first, "it is the same connection");
}
