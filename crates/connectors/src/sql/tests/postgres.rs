//! PostgreSQL.

use std::sync::Arc;

use super::*;
use crate::tests::servers::certificate_for;
use crate::tests::servers::postgres::Postgres;

/// Settings of a user that these statements make, with its password in `folder`.
async fn with_user(server: &Postgres, folder: &TempDir, user: &str, statements: &str) -> Value {
    server.run(&format!("drop schema if exists {user} cascade; drop role if exists {user}")).await;
    server
        .run(&format!(
            "create role {user} login password 'first-word'; create schema {user} authorization {user};
        alter role {user} set search_path = {user}; set role {user}; set search_path = {user}; {statements}"
        ))
        .await;
    word(folder, "first-word");
    let authority = server.authority();
    json!({
        "url": format!("postgres://{user}@localhost:{}/postgres", server.port),
        "password": { "file": "password" },
        "ca_file": authority.to_str().expect("a path"),
    })
}

fn server() -> Option<(Arc<Postgres>, TempDir)> {
    Some((Postgres::shared()?, tempfile::tempdir().expect("a folder")))
}

fn with(mut settings: Value, more: &Value) -> Value {
    settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
    settings
}

#[tokio::test]
async fn values_come_as_json() {
    let Some((server, folder)) = server() else { return };
    let made = "create type mood as enum ('glad', 'sad'); create domain short as varchar(9)";
    let sql = sql(folder.path(), &with_user(&server, &folder, "v1", made).await);
    let statement = "select true as b, 1::int2 i2, 2::int4 i4, 9223372036854775807 i8, 0.1::float4 f4, 0.1::float8 f8,
        null::text n, 'Björn \"x\"'::text t, 'ab'::char(4) c, 'v'::varchar v, 'glad'::mood m, 'short'::short s,
        '0a0b0c0d-0000-4000-8000-00000000000f'::uuid u, '{\"a\": [1, null]}'::jsonb jb, '{\"a\":2}'::json j,
        array['x', null, 'y'] l, array[1, 2]::int4[] li, 7::oid o";
    assert_eq!(
        row(&sql, statement).await,
        json!({
            "b": true, "i2": 1, "i4": 2, "i8": i64::MAX, "f4": 0.1, "f8": 0.1, "n": null, "t": "Björn \"x\"", "c": "ab  ",
            "v": "v", "m": "glad", "s": "short", "u": "0a0b0c0d-0000-4000-8000-00000000000f", "jb": { "a": [1, null] },
            "j": { "a": 2 }, "l": ["x", null, "y"], "li": [1, 2], "o": 7,
        })
    );
    let times = "select date '2026-03-02' d, time '08:30:00.125' t, timestamp '2026-03-02 08:30:00' ts,
        timestamptz '2026-03-02 08:30:00.000001+02' tz, timestamp '1969-12-31 23:59:59.5' old, date '0044-03-15 BC' ides,
        timestamptz 'infinity' never, date '-infinity' always, time '24:00' last";
    assert_eq!(
        row(&sql, times).await,
        json!({
            "d": "2026-03-02", "t": "08:30:00.125", "ts": "2026-03-02T08:30:00", "tz": "2026-03-02T06:30:00.000001Z",
            "old": "1969-12-31T23:59:59.5", "ides": "-000043-03-15", "never": "infinity", "always": "-infinity",
            "last": "24:00:00",
        })
    );
    for written in [
        "0",
        "0.0",
        "1",
        "-1",
        "10",
        "10000",
        "100000000",
        "0.1",
        "0.0001",
        "0.00001",
        "-0.00000001",
        "1.10",
        "12345.678900",
        "123456789012345678901234567890.123456789",
        "99999999",
        "1e20",
        "-12.5000",
        "0.10000000000000000001",
    ] {
        let parameters = json!([written]);
        let given = rows(&sql, "select $1::numeric n, ($1::numeric)::text t", parameters).await;
        assert_eq!(given[0]["n"], given[0]["t"], "{written}");
    }
}

#[tokio::test]
async fn parameters_fit_any_place_and_are_never_part_of_the_statement() {
    let Some((server, folder)) = server() else { return };
    let made = "create table t (id int8, name text, since date, part numeric, ok bool, j jsonb);
        insert into t values (7, 'Ann', '2026-03-02', 1.50, true, '{\"a\":1}')";
    let sql = sql(folder.path(), &with_user(&server, &folder, "v2", made).await);
    let statement =
        "select name from t where id = $1 and since >= $2 and part = $3 and ok = $4 and j @> $5::jsonb and name <> $6";
    let parameters = json!([7, "2026-03-01", 1.5, true, "{\"a\": 1}", "x'; drop table t; --"]);
    assert_eq!(rows(&sql, statement, parameters).await, json!([{ "name": "Ann" }]));
    assert_eq!(rows(&sql, "select count(*) n from t where name = $1", json!([null])).await, json!([{ "n": 0 }]));
    assert_eq!(value(&sql, "select $1::text", json!([12])).await, json!("12"));
    for (statement, parameters, said) in [
        ("select name from t where id = $1", json!([]), "places for 1 parameters, and 0 were given"),
        ("select 1 as one", json!(["canary"]), "places for 0 parameters, and 1 were given"),
        ("select name from t where id = $1", json!(["canary"]), "the server refuses the statement: error 22P02"),
        ("select name from t where name = $1", json!(["canary\u{0}"]), "the server refuses the statement: error 22021"),
        ("select 1; select 2", json!([]), "cannot insert multiple commands into a prepared statement (42601)"),
    ] {
        let trouble = trouble(&sql, statement, parameters).await;
        assert_eq!((trouble.reason, trouble.message.contains(said)), (Reason::Rejected, true), "{trouble:?}");
        assert!(!trouble.message.contains("canary"), "{trouble}");
    }
}

#[tokio::test]
async fn nothing_is_written_whatever_the_user_may() {
    let Some((server, folder)) = server() else { return };
    let made = "create table t (id int); create sequence s;
        create function sneaky() returns int language plpgsql as 'begin insert into t values (1); return 1; end'";
    let sql = sql(folder.path(), &with_user(&server, &folder, "v3", made).await);
    for statement in [
        "with x as (insert into t values (1) returning id) select * from x",
        "select sneaky() as x",
        "select nextval('s') as x",
        "select id from t for update",
        "select 1 as x into u",
        "explain analyze insert into t values (1)",
        "set session characteristics as transaction read write",
        "begin read write",
        "insert into t values (1)",
        "table t; insert into t values (1)",
    ] {
        assert_eq!(reason(&sql, statement).await, Reason::Rejected, "{statement}");
    }
    let widened = "select set_config('transaction_read_only', 'off', false) as x";
    assert_ne!(ask(&sql, Take::Value, widened, json!([])).await, Ok(json!("on")));
    let kept = "select set_config('default_transaction_read_only', 'off', false) as x";
    ask(&sql, Take::Value, kept, json!([])).await.ok();
    assert_eq!(reason(&sql, "select sneaky() as x").await, Reason::Rejected, "each question begins anew");
    assert_eq!(value(&sql, "select count(*) from t", json!([])).await, json!(0));
}

#[tokio::test]
async fn a_schema_that_drifts_is_told_in_the_servers_words() {
    let Some((server, folder)) = server() else { return };
    let made = "create table t (id int, name text); insert into t values (1, 'canary')";
    let sql = sql(folder.path(), &with_user(&server, &folder, "v4", made).await);
    assert_eq!(value(&sql, "select name from t", json!([])).await, json!("canary"));
    server.run("alter table v4.t rename name to title").await;
    for (statement, said) in [
        ("select name from t", "column \"name\" does not exist (42703)"),
        ("select id from people", "relation \"people\" does not exist (42P01)"),
        ("select id fron t", "syntax error at or near \"t\" (42601)"),
    ] {
        let trouble = trouble(&sql, statement, json!([])).await;
        assert_eq!((trouble.reason, trouble.message.as_str()), (Reason::Rejected, said));
    }
    // A type that changed under a kept connection.
    assert_eq!(rows(&sql, "select * from t", json!([])).await, json!([{ "id": 1, "title": "canary" }]));
    server.run("alter table v4.t alter id type text").await;
    assert_eq!(rows(&sql, "select * from t", json!([])).await, json!([{ "id": "1", "title": "canary" }]));
    let trouble = trouble(&sql, "select title::int as n from t", json!([])).await;
    assert_eq!(trouble.message, "the server refuses the statement: error 22P02", "it quotes the value");
}

#[tokio::test]
async fn what_cannot_be_answered_names_its_column() {
    let Some((server, folder)) = server() else { return };
    let sql = sql(folder.path(), &with_user(&server, &folder, "v5", "").await);
    for (statement, said) in [
        ("select 'canary'::bytea as photo", "column `photo` is binary"),
        (
            "select interval '1 day' as age",
            "column `age` is of type `interval`: turn it into text in the statement, as with age::text",
        ),
        ("select array['x'::bytea] as photos", "column `photos` is of type `_bytea`"),
        ("select 'NaN'::float8 as n", "column `n` holds a number that is infinite or none"),
        ("select 'NaN'::numeric as n", "column `n` holds a number that is infinite or none"),
        ("select timestamp '12026-01-01' as far", "column `far` holds a time beyond the year 9999"),
    ] {
        let trouble = trouble(&sql, statement, json!([])).await;
        assert_eq!((trouble.reason, trouble.message.contains(said)), (Reason::BadAnswer, true), "{trouble:?}");
        assert!(!trouble.message.contains("canary"), "{trouble}");
    }
}

#[tokio::test]
async fn an_answer_has_its_limits() {
    let Some((server, folder)) = server() else { return };
    let settings = with_user(&server, &folder, "v6", "").await;
    let sql = sql(folder.path(), &with(settings, &json!({ "max_rows": 5, "max_bytes": 10_000 })));
    for (statement, said) in [
        ("select i from generate_series(1, 6) i", "there are more than 5 rows"),
        ("select generate_series(1, 1000000000) i", "there are more than 5 rows"),
        ("select repeat('x', 3000) r from generate_series(1, 5)", "the answer is longer than 10000 bytes"),
        ("select repeat('x', 500000000) r", "the answer is longer than 10000 bytes"),
    ] {
        let trouble = trouble(&sql, statement, json!([])).await;
        assert_eq!((trouble.reason, trouble.message.contains(said)), (Reason::TooLarge, true), "{trouble:?}");
    }
    assert_eq!(rows(&sql, "select i from generate_series(1, 5) i", json!([])).await.as_array().map(Vec::len), Some(5));
    assert_eq!(row(&sql, "select generate_series(1, 1000000000) i").await, json!({ "i": 1 }));
}

#[tokio::test]
async fn a_slow_statement_ends_here_and_there() {
    let Some((server, folder)) = server() else { return };
    let settings = with_user(&server, &folder, "v7", "").await;
    let hasty = patient(folder.path(), &settings, Duration::from_millis(700));
    let started = Instant::now();
    assert_eq!(reason(&hasty, "select pg_sleep(30)::text s").await, Reason::Timeout);
    assert!(started.elapsed() < Duration::from_secs(10));
    let sql = sql(folder.path(), &settings);
    let running = "select count(*) from pg_stat_activity where usename = 'v7' and query like '%pg_sleep(30)%' and state = 'active' and pid <> pg_backend_pid()";
    while value(&sql, running, json!([])).await != json!(0) {
        assert!(started.elapsed() < Duration::from_secs(15), "the server goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(value(&hasty, "select 1", json!([])).await, json!(1));
}

#[tokio::test]
async fn wrong_credentials_and_rights_are_denied() {
    let Some((server, folder)) = server() else { return };
    let settings = with_user(&server, &folder, "v8", "").await;
    let sql = sql(folder.path(), &settings);
    let trouble = trouble(&sql, "select rolpassword from pg_authid", json!([])).await;
    assert_eq!(
        (trouble.reason, trouble.message.as_str()),
        (Reason::Denied, "permission denied for table pg_authid (42501)")
    );
    word(&folder, "canary-word");
    let wrong = super::sql(folder.path(), &settings);
    let denied = super::trouble(&wrong, "select 1", json!([])).await;
    assert_eq!(
        (denied.reason, denied.message.as_str()),
        (Reason::Denied, "password authentication failed for user \"v8\" (28P01)")
    );
    assert_eq!(wrong.probe().expect("a probe").await.map_err(|trouble| trouble.reason), Err(Reason::Denied));
    let none = json!({ "url": settings["url"], "ca_file": settings["ca_file"] });
    assert_eq!(reason(&super::sql(folder.path(), &none), "select 1").await, Reason::Denied);
    let elsewhere = settings["url"].as_str().expect("an address").replace("/postgres", "/nowhere");
    word(&folder, "first-word");
    let elsewhere = super::sql(folder.path(), &with(settings, &json!({ "url": elsewhere })));
    let trouble = super::trouble(&elsewhere, "select 1", json!([])).await;
    assert_eq!(
        (trouble.reason, trouble.message.as_str()),
        (Reason::Rejected, "database \"nowhere\" does not exist (3D000)")
    );
}

#[tokio::test]
async fn a_secret_rotates_under_way() {
    let Some((server, folder)) = server() else { return };
    let settings = with_user(&server, &folder, "v9", "").await;
    let sql = sql(folder.path(), &settings);
    let pid = "select pg_backend_pid()";
    let first = value(&sql, pid, json!([])).await;
    assert_eq!(value(&sql, pid, json!([])).await, first, "the connection is kept");
    server.run("alter role v9 password 'second-word'").await;
    word(&folder, "second-word");
    for ring in Connector::secrets(&sql) {
        assert_eq!(ring.reload().changed.len(), 1);
    }
    let second = value(&sql, pid, json!([])).await;
    assert_ne!(second, first, "a connection of the old secret is not used again");
    // The whole address as a secret.
    fs::write(
        folder.path().join("url"),
        settings["url"].as_str().expect("an address").replace("v9@", "v9:second-word@"),
    )
    .expect("a secret");
    let whole = super::sql(folder.path(), &json!({ "url": { "file": "url" }, "ca_file": settings["ca_file"] }));
    assert_eq!(value(&whole, "select 1", json!([])).await, json!(1));
    assert_eq!(Connector::secrets(&whole).len(), 1);
}

#[tokio::test]
async fn only_a_certificate_of_the_host_is_trusted() {
    let Some((server, folder)) = server() else { return };
    let settings = with_user(&server, &folder, "v10", "").await;
    let sql = sql(folder.path(), &settings);
    assert_eq!(value(&sql, "select ssl from pg_stat_ssl where pid = pg_backend_pid()", json!([])).await, json!(true));
    let address = settings["url"].as_str().expect("an address");
    let other = address.replace("localhost", "127.0.0.1");
    certificate_for(folder.path(), None, "localhost", 2098);
    for changed in [json!({ "url": other }), json!({ "ca_file": "cert.pem" }), json!({ "ca_file": null })] {
        let distrustful = super::sql(folder.path(), &with(settings.clone(), &changed));
        let trouble = trouble(&distrustful, "select 1", json!([])).await;
        assert_eq!(trouble.reason, Reason::Forbidden, "{changed}: {trouble}");
        assert!(trouble.message.starts_with("its certificate is not trusted: "), "{trouble}");
    }
    let clear = json!({ "url": settings["url"], "password": settings["password"], "tls": "none" });
    let clear = super::sql(folder.path(), &clear);
    assert_eq!(
        value(&clear, "select ssl from pg_stat_ssl where pid = pg_backend_pid()", json!([])).await,
        json!(false)
    );
}

#[tokio::test]
async fn a_server_that_was_gone_is_found_again() {
    let Some(server) = Postgres::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let settings = with_user(&server, &folder, "v11", "").await;
    let sql = sql(folder.path(), &with(settings, &json!({ "tls": "tls" })));
    let probed = sql.probe().expect("a probe").await.expect("it is there");
    assert!(probed.found.starts_with("PostgreSQL ") && probed.found.ends_with(", read only"), "{}", probed.found);
    assert_eq!(value(&sql, "select 1", json!([])).await, json!(1));
    server.stop();
    assert_eq!(reason(&sql, "select 1").await, Reason::Unreachable);
    server.start();
    server.run("select 1").await;
    assert_eq!(value(&sql, "select 1", json!([])).await, json!(1));
    // An expired certificate is noticed at the next connection.
    certificate_for(server.folder(), crate::tests::servers::User::named("postgres"), "localhost", 2002);
    server.stop();
    server.start();
    let expired = json!({ "ca_file": server.authority().to_str().expect("a path") });
    let settings = with_user(&server, &folder, "v11", "").await;
    let distrustful = super::sql(folder.path(), &with(settings, &expired));
    let trouble = trouble(&distrustful, "select 1", json!([])).await;
    assert_eq!((trouble.reason, trouble.message.contains("xpired")), (Reason::Forbidden, true), "{trouble}");
}

#[tokio::test]
async fn as_many_connections_as_the_pool_has() {
    let Some((server, folder)) = server() else { return };
    let settings = with_user(&server, &folder, "v12", "").await;
    let sql = Arc::new(sql(folder.path(), &with(settings, &json!({ "pool": 2 }))));
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let sql = sql.clone();
            tokio::spawn(async move {
                // As `lookup` does.
                let _turn = sql.turns().expect("a pool").acquire().await.expect("a turn");
                value(&sql, "select pg_backend_pid() from pg_sleep(0.05)", json!([])).await
            })
        })
        .collect();
    let mut pids = std::collections::BTreeSet::new();
    for asked in asking {
        pids.insert(asked.await.expect("no panic").as_i64().expect("a number"));
    }
    assert_eq!(pids.len(), 2);
    assert_eq!(sql.kept().len(), 2);
}

#[tokio::test]
async fn a_session_forgets_what_a_question_left() {
    let Some((server, folder)) = server() else { return };
    let settings = with_user(&server, &folder, "v20", "select 1").await;
    let (sql, other) = (sql(folder.path(), &settings), super::sql(folder.path(), &settings));
    let first = value(&sql, "select pg_backend_pid()", json!([])).await;
    assert_eq!(value(&sql, "select pg_try_advisory_lock(4711)", json!([])).await, json!(true));
    assert_eq!(value(&sql, "select set_config('hookgate.left', 'canary', false)", json!([])).await, json!("canary"));
    assert_eq!(value(&sql, "select current_setting('hookgate.left', true)", json!([])).await, json!(""));
    assert_eq!(value(&other, "select pg_try_advisory_lock(4711)", json!([])).await, json!(true), "nobody holds it");
    assert_eq!(value(&sql, "select pg_backend_pid()", json!([])).await, first, "it is the same connection");
}

#[tokio::test]
async fn a_statement_that_is_stopped_says_that_the_server_is_there() {
    let Some((server, folder)) = server() else { return };
    let settings = with_user(&server, &folder, "v21", "select 1").await;
    let hasty = patient(folder.path(), &settings, Duration::from_secs(3));
    let slow = trouble(&hasty, "select pg_sleep(60)::text", json!([])).await;
    assert!(slow.answered && slow.reason == Reason::Timeout, "{slow:?}");
}
