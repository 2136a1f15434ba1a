//! What a test says of outside systems: the answer to each lookup of the script.

use std::sync::LazyLock;

use rhai::{Array, Dynamic, EvalAltResult};
use serde_json::{Map, Value, json};

use crate::harness::functions::mocks::change;
use crate::harness::session::Fallible;
use hookgate_model::finding::unknown;
use hookgate_model::question::fit;
use hookgate_model::question::fit::Stated;
use hookgate_model::question::{Answer, Kv, Reason, Trouble};
use hookgate_script::context::Mock;
use hookgate_script::library::{Doc, Library};
use hookgate_script::prelude::json::json_from_dynamic;
use hookgate_script::prelude::lookups::kv::stored_key;

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

fn stated(family: Option<&'static str>, connector: &str, words: &str, sent: Option<Vec<Value>>) -> Stated {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    Stated { family, connector: connector.to_owned(), words, sent }
}

fn fresh(stated: Stated, value: Value) -> Mock {
    Mock { stated, answered: Ok(Answer::fresh(value)) }
}

fn mock_http(connector: &str, question: &str, sent: Option<&Dynamic>, answer: &Dynamic) -> Fallible<()> {
    let name = "mock_http";
    if !["GET /", "POST /"].iter().any(|method| question.starts_with(method)) {
        return Err(format!("`{name}`: the question is `GET /path` or `POST /path`, not {question:?}").into());
    }
    let sent = sent.map(|sent| sent_with(name, question, sent)).transpose()?;
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
    add(name, Mock { stated: stated(Some("http"), connector, question, sent), answered: Ok(answer) })
}

/// What goes with a question, as [`Stated::sent`] has it.
fn sent_with(name: &str, question: &str, sent: &Dynamic) -> Fallible<Vec<Value>> {
    let sent = given(name, sent)?;
    if question.starts_with("GET /") {
        fit::stated_pairs(&sent).map_err(|problem| format!("`{name}`: {problem}"))?;
    }
    let is_one = ["GET /", "POST /", "verify"].iter().any(|word| question.starts_with(word));
    Ok(match sent {
        Value::Array(items) if !is_one => items,
        sent => vec![sent],
    })
}

fn mock_http_verify(connector: &str, question: &str, members: Option<&Dynamic>, right: bool) -> Fallible<()> {
    let name = "mock_http_verify";
    let path = question.trim_start_matches("verify ").trim_start_matches("POST ").trim_start_matches("GET ");
    if !path.is_empty() && !path.starts_with('/') {
        return Err(format!("`{name}`: the path begins with `/`, which {path:?} does not").into());
    }
    let members = members.map(|members| given(name, members)).transpose()?.map(|members| vec![members]);
    let words = format!("verify {path}");
    add(name, fresh(stated(Some("http"), connector, &words, members), right.into()))
}

fn mock_sql(connector: &str, statement: &str, parameters: Option<Array>, rows: &Dynamic) -> Fallible<()> {
    let name = "mock_sql";
    let parameters = parameters.map(|given| given.iter().map(json_from_dynamic).collect::<Result<Vec<_>, _>>());
    let parameters = parameters.transpose().map_err(|problem| format!("`{name}`: {problem}"))?;
    add(name, fresh(stated(Some("sql"), connector, statement, parameters), given(name, rows)?))
}

fn mock_ldap(connector: &str, question: &str, sent: Option<&Dynamic>, answer: &Dynamic) -> Fallible<()> {
    let name = "mock_ldap";
    let sent = sent.map(|sent| sent_with(name, question, sent)).transpose()?;
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
    add(name, fresh(stated(Some("ldap"), connector, question, sent), value))
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

fn mock_failure(connector: &str, question: &str, sent: Option<&Dynamic>, kind: &str) -> Fallible<()> {
    let name = "mock_failure";
    let reason = Reason::named(kind).ok_or_else(|| {
        let kinds: Vec<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        format!("`{name}`: {}", unknown("kind", kind, &kinds))
    })?;
    let sent = sent.map(|sent| sent_with(name, question, sent)).transpose()?;
    let trouble = Trouble::new(reason, format!("the test says that this lookup fails: {kind}"));
    add(name, Mock { stated: stated(None, connector, question, sent), answered: Err(trouble) })
}

fn set_kv(values: &rhai::Map) -> Fallible<()> {
    let Value::Object(values) = given("set_kv", &Dynamic::from_map(values.clone()))? else { return Ok(()) };
    change("set_kv", |session| {
        let mut state = hookgate_model::question::state::State::default();
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
             with its query, as `outcome.lookups` shows it; whatever the body of a POST is. The last mock that fits counts. A \
             lookup that no mock fits fails the run, and names itself and the mocks that nearly fit.",
            r#"mock_http("hr", "GET /people/7", #{ name: "Ann" }); http("hr").get("/people/7").json.name == "Ann""#,
        ),
        |connector: &str, question: &str, answer: Dynamic| mock_http(connector, question, None, &answer),
    );
    library.reader(
        Doc::new(
            "mock_http(connector: string, question: string, sent: any, answer: any)",
            "The same where exactly this is sent: of a `GET` the query, as a map like that of `get`; of a `POST` the body.",
            r#"mock_http("hr", "GET /people", #{ email: "ann@mail.example" }, [#{ id: 7 }]); mock_http("hr", "POST /search", #{ name: "Ann" }, [#{ id: 8 }]); http("hr").get("/people", #{ email: "ann@mail.example" }).json[0].id == 7 && http("hr").query("/search", #{ name: "Ann" }).json[0].id == 8"#,
        ),
        |connector: &str, question: &str, sent: Dynamic, answer: Dynamic| {
            mock_http(connector, question, Some(&sent), &answer)
        },
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
    register_databases(library);
    register_directories(library);
}

fn register_databases(library: &mut Library) {
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
        |connector: &str, question: &str, answer: Dynamic| mock_ldap(connector, question, None, &answer),
    );
    library.reader(
        Doc::new(
            "mock_ldap(connector: string, question: string, sent: any, answer: array or bool)",
            "The same where this goes with the question: of `search` the array of attributes, of `bind` the text that the password \
             must be.",
            r#"mock_ldap("corp", "search ou=people (uid=ann)", ["mail"], [#{ dn: "uid=ann,dc=corp", mail: "ann@corp.example" }]); mock_ldap("corp", "bind uid=ann,dc=corp", false); mock_ldap("corp", "bind uid=ann,dc=corp", "horse", true); ldap("corp").search("ou=people", "(uid=ann)", ["mail"]).len() == 1"#,
        ),
        |connector: &str, question: &str, sent: Dynamic, answer: Dynamic| {
            mock_ldap(connector, question, Some(&sent), &answer)
        },
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
            add("mock_okta", fresh(stated(Some("okta"), connector, question, None), value))
        },
    );
    register_failures(library);
    library.reader(
        Doc::new(
            "set_kv(values: map)",
            "Replaces the small state of scripts. Each test begins with none, and keeps what its runs do to it. That a step fails is \
             a `mock_failure` of the connector `kv`.",
            r#"set_kv(#{ "tries/ann": 9 }); kv.incr("tries/ann", "5m") == 10"#,
        ),
        |values: rhai::Map| set_kv(&values),
    );
}

/// What `mock_failure` can say, from the table of reasons.
static FAILURES: LazyLock<String> = LazyLock::new(|| {
    let kinds = Reason::ALL.iter().map(|reason| format!("`{}`", reason.name())).collect::<Vec<_>>().join(", ");
    format!(
        "That a lookup fails, and how: one of {kinds}. The question is as in the other mocks, and `verify /path` for a login. Of \
         the small state of scripts the connector is `kv`, and the question a step and its key: `incr tries/ann`."
    )
});

fn register_failures(library: &mut Library) {
    library.reader(
        Doc::new(
            "mock_failure(connector: string, question: string, kind: string)",
            &FAILURES,
            r#"mock_failure("hr", "GET /people/7", "timeout"); mock_failure("kv", "get tries/ann", "busy"); let kinds = []; try { http("hr").get("/people/7"); } catch (error) { kinds.push(error.kind); } try { kv.get("tries/ann"); } catch (error) { kinds.push(error.kind); } kinds == ["timeout", "busy"]"#,
        ),
        |connector: &str, question: &str, kind: &str| mock_failure(connector, question, None, kind),
    );
    library.reader(
        Doc::new(
            "mock_failure(connector: string, question: string, sent: any, kind: string)",
            "The same where this goes with the question: of a `GET` the query, of a `POST` the body, of a statement the array of its \
             parameters, of a login some of its members, of a bind the password, of a search the array of attributes.",
            r#"mock_failure("legacy", "select name from users where id = ?", [8], "timeout"); mock_sql("legacy", "select name from users where id = ?", [7], [#{ name: "Ann" }]); sql("legacy").row("select name from users where id = ?", [7]).name == "Ann""#,
        ),
        |connector: &str, question: &str, sent: Dynamic, kind: &str| mock_failure(connector, question, Some(&sent), kind),
    );
}
