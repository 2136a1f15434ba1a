//! The pages of connectors: their examples are sections that a release takes.

use std::fs;

use hookgate_connectors::KINDS;
use hookgate_engine::release::build;
use hookgate_engine::release::build::Secrets;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::telemetry::metrics::Metrics;

use crate::docs::blocks;

#[test]
fn every_example_of_a_connector_is_loaded() {
    for kind in KINDS {
        let examples = blocks(kind.guide, "toml");
        assert!(!examples.is_empty(), "the page of `{}` has no example", kind.name);
        for example in examples {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("scripts")).unwrap();
            fs::write(folder.path().join("scripts/hook.rhai"), "fn on_registration(_request) { allow() }\n").unwrap();
            let route = "[auth.test]\nscheme = \"none\"\n[routes.hook]\npath = \"/hook\"\nhook = \"okta.registration\"\n\
                         script = \"hook.rhai\"\nauth = \"test\"\non_failure = \"allow\"\n";
            fs::write(folder.path().join("gateway.toml"), format!("{example}\n{route}")).unwrap();
            let place = Place::of(&folder.path().join("gateway.toml"));
            let release = build::check(&place, Secrets::Skip, &Metrics::new());
            let release = release.unwrap_or_else(|findings| panic!("{}: {findings:#?}\n{example}", kind.name));
            assert!(release.connectors.iter().all(|connected| connected.connector.kind() == kind.name));
            let unused = release.warnings.iter().filter(|warning| warning.code == "config/unused-connector").count();
            assert_eq!(unused, release.connectors.iter().count(), "no script names them");
        }
    }
}
