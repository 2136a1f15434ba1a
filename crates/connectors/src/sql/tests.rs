//! What scripts get of real databases, and what is said when they get nothing.

use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::tests::{order, setup, try_made};
use hookgate_model::command::Task;

mod mariadb;
mod postgres;
mod sqlite;

/// A connector of these settings, with its secrets as files in `folder`.
fn sql(folder: &Path, settings: &Value) -> Sql {
    patient(folder, settings, Duration::from_secs(20))
}

fn patient(folder: &Path, settings: &Value, timeout: Duration) -> Sql {
    let mut owned = setup(folder, settings);
    owned.timeout = timeout;
    Sql::new(&owned.setup()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

async fn ask(sql: &Sql, take: Take, statement: &str, parameters: Value) -> Result<Value, Trouble> {
    let parameters = parameters.as_array().cloned().unwrap_or_default();
    let ask = Ask::Sql { take, statement: statement.to_owned(), parameters };
    sql.look_up(&Question { connector: "people".to_owned(), ask }).await
}

async fn rows(sql: &Sql, statement: &str, parameters: Value) -> Value {
    ask(sql, Take::Rows, statement, parameters).await.unwrap_or_else(|trouble| panic!("{statement}: {trouble:?}"))
}

async fn row(sql: &Sql, statement: &str) -> Value {
    ask(sql, Take::Row, statement, json!([])).await.unwrap_or_else(|trouble| panic!("{statement}: {trouble:?}"))
}

async fn value(sql: &Sql, statement: &str, parameters: Value) -> Value {
    ask(sql, Take::Value, statement, parameters).await.unwrap_or_else(|trouble| panic!("{statement}: {trouble:?}"))
}

/// Why there is no answer.
async fn trouble(sql: &Sql, statement: &str, parameters: Value) -> Trouble {
    ask(sql, Take::Rows, statement, parameters).await.expect_err(statement)
}

async fn reason(sql: &Sql, statement: &str) -> Reason {
    trouble(sql, statement, json!([])).await.reason
}

fn problem(folder: &Path, settings: &Value) -> String {
    let problems = try_made(&KIND, folder, settings).map(drop).expect_err("a problem");
    problems.iter().map(|problem| format!("{} {}", problem.key, problem.message)).collect::<Vec<_>>().join("\n")
}

fn word(folder: &TempDir, text: &str) {
    fs::write(folder.path().join("password"), text).expect("a secret");
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    word(&folder, "canary-1");
    fs::write(folder.path().join("url"), "postgres://reader:canary-2@db.example/people").expect("a secret");
    for (settings, said) in [
        (json!({ "url": "postgres://reader:canary@db.example/people" }), "url must not hold a password"),
        (json!({ "url": "oracle://db.example/people" }), "url must begin with"),
        (json!({ "url": { "file": "password" } }), "url is not an address"),
        (json!({ "url": { "file": "missing" } }), "url "),
        (json!({ "url": "sqlite:legacy.db", "password": { "file": "password" } }), "password means nothing"),
        (json!({ "url": { "file": "url" }, "password": { "file": "password" } }), "password `url` has a password, too"),
        (json!({ "url": "mysql://r@db.example/x", "tls": "none", "ca_file": "password" }), "ca_file "),
        (json!({ "url": "mysql://r@db.example/x", "ca_file": "password" }), "ca_file `password` holds no certificate"),
    ] {
        let problem = problem(folder.path(), &settings);
        assert!(problem.contains(said) && !problem.contains("canary"), "{settings}: {problem}");
    }
    let mut public = setup(folder.path(), &json!({ "url": "mysql://r@db.example/x", "tls": "none" }));
    public.allow_private = false;
    let problems = Sql::new(&public.setup()).map(drop).expect_err("in the clear");
    assert_eq!(problems[0].key, "tls");
    let mut private = setup(folder.path(), &json!({ "url": "mysql://r@10.1.1.1/x" }));
    private.allow_private = false;
    assert!(Sql::new(&private.setup()).is_err());
    for settings in [
        json!({ "url": { "file": "url" } }),
        json!({ "url": "postgres://reader@db.example/people", "password": { "file": "password" } }),
        json!({ "url": "sqlite:legacy.db" }),
    ] {
        assert!(try_made(&KIND, folder.path(), &settings).is_ok(), "{settings}");
    }
}

#[tokio::test]
async fn it_does_nothing_but_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let sql = sql(folder.path(), &json!({ "url": "sqlite:legacy.db" }));
    assert_eq!(super::KIND.answers, Some("sql"));
    let order = order(Task::Forward);
    let refused = sql.check(&order.action).expect_err("refused");
    assert_eq!(refused, "a connector of kind `sql` only answers questions: it does no `forward`");
    assert!(sql.perform(&order).await.is_err());
    let ask = Ask::Http { path: "/".to_owned(), body: None };
    let trouble = sql.look_up(&Question { connector: "people".to_owned(), ask }).await.expect_err("another family");
    assert_eq!(trouble.reason, Reason::Rejected);
}

#[tokio::test]
async fn a_target_that_may_not_be_reached_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    for scheme in ["postgres", "mysql"] {
        let mut owned = setup(folder.path(), &json!({ "url": format!("{scheme}://reader@localhost/people") }));
        owned.allow_private = false;
        let sql = Sql::new(&owned.setup()).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!(reason(&sql, "select 1").await, Reason::Forbidden);
        // Nobody listens there.
        let port = crate::tests::servers::free_port();
        let url = format!("{scheme}://reader@127.0.0.1:{port}/people");
        let sql = self::sql(folder.path(), &json!({ "url": url, "tls": "none" }));
        assert_eq!(reason(&sql, "select 1").await, Reason::Unreachable);
        assert_eq!(sql.probe().expect("a probe").await.map_err(|trouble| trouble.reason), Err(Reason::Unreachable));
        let url = format!("{scheme}://reader@no-such-host.invalid/people");
        let sql = self::sql(folder.path(), &json!({ "url": url, "tls": "none" }));
        assert_eq!(reason(&sql, "select 1").await, Reason::Unreachable);
    }
}
