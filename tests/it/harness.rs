//! A gateway without sockets: a configuration and scripts in, replies out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookgate_engine::delivery::{Delivery, work};
use hookgate_engine::gateway::Gateway;
use hookgate_engine::records::{Recorder, Settings};
use hookgate_engine::release::build;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::live::{Live, Reloaded};
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_hooks::Hook;
use hookgate_hooks::proof::RequiredProof;
use hookgate_script::lanes::Lanes;
use hookgate_store::clock::Clock;
use hookgate_store::sqlite::{Options, Sqlite};
use hookgate_store::{Dossier, EventRef, Store};
use http::{Method, Request, Response};
use serde_json::Value;

use crate::process::sample;

/// The secret that [`TestGateway::of`] configures, and the header that carries it.
pub const SECRET: &str = "Basic dGVzdDp0ZXN0";

/// A route that answers and one that keeps events, both behind [`SECRET`].
pub const TWO_ROUTES: &str = r#"
[auth.test]
scheme = "header"
secrets = [{ file = "secret" }]

[routes.signup]
path = "/signup"
hook = "okta.registration"
script = "signup.rhai"
auth = "test"
on_failure = "allow"

[routes.events]
path = "/events"
hook = "okta.event"
script = "events.rhai"
auth = "test"
"#;

/// The files that the sections of [`auths`] name, and what is in them. The key is that of RFC 7517, appendix A.1.
pub const SECRET_FILES: [(&str, &str); 3] = [
    ("secret", SECRET),
    ("signature", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
    (
        "issuer.json",
        r#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "use": "sig", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#,
    ),
];

/// The configuration of one route for any hook: at `/hook`, with the script `hook.rhai`. The route comes last, so that more of
/// its lines can follow.
pub fn route(hook: &Hook) -> String {
    format!("{}{}", auths([hook]), route_of(hook, "hook", "hook.rhai"))
}

/// `[routes.NAME]` at `/NAME` for any hook: behind a section of [`auths`], with the first form that its `on_failure` has.
pub fn route_of(hook: &Hook, name: &str, script: &str) -> String {
    let on_failure = match hook.on_failure().first() {
        Some(form) if form.takes_text => format!("on_failure = {{ {} = \"Later.\" }}\n", form.word),
        Some(form) => format!("on_failure = \"{}\"\n", form.word),
        None => String::new(),
    };
    let (hook, auth) = (hook.name, auth_of(hook.proof).0);
    format!(
        "\n[routes.{name}]\npath = \"/{name}\"\nhook = \"{hook}\"\nscript = \"{script}\"\nauth = \"{auth}\"\n{on_failure}"
    )
}

/// The sections `[auth.NAME]` that the routes of these hooks name, each once: those of [`SECRET`] and of whatever else a hook
/// wants proved.
pub fn auths<'h>(hooks: impl IntoIterator<Item = &'h Hook>) -> String {
    let sections: BTreeMap<_, _> = hooks.into_iter().map(|hook| auth_of(hook.proof)).collect();
    sections.into_iter().map(|(name, lines)| format!("[auth.{name}]\n{lines}")).collect()
}

/// The name of a section that proves as much, and its lines.
fn auth_of(proof: RequiredProof) -> (&'static str, &'static str) {
    match proof {
        RequiredProof::Any => ("test", "scheme = \"header\"\nsecrets = [{ file = \"secret\", create = true }]\n"),
        RequiredProof::Token => (
            "token",
            "scheme = \"jwt\"\nissuer = \"https://id.example\"\naudience = \"hookgate\"\njwks_file = \"issuer.json\"\n",
        ),
        RequiredProof::Signature => {
            ("signature", "scheme = \"standard_webhooks\"\nsecrets = [{ file = \"signature\" }]\n")
        }
    }
}

/// A sample call of a hook under this id.
pub fn with_id(hook: &str, id: impl std::fmt::Display) -> String {
    let mut call: Value = serde_json::from_str(sample(hook)).expect("samples are JSON");
    call["eventId"] = id.to_string().into();
    call.to_string()
}

/// The answer to a whole call, as the public listener gets it: its head is judged before its body is handed over.
pub async fn answered(gateway: &Gateway, call: Request<Bytes>, received: Instant) -> Response<Bytes> {
    let (head, body) = call.into_parts();
    match gateway.admit(head, received).await {
        Ok(call) => gateway.answer(call, body).await,
        Err(refused) => refused,
    }
}

pub struct TestGateway {
    pub gateway: Gateway,
    pub live: Arc<Live>,
    pub place: Place,
    pub metrics: Arc<Metrics>,
    pub delivery: Arc<Delivery>,
    /// That of the store.
    pub clock: Arc<Clock>,
    _folder: tempfile::TempDir,
}

impl TestGateway {
    /// A gateway of one route: `hook` at `/hook`, with this script and this `on_failure` (as TOML).
    pub fn of(hook: &str, on_failure: &str, script: &str) -> Self {
        Self::with(hook, on_failure, script, "")
    }

    /// The same with more lines for the route.
    pub fn with(hook: &str, on_failure: &str, script: &str, more: &str) -> Self {
        let on_failure = if on_failure.is_empty() { String::new() } else { format!("on_failure = {on_failure}") };
        let config = format!(
            "[auth.test]\nscheme = \"header\"\nsecrets = [{{ file = \"secret\" }}]\n\n\
             [routes.hook]\npath = \"/hook\"\nhook = \"{hook}\"\nscript = \"hook.rhai\"\nauth = \"test\"\n{on_failure}\n{more}\n"
        );
        Self::bundle(&config, &[("scripts/hook.rhai", script)])
    }

    /// A gateway of any configuration, whose files are given by path.
    pub fn bundle(config: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        write(folder.path(), "gateway.toml", config);
        for (path, secret) in SECRET_FILES {
            write(folder.path(), path, &format!("{secret}\n"));
        }
        std::fs::create_dir_all(folder.path().join("scripts")).expect("a folder can be made");
        for (path, text) in files {
            write(folder.path(), path, text);
        }
        let place = Place::of(&folder.path().join("gateway.toml"));
        let metrics = Metrics::new();
        let live = Arc::new(Live::new(metrics.clone()));
        let reloaded = live.reload(&place);
        assert_eq!(reloaded, Reloaded::Activated, "{:#?}", live.status().error);
        let clock = Arc::new(Clock::start());
        let (gateway, delivery) = started_at(&place, &live, &metrics, &clock);
        Self { gateway, live, place, metrics, delivery, clock, _folder: folder }
    }

    /// Works on jobs until nothing is left that could be done now or soon.
    pub async fn work(&self) {
        let (stop, stopping) = tokio::sync::watch::channel(false);
        let work = tokio::spawn(work::run(self.delivery.clone(), stopping, Duration::from_secs(5)));
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            self.delivery.look().await;
            let health = self.delivery.health();
            if health.waiting + health.running == 0 {
                break;
            }
            assert!(Instant::now() < deadline, "jobs still wait: {health:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.send(true).expect("the work listens");
        work.await.expect("the work does not panic");
    }

    /// The same files and the same store in what would be another process.
    pub async fn restarted(self) -> Self {
        let Self { gateway, live, place, delivery, _folder, .. } = self;
        drop(gateway);
        let deadline = Instant::now() + Duration::from_secs(30);
        while Arc::strong_count(&delivery) > 1 {
            assert!(Instant::now() < deadline, "somebody still works");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop((delivery, live));
        let metrics = Metrics::new();
        let live = Arc::new(Live::new(metrics.clone()));
        assert_eq!(live.reload(&place), Reloaded::Activated, "{:#?}", live.status().error);
        let clock = Arc::new(Clock::start());
        let (gateway, delivery) = started_at(&place, &live, &metrics, &clock);
        Self { gateway, live, place, metrics, delivery, clock, _folder }
    }

    /// What is kept of an event.
    pub async fn event(&self, key: &str) -> Dossier {
        let found = self.delivery.store().show(EventRef::Key(key.to_owned())).await;
        found.expect("the store works").expect("the event is kept")
    }

    /// Writes a file of the bundle, without reloading.
    pub fn write(&self, path: &str, text: &str) {
        write(&self.place.root, path, text);
    }

    pub fn reload(&self) -> Reloaded {
        self.live.reload(&self.place)
    }

    /// An authenticated POST to `/hook`.
    pub async fn post(&self, body: impl Into<Bytes>) -> (u16, Value) {
        self.call(Method::POST, "/hook", &[("authorization", SECRET)], body).await
    }

    /// Any call: status, and body as JSON (`null` if there is none).
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (u16, Value) {
        let response = self.respond(method, path, headers, body).await;
        (response.status().as_u16(), json(response.body()))
    }

    pub async fn respond(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Bytes> {
        let mut call = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        let call = call.body(body.into()).expect("a proper request");
        answered(&self.gateway, call, Instant::now()).await
    }
}

/// A gateway for what is live, with a store in the bundle's folder.
pub fn started(place: &Place, live: &Arc<Live>, metrics: &Arc<Metrics>) -> (Gateway, Arc<Delivery>) {
    started_at(place, live, metrics, &Arc::new(Clock::start()))
}

fn started_at(place: &Place, live: &Arc<Live>, metrics: &Arc<Metrics>, clock: &Arc<Clock>) -> (Gateway, Arc<Delivery>) {
    let lanes = Lanes::start().expect("threads can be started");
    let options = Options { clock: clock.clone(), ..Options::default() };
    let store = Arc::new(Sqlite::open(&place.root.join("data/hookgate.db"), options).expect("a store can be made"));
    let records = recorder(store.clone(), metrics, place);
    let delivery = Delivery::new(store, live.clone(), lanes.clone(), metrics.clone(), records);
    (Gateway::new(live.clone(), lanes, delivery.clone(), metrics.clone()), delivery)
}

/// A recorder with the settings of a bundle.
pub fn recorder(store: Arc<dyn Store>, metrics: &Arc<Metrics>, place: &Place) -> Arc<Recorder> {
    let reading = build::read(place).expect("the bundle can be read");
    let store_of = &reading.document.config.store;
    let settings = Settings { per_second: store_of.decisions_per_second, hash_subjects: store_of.hash_subjects };
    Recorder::start(store, metrics.clone(), settings).expect("a thread can be started")
}

/// The section of a connector that could send codes.
pub fn sender(name: &str) -> String {
    format!(
        "\n[connectors.{name}]\nkind = \"sms_template\"\nbase_url = \"https://sms.example\"\n\
         form = {{ to = \"{{to}}\", text = \"{{text}}\" }}\n"
    )
}

/// Says that a test has not run, where nothing hides it: the test runner swallows what `println` writes. Where everything
/// must run, it fails instead.
pub fn skipped(why: &str) {
    use std::io::Write;
    let required = ["CI", "HOOKGATE_REQUIRE_SERVICES"].iter().all(|name| std::env::var_os(name).is_some());
    assert!(!required, "not skipped here: {why}");
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// The body as JSON.
pub fn json(body: &Bytes) -> Value {
    if body.is_empty() { Value::Null } else { serde_json::from_slice(body).expect("replies are JSON") }
}

/// A reply without what differs from call to call.
pub fn without_debug(mut reply: Value) -> Value {
    if let Some(reply) = reply.as_object_mut() {
        reply.shift_remove("debugContext");
    }
    reply
}

pub fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
    std::fs::write(path, text).expect("a file can be written");
}

/// A section is good for its proof by its scheme alone, so a hook that takes any stands for those that want more.
/// Keys of an issuer are read again by a task.
#[tokio::test]
async fn every_proof_has_a_section_that_loads() {
    let hook = hookgate_hooks::HOOKS.iter().find(|hook| hook.proof == RequiredProof::Any && !hook.is_for_events());
    let hook = hook.expect("a hook that takes any proof");
    for proof in [RequiredProof::Any, RequiredProof::Token, RequiredProof::Signature] {
        let (name, lines) = auth_of(proof);
        let route = route_of(hook, "hook", "hook.rhai").replace("auth = \"test\"", &format!("auth = \"{name}\""));
        let script = format!("fn {}(_request) {{ }}", hook.entry);
        TestGateway::bundle(&format!("[auth.{name}]\n{lines}{route}"), &[("scripts/hook.rhai", &script)]);
    }
}
