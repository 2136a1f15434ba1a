//! What a proxy gets to see, what it may refuse, and what of the rule for targets still holds.

use std::fs;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::tests::{Server, Then, order, response, setup};
use crate::{Connector, What, http};
use hookgate_model::command::Task;
use hookgate_model::question::{Ask, Question, Reason};

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("proxy"), "gw:canary-9").expect("written");
    folder
}

fn auth() -> SecretSource {
    SecretSource::File { file: "proxy".to_owned(), create: false }
}

/// An API behind a proxy.
fn behind(folder: &TempDir, proxy: &Server, target: &str, auth: Option<&SecretSource>) -> (Box<dyn Connector>, Proxy) {
    let mut owned = setup(folder.path(), &json!({ "base_url": target }));
    owned.timeout = Duration::from_secs(20);
    owned.allow_private = false;
    let proxy = Proxy::new(&owned.setup(), &proxy.url(), auth, true).expect("a proxy");
    let setup = Setup { proxy: Some(proxy.clone()), ..owned.setup() };
    ((http::KIND.make)(&setup).unwrap_or_else(|problems| panic!("{problems:?}")), proxy)
}

fn question() -> Question {
    Question { connector: "test".to_owned(), ask: Ask::Http { path: "/x".to_owned(), body: None } }
}

#[tokio::test]
async fn a_request_goes_through_the_proxy_which_looks_the_name_up() {
    let (folder, server) = (folder(), Server::saying("200 OK", "", "through").await);
    let (api, proxy) = behind(&folder, &server, "http://no-such-name.invalid/v1", Some(&auth()));
    let answer = api.look_up(&question()).await.expect("an answer");
    assert_eq!(answer["text"], "through");
    let head = server.only().0;
    assert!(head.starts_with("GET http://no-such-name.invalid/v1/x HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("proxy-authorization: Basic {}", STANDARD.encode("gw:canary-9"))), "{head}");
    fs::write(folder.path().join("proxy"), "gw:canary-10").expect("written");
    proxy.rings().iter().for_each(|ring| drop(ring.reload()));
    api.perform(&order(Task::Forward)).await.expect("done");
    let last = server.seen().pop().expect("a request");
    assert!(last.contains(&STANDARD.encode("gw:canary-10")), "{last}");
    assert_eq!(api.probe().expect("one").await.expect("it is there").found, "the proxy accepts connections");
}

#[tokio::test]
async fn a_proxy_that_does_not_know_us_is_named() {
    let (folder, server) = (folder(), Server::saying("407 Proxy Authentication Required", "", "").await);
    for target in ["http://no-such-name.invalid", "https://no-such-name.invalid"] {
        let (api, _) = behind(&folder, &server, target, None);
        let trouble = api.look_up(&question()).await.expect_err("not let through");
        assert_eq!(trouble.reason, Reason::Denied, "{trouble}");
        assert!(trouble.message.contains("`proxy`"), "{trouble}");
        assert!(api.perform(&order(Task::Forward)).await.is_err());
    }
    let last = server.seen().pop().expect("a request");
    assert!(last.starts_with("CONNECT no-such-name.invalid:443 HTTP/1.1\r\n"), "{last}");
    let broken = Server::new([Then::Say(response("502 Bad Gateway", "", ""))]).await;
    let (api, _) = behind(&folder, &broken, "https://no-such-name.invalid", None);
    assert_eq!(api.look_up(&question()).await.expect_err("no tunnel").reason, Reason::Unreachable);
    let trouble = api.perform(&order(Task::Forward)).await.expect_err("no tunnel");
    assert!(matches!(trouble.what, What::NotDelivered { .. }), "{trouble:?}");
}

#[test]
fn addresses_are_judged_as_far_as_they_are_seen() {
    let folder = folder();
    let mut owned = setup(folder.path(), &json!({ "base_url": "http://10.1.2.3" }));
    owned.allow_private = false;
    let proxy = |written: &str, auth: Option<&SecretSource>, allow_private| {
        Proxy::new(&owned.setup(), written, auth, allow_private).map_err(|problems| problems[0].message.clone())
    };
    let fine = proxy("http://proxy.example:3128", None, false).unwrap_or_else(|problem| panic!("{problem}"));
    // The target of the settings is a private address: a proxy does not change that.
    let problems = (http::KIND.make)(&Setup { proxy: Some(fine), ..owned.setup() }).err().expect("a problem");
    assert_eq!(problems[0].key, "base_url");
    for (written, auth, allow_private, part) in [
        ("http://10.1.2.3:3128", None, false, "allow_private = true"),
        ("http://proxy.example:3128", Some(auth()), false, "in the clear"),
        ("http://user:pass@proxy.example", None, true, "must not hold"),
        ("socks5://proxy.example", None, true, "https://"),
        ("http://proxy.example/x", None, true, "nothing more"),
        ("proxy.example:3128", None, true, ""),
    ] {
        let problem = proxy(written, auth.as_ref(), allow_private).err().expect(written);
        assert!(problem.contains(part), "{written}: {problem}");
    }
    assert!(proxy("http://10.1.2.3:3128", Some(&auth()), true).is_ok());
}
