//! `http("hr").get("/people/7")`: what an API says.

use std::sync::Arc;

use rhai::{Dynamic, ImmutableString, Map, NativeCallContext};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::budget;
use crate::library::{Doc, Library};
use crate::prelude::lookups::{Most, ask, handle, thrown};
use crate::prelude::secret::Hidden;
use crate::prelude::{Fallible, json, printed};
use hookgate_model::question::verify::Credentials;
use hookgate_model::question::{Answer, Ask, Reason, Trouble};
use hookgate_model::secret::Secret;

/// Levels of maps in what `verify` sends.
const MAX_LEVELS: usize = 8;

/// A connector that is asked over HTTP.
#[derive(Clone, Debug)]
struct Http(ImmutableString);

/// What came back.
#[derive(Clone, Debug)]
struct HttpAnswer {
    connector: ImmutableString,
    most: Most,
    answer: Arc<Answer>,
}

impl Http {
    fn get(&self, context: &NativeCallContext, path: &str, query: &Map) -> Fallible<HttpAnswer> {
        let path = with_query(path, query).map_err(|problem| format!("`get`: {problem}"))?;
        self.ask(context, "get", Ask::Http { path, body: None })
    }

    fn query(&self, context: &NativeCallContext, path: &str, body: &Dynamic) -> Fallible<HttpAnswer> {
        let body = json::json_from_dynamic(body).map_err(|problem| format!("`query`: {problem}"))?;
        self.ask(context, "query", Ask::Http { path: path.to_owned(), body: Some(body) })
    }

    fn verify(&self, path: &str, members: &Map) -> Fallible<bool> {
        let mut asked = Credentials { path: path.to_owned(), members: Value::Null, secrets: Vec::new() };
        asked.members = parted(members, "", &mut asked.secrets).map_err(|problem| format!("`verify`: {problem}"))?;
        if asked.secrets.is_empty() {
            return Err("`verify`: there is no Secret among the members; a question without one is a `query`".into());
        }
        let answer = ask("verify", &self.0, Ask::Verify(asked))?;
        Ok(answer.value.as_bool().unwrap_or(false))
    }

    fn ask(&self, context: &NativeCallContext, name: &str, question: Ask) -> Fallible<HttpAnswer> {
        let answer = ask(name, &self.0, question)?;
        Ok(HttpAnswer { connector: self.0.clone(), most: Most::of(context), answer: Arc::new(answer) })
    }
}

impl HttpAnswer {
    fn status(&self) -> i64 {
        self.answer.value["status"].as_i64().unwrap_or(0)
    }

    fn text(&self) -> &str {
        self.answer.value["text"].as_str().unwrap_or_default()
    }

    fn json(&self) -> Fallible<Dynamic> {
        if self.text().trim().is_empty() {
            return Ok(Dynamic::UNIT);
        }
        budget::charge(4 * self.text().len() as u64)?;
        let value = json::dynamic_from_text(self.text().as_bytes())?.map(Dynamic::into_read_only).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            let message = format!("it answered {} with something that is no JSON ({place})", self.status());
            thrown(&self.connector, &Trouble::new(Reason::BadAnswer, message))
        })?;
        self.most.checked(&self.connector, value)
    }

    fn whole_text(&self) -> Fallible<Dynamic> {
        self.most.checked(&self.connector, self.text().into())
    }
}

/// The members as data, with `null` where a secret belongs; `secrets` gets each with its JSON pointer.
fn parted(members: &Map, above: &str, secrets: &mut Vec<(String, Secret)>) -> Result<Value, String> {
    if above.matches('/').count() >= MAX_LEVELS {
        return Err(format!("members have {MAX_LEVELS} levels at most"));
    }
    let mut parts = serde_json::Map::new();
    for (name, value) in members {
        let pointer = format!("{above}/{}", name.replace('~', "~0").replace('/', "~1"));
        let part = if let Some(secret) = value.read_lock::<Hidden>() {
            secrets.push((pointer, Secret::new(secret.reveal().as_bytes())));
            Value::Null
        } else if let Ok(inner) = value.as_map_ref() {
            parted(&inner, &pointer, secrets)?
        } else {
            json::json_from_dynamic(value).map_err(|problem| format!("`{name}`: {problem}"))?
        };
        parts.insert(name.to_string(), part);
    }
    Ok(Value::Object(parts))
}

/// The path with what is asked for behind its `?`: texts, numbers and truth values; several of an array; none of `()`.
fn with_query(path: &str, query: &Map) -> Result<String, String> {
    let mut pairs = Serializer::new(String::new());
    for (name, value) in query {
        match json::json_from_dynamic(value)? {
            Value::Null => {}
            Value::Array(items) => {
                for item in &items {
                    pairs.append_pair(name, &plain(name, item)?);
                }
            }
            value => drop(pairs.append_pair(name, &plain(name, &value)?)),
        }
    }
    let query = pairs.finish();
    match (query.is_empty(), path.contains('?')) {
        (true, _) => Ok(path.to_owned()),
        (false, true) => Ok(format!("{path}&{query}")),
        (false, false) => Ok(format!("{path}?{query}")),
    }
}

fn plain(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(format!("`{name}` of the query is no text, number or truth value")),
    }
}

pub(super) fn register(library: &mut Library) {
    let about = "A connector of kind `http`, to be asked.";
    let doc = Doc::new(
        "http(connector: string) -> Http",
        "A connector to be asked over HTTP.",
        r#"http("hr").get("/people/7").ok"#,
    );
    handle(library, ("Http", about), doc, Http, |http| http.0.clone());
    library.reader(
        Doc::new(
            "Http.get(path: string) -> HttpAnswer",
            "What is there: a GET below the connector's `base_url`. Every status is an answer, but for those that mean that \
             it did not answer us: 401, 403 and 407 (`denied`), 429 (`limited`), 502, 503 and 504 (`unreachable`), and \
             redirects (`rejected`). Use `url_encode` for parts of the path.",
            r#"http("hr").get("/people/7").json.name == "Ann""#,
        ),
        |context: NativeCallContext, http: &mut Http, path: &str| http.get(&context, path, &Map::new()),
    );
    library.reader(
        Doc::new(
            "Http.get(path: string, query: map) -> HttpAnswer",
            "The same with `?name=value` behind the path, encoded; several of one name for an array, none for `()`.",
            r#"http("hr").get("/people", #{ email: "ann@example.com" }).json.len() == 1"#,
        ),
        |context: NativeCallContext, http: &mut Http, path: &str, query: Map| http.get(&context, path, &query),
    );
    library.reader(
        Doc::new(
            "Http.query(path: string, body: any) -> HttpAnswer",
            "For an API that is asked by POST: the body goes out as JSON. It must be a question; what changes something is \
             a command (`post`), because a lookup may be asked twice.",
            r#"http("hr").query("/search", #{ name: "Ann" }).status == 200"#,
        ),
        |context: NativeCallContext, http: &mut Http, path: &str, body: Dynamic| http.query(&context, path, &body),
    );
    library.reader(
        Doc::new(
            "Http.verify(path: string, members: map) -> bool",
            "Whether a system takes a password, as it says itself: its login endpoint is asked with these members, of which at least \
             one is a Secret (`username` and `password`, or what it calls them). They go out as JSON; by `verify` of the \
             connector as a form, by basic authentication, or as a password grant of OAuth. A Secret is put in on the wire and \
             nowhere else. `true` is yes and `false` is no; trouble is an error to catch, as with every lookup. No answer is \
             kept. An empty Secret is never right and is not sent.",
            r#"http("hr").verify("/login", #{ username: "ann", password: example_secret })"#,
        ),
        |http: &mut Http, path: &str, members: Map| http.verify(path, &members),
    );
    library.value::<HttpAnswer>("HttpAnswer", "What an API answered.");
    library.property(
        Doc::new("HttpAnswer.status: int", "The HTTP status.", r#"http("hr").get("/people/8").status == 404"#),
        |answer: &mut HttpAnswer| answer.status(),
    );
    library.property(
        Doc::new("HttpAnswer.ok: bool", "Whether the status is 200 to 299.", r#"!http("hr").get("/people/8").ok"#),
        |answer: &mut HttpAnswer| (200..300).contains(&answer.status()),
    );
    library.fallible_property(
        Doc::new(
            "HttpAnswer.json: any",
            "The body, read as JSON; `()` if there is none. What is no JSON is an error whose `kind` is `bad_answer`.",
            r#"http("hr").get("/people/7").json.groups[0] == "payroll""#,
        ),
        |answer: &mut HttpAnswer| answer.json(),
    );
    library.fallible_property(
        Doc::new(
            "HttpAnswer.text: string",
            "The body as text.",
            r#"http("hr").get("/people/8").text == "no such person""#,
        ),
        |answer: &mut HttpAnswer| answer.whole_text(),
    );
    library.property(
        Doc::new(
            "HttpAnswer.stale: bool",
            "Whether this is an earlier answer, because the API gave no new one in time: only where the connector has a `cache` \
             that allows it.",
            r#"!http("hr").get("/people/7").stale"#,
        ),
        |answer: &mut HttpAnswer| answer.answer.stale,
    );
    printed::<HttpAnswer>(library, |answer| format!("{} {}", answer.status(), answer.text()).into());
}
