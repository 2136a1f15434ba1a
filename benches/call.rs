//! What a call costs: decoding, the script alone, encoding, and all of it through the gateway without sockets.
//!
//! `cargo bench`. The rule is the one of the speed table in `docs/performance.md`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use hookgate_engine::release::build::Secrets;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::{InlineScript, Plan, Release, build};
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_hooks::Mark;
use hookgate_script::context::World;
use hookgate_script::journal::Journal;
use hookgate_script::run::{Attempted, Call, Run, Script, Where};

const CONFIG: &str = r#"
[auth.open]
scheme = "none"

[routes.registration]
path = "/okta/registration"
hook = "okta.registration"
script = "registration.rhai"
auth = "open"
on_failure = { deny = "Try again later." }
"#;

const SCRIPT: &str = r#"
const DENIED = ["spam.example", "mailinator.com", "tempmail.example", "trash.example"];

fn on_registration(request) {
    let domain = request.email.domain;
    if domain in DENIED {
        return [
            deny_field("email", `Please use your company address, not ${domain}`, "INVALID_EMAIL_DOMAIN"),
        ];
    }
    [allow(), set_profile("department", "sales")]
}
"#;

fn release(folder: &Path) -> Release {
    std::fs::create_dir(folder.join("scripts")).unwrap();
    std::fs::write(folder.join("gateway.toml"), CONFIG).unwrap();
    std::fs::write(folder.join("scripts/registration.rhai"), SCRIPT).unwrap();
    let place = Place::of(&folder.join("gateway.toml"));
    match build::check(&place, Secrets::Skip, &Metrics::new()) {
        Ok(release) => release,
        Err(findings) => panic!("{findings:#?}"),
    }
}

fn call(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let release = release(folder.path());
    let route = release.route("/okta/registration").unwrap();
    let Plan::Inline(InlineScript { script, surroundings, .. }) = &route.plan else { panic!("an inline route") };
    let body = Bytes::from_static(route.hook.samples[0].request.as_bytes());
    let decoded = (route.hook.decode)(&body).unwrap();
    let mark = Mark::new("0", release.label(), script.file());
    let call = || Call {
        request: decoded.request.clone(),
        surroundings: Arc::clone(surroundings),
        world: World::Real,
        deadline: Instant::now() + Duration::from_secs(2),
    };
    let returned = script.run(&call()).result.unwrap();

    criterion.bench_function("decode", |bench| bench.iter(|| (route.hook.decode)(black_box(&body)).unwrap()));
    criterion.bench_function("script", |bench| bench.iter(|| run(script, &call()).result.unwrap()));
    criterion.bench_function("encode", |bench| {
        bench.iter(|| (route.hook.encode)(&decoded, returned.clone(), &mark).unwrap());
    });
    criterion.bench_function("decode, script, encode", |bench| {
        bench.iter(|| {
            let decoded = (route.hook.decode)(black_box(&body)).unwrap();
            let call = Call { request: decoded.request.clone(), ..call() };
            let returned = run(script, &call).result.unwrap();
            (route.hook.encode)(&decoded, returned, &mark).unwrap()
        });
    });
}

/// As the gateway does on an async worker.
fn run(script: &Script, call: &Call) -> Run {
    match script.advance(call, Journal::default(), Where::Worker) {
        Attempted::Done(run) => run,
        Attempted::Long(_) | Attempted::Asked(..) => unreachable!("the script is short and asks nothing"),
    }
}

criterion_group!(benches, call);
criterion_main!(benches);
