use serde_json::json;

use super::*;
use crate::question::{Kv, Take};
use crate::secret::Secret;

fn stated(family: &'static str, words: &str, sent: Option<Value>) -> Stated {
    let sent = sent.map(|sent| match sent {
        Value::Array(items) => items,
        other => vec![other],
    });
    Stated { family: Some(family), connector: "hr".to_owned(), words: words.to_owned(), sent }
}

fn question(ask: Ask) -> Question {
    Question { connector: "hr".to_owned(), ask }
}

fn get(path: &str) -> Question {
    question(Ask::Http { path: path.to_owned(), body: None })
}

fn post(path: &str, body: Value) -> Question {
    question(Ask::Http { path: path.to_owned(), body: Some(body) })
}

/// The parts in which a question is not the stated one, each with both sides.
fn parts(question: &Question, stated: &Stated) -> Vec<String> {
    let differences = question.compared(stated).expect("it is of this family");
    differences.iter().map(|difference| format!("{}: {}", difference.part, difference.detail)).collect()
}

#[test]
fn a_query_is_compared_by_what_it_says() {
    let rows: [(&str, &str, Option<Value>, &[&str]); 9] = [
        ("/people", "GET /people", None, &[]),
        ("/people?email=ann%40mail.example", "GET /people?email=ann@mail.example", None, &[]),
        ("/people?a=1&b=2", "GET /people?b=2&a=1", None, &[]),
        ("/people?a=1&a=2", "GET /people", Some(json!({ "a": [1, 2], "none": null })), &[]),
        ("/people?a=2&a=1", "GET /people", Some(json!({ "a": [1, 2] })), &["query: asked `a=2&a=1`, stated `a=1&a=2`"]),
        ("/people?a=1&b=x", "GET /people?a=1", Some(json!({ "b": "x" })), &[]),
        ("/people?a=1", "GET /people", None, &["query: asked `a=1`, stated none"]),
        ("/people", "GET /people", Some(json!({ "a": true })), &["query: asked none, stated `a=true`"]),
        ("/groups", "POST /people", None, &["method: asked GET, stated POST", "path: asked /groups, stated /people"]),
    ];
    for (path, words, sent, other) in rows {
        let stated = stated("http", words, sent);
        assert_eq!(parts(&get(path), &stated), other, "{path}: {stated:?}");
        assert_eq!(get(path).fits(&stated), other.is_empty(), "{path}: {stated:?}");
    }
    assert!(stated_pairs(&json!({ "a": { "b": 1 } })).is_err());
    assert!(stated_pairs(&json!("a=1")).is_err());
}

#[test]
fn a_body_is_compared_whole() {
    let body = json!({ "name": "Ann", "page": 1, "tags": ["x"] });
    let rows: [(Option<Value>, &[&str]); 6] = [
        (None, &[]),
        (Some(json!({ "page": 1.0, "tags": ["x"], "name": "Ann", "more": null })), &[]),
        (Some(json!({ "name": "Bob", "page": 1, "tags": ["x"] })), &["body: `name`: asked \"Ann\", stated \"Bob\""]),
        (Some(json!({ "name": "Ann", "page": 1 })), &["body: `tags`: asked [\"x\"], stated ()"]),
        (Some(json!({ "name": "Ann", "page": 1, "tags": ["y"] })), &["body: `tags[0]`: asked \"x\", stated \"y\""]),
        (Some(json!("Ann")), &["body: asked {\"name\":\"Ann\",\"page\":1,\"tags\":[\"x\"]}, stated \"Ann\""]),
    ];
    for (sent, other) in rows {
        let stated = stated("http", "POST /search", sent);
        assert_eq!(parts(&post("/search", body.clone()), &stated), other, "{stated:?}");
    }
    let large = 9_007_199_254_740_993_i64;
    assert!(!post("/search", json!(large)).fits(&stated("http", "POST /search", Some(json!(large - 1)))));
}

#[test]
fn what_goes_with_other_questions_is_compared() {
    let sql = question(Ask::Sql { take: Take::Row, statement: "select  1\n".to_owned(), parameters: vec![json!(7)] });
    assert!(sql.fits(&stated("sql", "select 1", None)));
    assert!(sql.fits(&stated("sql", "select 1", Some(json!([7.0])))));
    assert_eq!(
        parts(&sql, &stated("sql", "select 2", Some(json!([8])))),
        ["statement: asked `select 1`, stated `select 2`", "parameters: asked [7], stated [8]"]
    );
    let bind = question(Ask::Bind { dn: "uid=ann".to_owned(), password: Secret::new(*b"horse") });
    assert!(bind.fits(&stated("ldap", "bind uid=ann", Some(json!("horse")))));
    assert_eq!(parts(&bind, &stated("ldap", "bind uid=ann", Some(json!("cow")))), ["password: another one"]);
    let search = question(Ask::Search {
        base: String::new(),
        filter: "(uid=ann)".to_owned(),
        attributes: vec!["mail".to_owned()],
    });
    assert!(search.fits(&stated("ldap", "search (uid=ann)", Some(json!(["mail"])))));
    assert_eq!(
        parts(&search, &stated("ldap", "search (uid=ann)", Some(json!(["cn"])))),
        ["attributes: asked [\"mail\"], stated [\"cn\"]"]
    );
    let step = question(Ask::Kv(Kv::Get { key: "a".to_owned() }));
    assert_eq!(parts(&step, &stated("kv", "get b", None)), ["question: asked `get a`, stated `get b`"]);
}

#[test]
fn a_question_of_another_family_or_connector_does_not_fit() {
    let question = get("/people");
    assert_eq!(question.compared(&stated("sql", "GET /people", None)), None);
    let other = Stated { connector: "crm".to_owned(), ..stated("http", "GET /people", None) };
    assert!(!question.fits(&other));
    assert_eq!(parts(&question, &other), ["connector: asked hr, stated crm"]);
    assert!(question.fits(&Stated { family: None, ..stated("http", "GET /people", None) }));
}
