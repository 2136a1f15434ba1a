//! The bundle that the repository is: it checks clean, and every route answers the calls of its hook with a script of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use hookgate_engine::release::Release;
use hookgate_engine::release::build::{Secrets, check};
use hookgate_engine::release::bundle::Place;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_hooks::{HOOKS, Hook};
use http::Method;

use crate::cases;
use crate::harness::{SECRET, TestGateway};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn release() -> Release {
    let place = Place::of(&Path::new(ROOT).join("gateway.toml"));
    check(&place, Secrets::Check, &Metrics::new()).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

#[test]
fn the_bundle_has_no_error_and_no_warning() {
    let release = release();
    assert!(release.warnings.is_empty(), "{:#?}", release.warnings);
}

/// The provider in the name of a hook.
fn provider(hook: &Hook) -> &'static str {
    hook.name.split_once('.').expect("a name is `provider.kind`").0
}

/// The hooks of the providers that the bundle has routes for.
fn hooks(release: &Release) -> Vec<&'static Hook> {
    let providers: BTreeSet<&str> = release.routes.iter().map(|route| provider(route.hook)).collect();
    assert!(!providers.is_empty(), "the bundle has no route");
    HOOKS.iter().filter(|hook| providers.contains(provider(hook))).collect()
}

#[test]
fn every_hook_of_its_providers_has_a_route_and_every_script_is_used() {
    let release = release();
    let routed: BTreeSet<&str> = release.routes.iter().map(|route| route.hook.name).collect();
    assert_eq!(routed, hooks(&release).into_iter().map(|hook| hook.name).collect());

    let mut bound = BTreeSet::new();
    for route in release.config.routes.values() {
        bound.extend(route.script.clone());
        bound.extend(route.rules.values().map(|rule| rule.script.clone()));
    }
    let folder = Path::new(ROOT).join("scripts");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let scripts: BTreeSet<String> =
        names.filter(|name| name.ends_with(".rhai") && !name.ends_with("_test.rhai")).collect();
    assert_eq!(bound, scripts);
}

#[tokio::test]
async fn every_sample_call_gets_an_answer_of_its_script() {
    let config = fs::read_to_string(Path::new(ROOT).join("gateway.toml")).unwrap();
    let config = config.replace("{ file = \"secrets/okta\", create = true }", "{ file = \"secret\" }");
    let files = cases::files_of_bundle();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    // Events are refused while the gateway cannot keep them; their rules run in `cases`.
    for hook in hooks(&release()).into_iter().filter(|hook| !hook.is_for_events()) {
        let gateway = TestGateway::bundle(&config, &files);
        let release = gateway.live.current().unwrap();
        let route = release.routes.iter().find(|route| route.hook.name == hook.name).unwrap();
        for sample in hook.samples {
            // Samples share calls, and a repeated call would get the first answer again.
            let mut call: serde_json::Value = serde_json::from_str(sample.request).unwrap();
            call["eventId"] = sample.name.into();
            let headers = [("authorization", SECRET)];
            let (status, reply) = gateway.call(Method::POST, &route.path, &headers, call.to_string()).await;
            assert!(matches!(status, 200 | 204), "{} {}: {status} {reply}", hook.name, sample.name);
            let exposition = gateway.metrics.encode();
            let fallen = exposition.lines().find(|line| line.starts_with("hookgate_fallback_total"));
            assert_eq!(fallen, None, "{} {}: the script failed", hook.name, sample.name);
        }
    }
}
