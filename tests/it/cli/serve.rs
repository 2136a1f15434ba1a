//! `serve`, with `simulate` as its caller.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{Bundle, Ran, free_port};
use crate::process::get;

/// A gateway in a process of its own; it is killed at the end whatever happens.
struct Gateway {
    bundle: Bundle,
    child: Child,
    admin: u16,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    /// Serves what `change` made of a first bundle, and waits until it is ready.
    fn start(change: impl FnOnce(&Bundle)) -> Self {
        let bundle = Bundle::new();
        change(&bundle);
        let admin = ports(&bundle);
        let child = bundle.command(&["serve"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut gateway = Self { bundle, child, admin };
        gateway.wait_until_ready();
        gateway
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while status_of(self.admin, "/readyz") != Some(200) {
            assert!(Instant::now() < deadline, "the gateway does not become ready");
            assert!(self.child.try_wait().unwrap().is_none(), "the gateway ended");
            std::thread::yield_now();
        }
    }

    fn simulate(&self, args: &[&str]) -> Ran {
        self.bundle.run(&[&["simulate"], args].concat())
    }
}

/// Gives the bundle free ports; the admin listener's is returned.
pub(super) fn ports(bundle: &Bundle) -> u16 {
    let admin = free_port();
    bundle.replace("gateway.toml", "127.0.0.1:8081", &format!("127.0.0.1:{admin}"));
    bundle.replace("gateway.toml", "127.0.0.1:8080", &format!("127.0.0.1:{}", free_port()));
    admin
}

pub(super) fn status_of(port: u16, path: &str) -> Option<u16> {
    get(port, path)?.split(' ').nth(1)?.parse().ok()
}

#[test]
fn okta_is_answered_with_the_secret_that_was_made() {
    let gateway = Gateway::start(|_| {});
    let ran = gateway.simulate(&["okta.registration", "--set", "data.userProfile.email=x@mailinator.com"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("data.userProfile.email") && ran.out.contains("denies"), "{}", ran.out);
}

#[test]
fn what_was_decided_is_explained_as_soon_as_it_is_answered() {
    let gateway = Gateway::start(|_| {});
    for _ in 0..3 {
        let told = gateway.simulate(&["okta.registration", "--json"]).json();
        let decision = told["calls"][0]["reply"]["debugContext"]["decision"].as_str().unwrap().to_owned();
        let ran = gateway.bundle.run(&["explain", &decision]);
        assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains(&decision), "{}", ran.out);
    }
}

#[test]
fn the_same_call_gets_the_same_answer() {
    let gateway = Gateway::start(|_| {});
    let ran = gateway.simulate(&["okta.registration", "--dup", "--json"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    let told = ran.json();
    assert_eq!(told["same_answer"], true);
    assert_eq!(told["calls"][0]["reply"], told["calls"][1]["reply"]);
}

#[test]
fn slow_bodies_and_previews_are_answered() {
    let gateway = Gateway::start(|_| {});
    for switch in ["--slow", "--preview"] {
        let ran = gateway.simulate(&["okta.registration", switch]);
        assert_eq!(ran.status, 0, "{switch}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn a_wrong_secret_is_refused_with_a_hint() {
    let gateway = Gateway::start(|_| {});
    let ran = gateway.simulate(&["okta.registration", "--header", "authorization: wrong"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("401") && ran.out.contains("did not accept this secret"), "{}", ran.out);
}

#[test]
fn event_hooks_are_verified_and_events_are_kept() {
    let gateway = Gateway::start(|bundle| {
        let events = "[routes.events]\npath = \"/okta/events\"\nhook = \"okta.event\"\nauth = \"okta\"\nscript = \"events.rhai\"\n";
        bundle.write("gateway.toml", &format!("{}\n{events}", bundle.read("gateway.toml")));
        bundle.write("scripts/events.rhai", "fn on_event(event) { log(event.type); }\n");
    });
    let ran = gateway.simulate(&["okta.event", "--verify"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    let ran = gateway.simulate(&["okta.event", "user.session.start", "--retry"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("204") && ran.out.contains("Okta is done with these events"), "{}", ran.out);
}

#[test]
fn the_admin_listener_shows_release_and_routes() {
    let gateway = Gateway::start(|_| {});
    let text = get(gateway.admin, "/api/v1/status").unwrap();
    let status: serde_json::Value = serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(status["release"]["state"], "current");
    assert_eq!(status["routes"][0]["name"], "signup");
    assert_eq!(status["routes"][0]["script"], "registration.rhai");
    assert_eq!(status_of(gateway.admin, "/metrics"), Some(200));
}

#[test]
fn sigterm_ends_it_with_status_0() {
    let mut gateway = Gateway::start(|_| {});
    let id = gateway.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(gateway.child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_address_in_use_ends_the_start_with_status_2() {
    let bundle = Bundle::new();
    ports(&bundle);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let old = bundle.read("gateway.toml");
    let listen = old.lines().find(|line| line.starts_with("listen")).unwrap();
    bundle.replace("gateway.toml", listen, &format!("listen = \"127.0.0.1:{port}\""));
    let ran = bundle.run(&["serve"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("`server.listen`") && ran.err.contains("is in use"), "{}", ran.err);
}

#[test]
fn a_broken_bundle_does_not_start() {
    let bundle = Bundle::new();
    bundle.replace("scripts/registration.rhai", "request.email;", "request.emial;");
    for log in ["human", "json"] {
        let ran = bundle.run(&["serve", "--log", log]);
        assert_eq!(ran.status, 2, "{}{}", ran.out, ran.err);
        let told = if log == "human" { ran.err } else { ran.out };
        assert!(told.contains("registration.rhai") && told.contains("email"), "{told}");
    }
}

#[test]
fn nothing_listening_is_told() {
    let bundle = Bundle::new();
    ports(&bundle);
    std::fs::create_dir(bundle.path().join("secrets")).unwrap();
    bundle.write("secrets/okta", "a-secret");
    let ran = bundle.run(&["simulate", "okta.registration"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("hookgate serve"), "{}", ran.err);
}
