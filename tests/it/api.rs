//! The admin API as programs meet it: who may what, what is found, what is refused and how.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use hookgate::admin;
use hookgate::admin::access::Access;
use hookgate::admin::desk::{Desk, Parts};
use hookgate::admin::health::Samples;
use hookgate::admin::live::DecisionFeed;
use hookgate_engine::history::History;
use hookgate_engine::trial::Bench;
use hookgate_model::secret::Secret;
use hookgate_script::lanes::Lanes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::watch::{Sender, channel};
use tower::ServiceExt;

use crate::harness::{SECRET, TestGateway};
use crate::process::sample;

mod access;
mod found;
mod orders;
mod refused;
mod releases;
mod schema;
mod trial;
mod watching;

/// A bundle with a route for calls, which captures them, and one for events, whose one rule fails for events called `bad`.
const CONFIG: &str = r#"
[auth.test]
scheme = "header"
secrets = [{ file = "secret" }]
[connectors.out]
kind = "file"
path = "out.jsonl"
[tables.partners]
file = "partners.txt"
kind = "domains"
[routes.signup]
path = "/signup"
hook = "okta.registration"
script = "signup.rhai"
auth = "test"
on_failure = { deny = "Later." }
capture = true
params = { floor = 3 }
[routes.events]
path = "/events"
hook = "okta.event"
auth = "test"
[routes.events.rules.watch]
events = ["*"]
script = "watch.rhai"
retry = { attempts = 1 }
"#;

const SIGNUP: &str = r#"fn on_registration(request) {
    if table("partners").has(request.email) { reason("partner"); return allow() }
    deny(`floor ${params.floor}`)
}
"#;

const WATCH: &str =
    r#"fn on_event(event) { if event.id.starts_with("bad") { throw "not this one" } notify("out", event.id) }"#;

pub const OPERATOR: (&str, &str) = ("authorization", "Bearer operator-token");
pub const READER: (&str, &str) = ("authorization", "Bearer reader-token");
pub const JSON: (&str, &str) = ("content-type", "application/json");

/// A gateway and its admin listener, without sockets.
pub struct Office {
    pub gateway: TestGateway,
    pub router: Router,
    /// Says that the gateway stops.
    pub stop: Sender<bool>,
}

/// Status, headers and body of an answer.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Office {
    /// With a token of operators and one of readers.
    pub fn new() -> Self {
        let token = |text: &str| Some(Secret::new(text.as_bytes()));
        Self::with(Access::tokens(token("operator-token"), token("reader-token")))
    }

    pub fn with(access: Access) -> Self {
        let files =
            [("scripts/signup.rhai", SIGNUP), ("scripts/watch.rhai", WATCH), ("partners.txt", "corp.example\n")];
        let gateway = TestGateway::bundle(CONFIG, &files);
        let (stop, stopping) = channel(false);
        let (delivery, metrics) = (gateway.delivery.clone(), gateway.metrics.clone());
        let records = delivery.records().clone();
        let desk = Desk::new(Parts {
            live: gateway.live.clone(),
            history: History::start(delivery.store().clone(), gateway.live.clone(), gateway.place.clone()),
            feed: DecisionFeed::new(records.clone()),
            health: Samples::start(metrics.clone(), delivery.clone()),
            bench: Bench::new(Lanes::start().unwrap(), delivery.lookups().clone()),
            delivery,
            metrics,
            records,
            place: gateway.place.clone(),
            stopping,
            started: Instant::now(),
        });
        Self { gateway, router: admin::router(Arc::new(desk), access), stop }
    }

    pub async fn send(&self, head: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let (method, path) = head.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// A GET by an operator, below `/api/v1`, that succeeds.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.send(&format!("GET /api/v1{path}"), &[OPERATOR], "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// A POST of JSON by an operator, below `/api/v1`.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(&format!("POST /api/v1{path}"), &[OPERATOR, JSON], body.to_string()).await
    }

    /// A call to the gateway itself by somebody with this address, recorded before this returns.
    pub async fn sign_up(&self, email: &str) -> Value {
        let mut call: Value = serde_json::from_str(sample("okta.registration")).unwrap();
        call["eventId"] = json!(uuid::Uuid::new_v4().to_string());
        call["data"]["userProfile"] = json!({ "email": email, "login": email });
        let headers = [("authorization", SECRET)];
        let (status, reply) = self.gateway.call(http::Method::POST, "/signup", &headers, call.to_string()).await;
        assert_eq!(status, 200);
        self.gateway.delivery.records().flush().await;
        reply
    }

    /// Events that the gateway keeps and works on.
    pub async fn deliver(&self, ids: &[&str]) {
        let event = |id: &&str| {
            json!({ "uuid": id, "published": "2026-03-02T08:30:00.125Z", "eventType": "user.session.start",
                    "actor": { "id": "00u1", "type": "User", "alternateId": "ann@corp.example" } })
        };
        let events: Vec<Value> = ids.iter().map(event).collect();
        let delivery = json!({ "eventType": "com.okta.event_hook", "eventId": uuid::Uuid::new_v4().to_string(), "source": "https://org.example/hook",
                               "data": { "events": events } });
        let headers = [("authorization", SECRET)];
        let (status, _) = self.gateway.call(http::Method::POST, "/events", &headers, delivery.to_string()).await;
        assert_eq!(status, 204);
        self.gateway.work().await;
    }
}
