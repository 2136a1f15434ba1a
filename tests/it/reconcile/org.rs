//! An org of Okta's with a System Log, on this machine.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use http::{HeaderMap, Response, StatusCode};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What the org has and what it was asked.
/// Status, headers and body of an answer.
pub type Canned = (u16, Vec<(&'static str, String)>, String);

#[derive(Default)]
pub struct Inner {
    /// In the order of their time.
    pub events: Vec<Value>,
    /// Events on a page.
    pub page: usize,
    /// What is left of the rate limit.
    pub remaining: Option<i64>,
    /// When the window ends, in seconds since 1970.
    pub reset: i64,
    /// Answers that come before the usual ones.
    pub canned: VecDeque<Canned>,
    /// What was asked of the log: path with query, and authorization.
    pub asked: Vec<(String, String)>,
    /// What is taken as authorization; anything if empty.
    pub good: String,
    /// The public key of the app, and how often it asked for a token.
    pub app: Option<(DecodingKey, Algorithm)>,
    pub tokens: usize,
    /// Pages after which an access token is revoked.
    pub revoked_after: Option<usize>,
}

/// The org, until it is dropped.
pub struct Org {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
    task: tokio::task::JoinHandle<()>,
}

impl Org {
    pub async fn of(events: Vec<Value>, page: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Mutex::new(Inner { events, page, ..Inner::default() }));
        let shared = (url.clone(), inner.clone());
        let router = Router::new().fallback(answer).with_state(shared);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, inner, task }
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn say(&self, status: u16, headers: &[(&'static str, &str)], body: &str) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.inner().canned.push_back((status, headers, body.to_owned()));
    }

    /// The addresses that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.inner().asked.iter().map(|(address, _)| address.clone()).collect()
    }
}

impl Drop for Org {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Shared = (String, Arc<Mutex<Inner>>);

async fn answer(State((url, inner)): State<Shared>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let mut inner = inner.lock().unwrap();
    match parts.uri.path() {
        "/api/v1/logs" => log(&mut inner, &url, &parts.uri.to_string(), &parts.headers),
        "/oauth2/v1/token" => token(&mut inner, &url, &body),
        _ => reply(404, &[], String::new()),
    }
}

fn reply(status: u16, headers: &[(&'static str, String)], body: String) -> Response<Body> {
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.header("content-type", "application/json").body(Body::from(body)).unwrap()
}

fn log(inner: &mut Inner, url: &str, uri: &str, headers: &HeaderMap) -> Response<Body> {
    let proof = headers["authorization"].to_str().unwrap().to_owned();
    inner.asked.push((uri.to_owned(), proof.clone()));
    if let Some((status, headers, body)) = inner.canned.pop_front() {
        return reply(status, &headers, body);
    }
    if inner.revoked_after == Some(inner.asked.len()) {
        inner.good = format!("Bearer token-{}", inner.tokens + 1);
    }
    if !inner.good.is_empty() && inner.good != proof {
        return reply(401, &[], json!({ "errorCode": "E0000011", "errorSummary": "Invalid token" }).to_string());
    }
    let address = url::Url::parse(&format!("{url}{uri}")).unwrap();
    let parameter =
        |name: &str| address.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let (since, until) = (parameter("since").unwrap(), parameter("until").unwrap());
    let after: usize = parameter("after").map_or(0, |after| after.parse().unwrap());
    let within = |event: &&Value| (since.as_str()..until.as_str()).contains(&event["published"].as_str().unwrap());
    let found: Vec<&Value> = inner.events.iter().filter(within).collect();
    let page: Vec<&Value> = found.iter().skip(after).take(inner.page).copied().collect();
    let mut headers = vec![("link", format!("<{url}{uri}>; rel=\"self\""))];
    let end = after + page.len();
    if end < found.len() {
        let mut next = address.clone();
        let kept: Vec<_> = address.query_pairs().into_owned().filter(|(key, _)| key != "after").collect();
        next.query_pairs_mut().clear().extend_pairs(kept).append_pair("after", &end.to_string());
        headers.push(("link", format!("<{next}>; rel=\"next\"")));
    }
    if let Some(remaining) = &mut inner.remaining {
        *remaining -= 1;
        headers.push(("x-rate-limit-limit", "60".to_owned()));
        headers.push(("x-rate-limit-remaining", remaining.to_string()));
        headers.push(("x-rate-limit-reset", inner.reset.to_string()));
    }
    let body = serde_json::to_string(&page).unwrap();
    reply(200, &headers, body)
}

/// Gives a token to whoever signed with the key of the app.
fn token(inner: &mut Inner, url: &str, body: &[u8]) -> Response<Body> {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
    let field =
        |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default();
    let (key, algorithm) = inner.app.as_ref().expect("there is an app");
    let mut rules = Validation::new(*algorithm);
    rules.set_audience(&[format!("{url}/oauth2/v1/token")]);
    rules.set_issuer(&["0oaReader"]);
    let signed = jsonwebtoken::decode::<Value>(field("client_assertion"), key, &rules);
    let good = signed.is_ok_and(|signed| {
        signed.claims["sub"] == "0oaReader"
            && signed.claims["jti"].is_string()
            && signed.header.kid.as_deref() == Some("key-1")
    });
    let asks = field("grant_type") == "client_credentials"
        && field("scope") == "okta.logs.read"
        && field("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    if !(good && asks) {
        return reply(401, &[], json!({ "error": "invalid_client" }).to_string());
    }
    inner.tokens += 1;
    inner.good = format!("Bearer token-{}", inner.tokens);
    let granted =
        json!({ "token_type": "Bearer", "expires_in": 3600, "access_token": format!("token-{}", inner.tokens) });
    reply(200, &[], granted.to_string())
}
