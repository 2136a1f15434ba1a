//! What a test says of outside systems: the answer to each lookup of the script.

use rhai::{Array, Dynamic, EvalAltResult};
use serde_json::{Map, Value, json};

use crate::harness::functions::mocks::change;
use crate::harness::session::Fallible;
use crate::question::{Answer, Answered, Kv, Reason, Trouble};
use crate::script::context::Mock;
use crate::script::library::{Doc, Library};
use crate::script::prelude::json::json_from_dynamic;
use crate::script::prelude::lookups::kv::stored_key;

/// How long a test's own values of `kv` are kept.
const KEEP: std::time::Duration = std::time::Duration::from_hours(400 * 24);

/// What an answer of an API is described by; any other map is the body itself.
const HTTP_MEMBERS: [&str; 4] = ["status", "json", "text", "stale"];

/// Adds the answer to one question. The connector need not be configured: a test says what is outside.
fn add(name: &str, mock: Mock) -> Fallible<()> {
    change(name, |session| {
        session.mocked.answers.push(mock);
        Ok(())
    })
}

fn given(name: &str, value: &Dynamic) -> Fallible<Value> {
    json_from_dynamic(value).map_err(|problem| format!("`{name}`: {problem}").into())
}

fn mock(connector: &str, words: &str, answered: Answered) -> Mock {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    Mock { family: None, connector: connector.to_owned(), words, parameters: None, answered }
}

fn mock_of(family: &'static str, connector: &str, words: &str, value: Value) -> Mock {
    Mock { family: Some(family), ..mock(connector, words, Ok(Answer::fresh(value))) }
}

fn mock_http(connector: &str, question: &str, answer: &Dynamic) -> Fallible<()> {
    let name = "mock_http";
    if !["GET /", "POST /"].iter().any(|method| question.starts_with(method)) {
        return Err(format!("`{name}`: the question is `GET /path` or `POST /path`, not {question:?}").into());
    }
    let value = given(name, answer)?;
    let described = value.as_object().is_some_and(|members| {
        !members.is_empty() && members.keys().all(|member| HTTP_MEMBERS.contains(&member.as_str()))
    });
    let (status, text, stale) = if described {
        let text = match (&value["text"], &value["json"]) {
            (Value::String(text), _) => text.clone(),
            (_, Value::Null) => String::new(),
            (_, body) => body.to_string(),
        };
        (value["status"].as_u64().unwrap_or(200), text, value["stale"].as_bool().unwrap_or(false))
    } else {
        (200, if value.is_null() { String::new() } else { value.to_string() }, false)
    };
    let answer = Answer { value: json!({ "status": status, "text": text }), stale };
    add(name, Mock { family: Some("http"), ..mock(connector, question, Ok(answer)) })
}

fn mock_http_verify(connector: &str, question: &str, members: Option<&Dynamic>, right: bool) -> Fallible<()> {
    let name = "mock_http_verify";
    let path = question.trim_start_matches("verify ").trim_start_matches("POST ").trim_start_matches("GET ");
    if !path.is_empty() && !path.starts_with('/') {
        return Err(format!("`{name}`: the path begins with `/`, which {path:?} does not").into());
    }
    let parameters = members.map(|members| given(name, members)).transpose()?.map(|members| vec![members]);
    let words = format!("verify {path}");
    add(name, Mock { parameters, ..mock_of("http", connector, words.trim_end(), right.into()) })
}

fn mock_sql(connector: &str, statement: &str, parameters: Option<Array>, rows: &Dynamic) -> Fallible<()> {
    let name = "mock_sql";
    let parameters = parameters.map(|given| given.iter().map(json_from_dynamic).collect::<Result<Vec<_>, _>>());
    let parameters = parameters.transpose().map_err(|problem| format!("`{name}`: {problem}"))?;
    add(name, Mock { parameters, ..mock_of("sql", connector, statement, given(name, rows)?) })
}

fn mock_ldap(connector: &str, question: &str, answer: &Dynamic) -> Fallible<()> {
    let name = "mock_ldap";
    let value = match given(name, answer)? {
        Value::Array(entries) if question.starts_with("search ") => {
            entries.into_iter().map(|found| entry(name, found)).collect::<Result<Value, _>>()?
        }
        Value::Bool(right) if question.starts_with("bind ") => Value::Bool(right),
        _ => {
            return Err(format!(
                "`{name}`: the question is `search FILTER` or `search BASE FILTER` and has an array of entries, or it is \
                 `bind DN` and has `true` or `false`"
            )
            .into());
        }
    };
    add(name, mock_of("ldap", connector, question, value))
}

/// An entry as a directory gives it: `dn`, and all other members as attributes with one or several values.
fn entry(name: &str, written: Value) -> Result<Value, Box<EvalAltResult>> {
    let Value::Object(mut members) = written else {
        return Err(format!("`{name}`: an entry is a map with `dn` and its attributes").into());
    };
    let dn = members.remove("dn").unwrap_or_else(|| json!(""));
    let values = |value: Value| if value.is_array() { value } else { json!([value]) };
    let attributes: Map<String, Value> = members.into_iter().map(|(key, value)| (key, values(value))).collect();
    Ok(json!({ "dn": dn, "attributes": attributes }))
}

fn mock_failure(connector: &str, question: &str, kind: &str) -> Fallible<()> {
    let reason = Reason::named(kind).ok_or_else(|| {
        let kinds: Vec<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        format!("`mock_failure`: there is no kind `{kind}`; there are: {}", kinds.join(", "))
    })?;
    let trouble = Trouble::new(reason, format!("the test says that this lookup fails: {kind}"));
    add("mock_failure", mock(connector, question, Err(trouble)))
}

fn set_kv(values: &rhai::Map) -> Fallible<()> {
    let Value::Object(values) = given("set_kv", &Dynamic::from_map(values.clone()))? else { return Ok(()) };
    change("set_kv", |session| {
        let mut state = crate::question::state::State::default();
        for (key, value) in values {
            let key = stored_key(&key);
            state.step(&Kv::Set { key, value, keep: KEEP }, session.mocked.now.as_millisecond());
        }
        session.mocked.set_state(state);
        Ok(())
    })
}

pub(crate) fn register(library: &mut Library) {
    library.reader(
        Doc::new(
            "mock_http(connector: string, question: string, answer: any)",
            "What an API answers: the body, or `#{ status, json, text, stale }`. The question is `GET` or `POST` and the path \
             with its query, as `outcome.lookups` shows it. A lookup without a mock fails the run and names itself.",
            r#"mock_http("hr", "GET /people/7", #{ name: "Ann" }); http("hr").get("/people/7").json.name == "Ann""#,
        ),
        |connector: &str, question: &str, answer: Dynamic| mock_http(connector, question, &answer),
    );
    library.reader(
        Doc::new(
            "mock_http_verify(connector: string, path: string, right: bool)",
            "Whether a login endpoint takes the password, whatever the members are. Trouble is a `mock_failure` of `verify /path`.",
            r#"mock_http_verify("legacy", "/login", true); mock_failure("legacy", "verify /login", "timeout"); true"#,
        ),
        |connector: &str, path: &str, right: bool| mock_http_verify(connector, path, None, right),
    );
    library.reader(
        Doc::new(
            "mock_http_verify(connector: string, path: string, members: map, right: bool)",
            "The same where these members are sent, among others: of a Secret the text that it must be. The last mock that fits \
             counts.",
            r#"mock_http_verify("legacy", "/login", false); mock_http_verify("legacy", "/login", #{ username: "ann", password: "horse" }, true); true"#,
        ),
        |connector: &str, path: &str, members: Dynamic, right: bool| {
            mock_http_verify(connector, path, Some(&members), right)
        },
    );
    library.reader(
        Doc::new(
            "mock_sql(connector: string, statement: string, rows: any)",
            "What a database has: an array of rows, one row, or for `value` the value itself; whatever the parameters are. Line \
             ends and blanks of the statement do not count.",
            r#"mock_sql("legacy", "select name from users where id = ?", [#{ name: "Ann" }]); sql("legacy").row("select name from users where id = ?", [7]).name == "Ann""#,
        ),
        |connector: &str, statement: &str, rows: Dynamic| mock_sql(connector, statement, None, &rows),
    );
    library.reader(
        Doc::new(
            "mock_sql(connector: string, statement: string, parameters: array, rows: any)",
            "The same for these parameters only.",
            r#"mock_sql("legacy", "select name from users where id = ?", [8], ()); sql("legacy").row("select name from users where id = ?", [8]) == ()"#,
        ),
        |connector: &str, statement: &str, parameters: Array, rows: Dynamic| {
            mock_sql(connector, statement, Some(parameters), &rows)
        },
    );
    register_directories(library);
}

/// Directories, what fails, and the small state of scripts.
fn register_directories(library: &mut Library) {
    library.reader(
        Doc::new(
            "mock_ldap(connector: string, question: string, answer: array or bool)",
            "What a directory has: for `search FILTER` (or `search BASE FILTER`) an array of entries, each a map of `dn` and its \
             attributes; for `bind DN` whether the password is right.",
            r#"mock_ldap("corp", "search (uid=ann)", [#{ dn: "uid=ann,dc=corp", mail: "ann@corp.example" }]); ldap("corp").search("(uid=ann)")[0].get("mail") == "ann@corp.example""#,
        ),
        |connector: &str, question: &str, answer: Dynamic| mock_ldap(connector, question, &answer),
    );
    library.reader(
        Doc::new(
            "mock_okta(connector: string, question: string, answer: any)",
            "What an org has, for `user ID`, `group ID`, `user_groups ID`, `app_user APP USER` or `find_users ATTRIBUTE VALUE`; \
             `()` if it has none.",
            r#"mock_okta("org", "user 00u7", #{ id: "00u7", status: "ACTIVE" }); okta("org").user("00u7").status == "ACTIVE""#,
        ),
        |connector: &str, question: &str, answer: Dynamic| {
            let value = given("mock_okta", &answer)?;
            add("mock_okta", mock_of("okta", connector, question, value))
        },
    );
    library.reader(
        Doc::new(
            "mock_failure(connector: string, question: string, kind: string)",
            "That a lookup fails, and how: `timeout`, `unreachable`, `denied`, `busy`, `limited`, `bad_answer`, `too_large`, \
             `rejected` or `forbidden`.",
            r#"mock_failure("hr", "GET /people/7", "timeout"); let kind = ""; try { http("hr").get("/people/7"); } catch (error) { kind = error.kind; } kind == "timeout""#,
        ),
        mock_failure,
    );
    library.reader(
        Doc::new(
            "set_kv(values: map)",
            "Replaces the small state of scripts. Each test begins with none, and keeps what its runs do to it.",
            r#"set_kv(#{ "tries/ann": 9 }); kv.incr("tries/ann", "5m") == 10"#,
        ),
        |values: rhai::Map| set_kv(&values),
    );
}
