//! What scripts get of a real directory, what one that misbehaves is answered, and what never reaches the wire.

use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::tests::servers::slapd::Slapd;
use crate::tests::servers::{certificate_for, free_port};
use crate::tests::{order, setup, try_made};
use hookgate_model::command::Task;

const PEOPLE: &str = "ou=people,dc=example,dc=com";

fn server() -> Option<(Arc<Slapd>, TempDir)> {
    let folder = tempfile::tempdir().expect("a folder");
    word(&folder, "reader-word");
    Some((Slapd::shared()?, folder))
}

fn word(folder: &TempDir, text: &str) {
    fs::write(folder.path().join("password"), text).expect("a secret");
}

fn settings(server: &Slapd, more: &Value) -> Value {
    let mut settings = json!({
        "url": format!("ldaps://localhost:{}", server.tls_port),
        "ca_file": server.authority().to_str().expect("a path"),
        "bind_dn": "uid=reader,dc=example,dc=com",
        "password": { "file": "password" },
        "base_dn": "dc=example,dc=com",
    });
    settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
    settings
}

fn ldap(folder: &Path, settings: &Value) -> Ldap {
    patient(folder, settings, Duration::from_secs(20))
}

fn patient(folder: &Path, settings: &Value, timeout: Duration) -> Ldap {
    let mut owned = setup(folder, settings);
    owned.timeout = timeout;
    Ldap::new(&owned.setup()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

async fn asked(ldap: &Ldap, ask: Ask) -> Result<Value, Trouble> {
    ldap.look_up(&Question { connector: "corp".to_owned(), ask }).await
}

async fn bind(ldap: &Ldap, dn: &str, password: &str) -> Result<Value, Trouble> {
    asked(ldap, Ask::Bind { dn: dn.to_owned(), password: Secret::new(password.as_bytes()) }).await
}

async fn search(ldap: &Ldap, base: &str, filter: &str, attributes: &[&str]) -> Result<Value, Trouble> {
    let attributes = attributes.iter().map(|name| (*name).to_owned()).collect();
    asked(ldap, Ask::Search { base: base.to_owned(), filter: filter.to_owned(), attributes }).await
}

fn names(found: &Value) -> Vec<&str> {
    found.as_array().expect("a list").iter().map(|entry| entry["dn"].as_str().expect("a name")).collect()
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    word(&folder, "canary");
    for (settings, said) in [
        (json!({ "url": "http://dc.example" }), "url must begin with"),
        (json!({ "url": "dc.example" }), "url is not an address"),
        (json!({ "url": "ldaps://u:canary@dc.example" }), "url must be a host and nothing else"),
        (json!({ "url": "ldaps://dc.example/dc=example" }), "url must be a host and nothing else"),
        (json!({ "url": "ldaps://dc.example", "tls": "none" }), "tls means nothing with `ldaps://`"),
        (json!({ "url": "ldap://dc.example", "tls": "none", "ca_file": "password" }), "ca_file "),
        (json!({ "url": "ldap://dc.example", "bind_dn": "cn=x" }), "password is needed"),
        (json!({ "url": "ldap://dc.example", "password": { "file": "password" } }), "bind_dn is needed"),
        (json!({ "url": "ldap://dc.example", "bind_dn": "cn=x", "password": { "file": "none" } }), "password "),
    ] {
        let problems = try_made(&KIND, folder.path(), &settings).map(drop).expect_err("a problem");
        let problem = format!("{} {}", problems[0].key, problems[0].message);
        assert!(problem.contains(said) && !problem.contains("canary"), "{settings}: {problem}");
    }
    for settings in [json!({ "url": "ldap://dc.example", "tls": "none" }), json!({ "url": "ldaps://127.0.0.1" })] {
        let mut public = setup(folder.path(), &settings);
        public.allow_private = false;
        assert!(Ldap::new(&public.setup()).is_err(), "{settings}");
    }
}

#[tokio::test]
async fn it_does_nothing_but_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let ldap = ldap(folder.path(), &json!({ "url": "ldaps://dc.example" }));
    assert_eq!(super::KIND.answers, Some("ldap"));
    let order = order(Task::Forward);
    let refused = Connector::check(&ldap, &order.action).expect_err("refused");
    assert_eq!(refused, "a connector of kind `ldap` only answers questions: it does no `forward`");
    assert!(ldap.perform(&order).await.is_err());
    let other = asked(&ldap, Ask::Http { path: "/".to_owned(), body: None }).await;
    assert_eq!(other.map_err(|trouble| trouble.reason), Err(Reason::Rejected));
}

#[tokio::test]
async fn a_bind_says_whose_password_it_is() {
    let Some((server, folder)) = server() else { return };
    let clear = json!({ "url": format!("ldap://127.0.0.1:{}", server.port), "tls": "none", "ca_file": null });
    let start_tls = json!({ "url": format!("ldap://localhost:{}", server.port) });
    for more in [json!({}), start_tls, clear] {
        let ldap = ldap(folder.path(), &settings(&server, &more));
        let ann = format!("uid=ann,{PEOPLE}");
        assert_eq!(bind(&ldap, &ann, "ann-word").await, Ok(json!(true)), "{more}");
        for (dn, password) in [
            (ann.as_str(), "ann-wor"),
            (ann.as_str(), "ann-word "),
            (ann.as_str(), "reader-word"),
            ("uid=nobody,ou=people,dc=example,dc=com", "ann-word"),
            ("cn=elsewhere,dc=example,dc=org", "ann-word"),
        ] {
            assert_eq!(bind(&ldap, dn, password).await, Ok(json!(false)), "{dn} {password}");
        }
        assert!(ldap.kept().is_empty(), "a user's connection is never kept");
        let trouble = bind(&ldap, "ann", "ann-word").await.expect_err("no name");
        assert_eq!((trouble.reason, trouble.message.ends_with("(result 34)")), (Reason::Rejected, true), "{trouble}");
    }
}

#[tokio::test]
async fn an_empty_password_or_name_never_reaches_the_wire() {
    let folder = tempfile::tempdir().expect("a folder");
    // Nobody listens there: what reaches the wire fails.
    let settings = json!({ "url": format!("ldap://127.0.0.1:{}", free_port()), "tls": "none" });
    let ldap = ldap(folder.path(), &settings);
    for (dn, password) in
        [("cn=ann", ""), ("", "ann-word"), (" ", "ann-word"), ("cn=ann", "\0"), ("cn=ann", "\0ann-word")]
    {
        assert_eq!(bind(&ldap, dn, password).await, Ok(json!(false)), "{dn:?} {password:?}");
    }
    assert_eq!(bind(&ldap, "cn=a\0b", "x").await.map_err(|trouble| trouble.reason), Err(Reason::Rejected));
    assert_eq!(bind(&ldap, "cn=ann", "x").await.map_err(|trouble| trouble.reason), Err(Reason::Unreachable));
}

#[tokio::test]
async fn a_search_finds_entries() {
    let Some((server, folder)) = server() else { return };
    let ldap = ldap(folder.path(), &settings(&server, &json!({})));
    let found = search(&ldap, PEOPLE, "(uid=ann)", &["cn", "mail", "jpegPhoto", "title"]).await.expect("found");
    let attributes = json!({
        "cn": ["Ann Müller"],
        "mail": ["ann@example.com", "a.mueller@example.com"],
        "jpegPhoto": ["/9j/4A=="],
    });
    assert_eq!(found, json!([{ "dn": format!("uid=ann,{PEOPLE}"), "attributes": attributes }]));
    assert_eq!(search(&ldap, "", "(uid=nobody)", &[]).await, Ok(json!([])));
    let below = search(&ldap, "", "(&(objectClass=inetOrgPerson)(sn=m\\c3\\bcller))", &["uid"]).await.expect("found");
    assert_eq!(below[0]["attributes"], json!({ "uid": ["ann"] }));
    assert_eq!(ldap.kept().len(), 1, "one connection served all");
    let gone = format!("uid=gone,{PEOPLE}");
    assert_eq!(search(&ldap, &gone, "(objectClass=*)", &[]).await, Ok(json!([])), "what is gone is not found");
    let lost =
        super::tests::ldap(folder.path(), &settings(&server, &json!({ "base_dn": "ou=lost,dc=example,dc=com" })));
    let trouble = search(&lost, "", "(uid=ann)", &[]).await.expect_err("no base");
    assert_eq!((trouble.reason, trouble.message.as_str()), (Reason::Rejected, "there is no such base (result 32)"));
    let trouble = search(&ldap, "", "(uid=bytes)", &["userPassword"]).await.expect_err("bytes");
    assert_eq!((trouble.reason, trouble.message.contains("canary")), (Reason::BadAnswer, false));
    let listed = super::tests::ldap(folder.path(), &settings(&server, &json!({ "binary": ["userpassword"] })));
    let found = search(&listed, "", "(uid=bytes)", &["userPassword"]).await.expect("found");
    assert_eq!(found[0]["attributes"], json!({ "userPassword": ["/2NhbmFyef8="] }));
}

#[tokio::test]
async fn what_is_wrong_with_a_search_is_said_before_the_wire() {
    let folder = tempfile::tempdir().expect("a folder");
    word(&folder, "reader-word");
    let port = free_port();
    let account = json!({ "url": format!("ldap://127.0.0.1:{port}"), "tls": "none", "bind_dn": "cn=r",
        "password": { "file": "password" } });
    let with_account = ldap(folder.path(), &account);
    for (base, filter, attributes, said) in [
        ("", "(uid=ann)", &[][..], "a search needs a base"),
        ("dc=x", "uid=ann", &[], "the filter is wrong: a `(` is missing"),
        ("dc=x", "(uid=*)(uid=*)", &[], "the filter is wrong: there is more behind its last `)`"),
        ("dc=x\0", "(uid=ann)", &[], "a name has a NUL"),
        ("dc=x", "(uid=ann)", &["c n"], "the name of an attribute"),
    ] {
        let trouble = search(&with_account, base, filter, attributes).await.expect_err(filter);
        assert!(trouble.reason == Reason::Rejected && trouble.message.contains(said), "{filter}: {trouble:?}");
    }
    let without = ldap(folder.path(), &json!({ "url": "ldaps://dc.example", "base_dn": "dc=x" }));
    let trouble = search(&without, "", "(uid=ann)", &[]).await.expect_err("no account");
    assert_eq!(trouble.message, "a search needs an account: `bind_dn` and `password`");
    let trouble = search(&with_account, "dc=x", "(uid=ann)", &["*", "+"]).await.expect_err("nobody is there");
    assert_eq!(trouble.reason, Reason::Unreachable);
}

#[tokio::test]
async fn an_answer_has_its_limits() {
    let Some((server, folder)) = server() else { return };
    let few = ldap(folder.path(), &settings(&server, &json!({ "max_entries": 5 })));
    let trouble = search(&few, "", "(uid=many*)", &["uid"]).await.expect_err("too many");
    assert_eq!(
        (trouble.reason, trouble.message.contains("more than 5 entries")),
        (Reason::TooLarge, true),
        "{trouble}"
    );
    assert_eq!(names(&search(&few, "", "(uid=many1)", &["uid"]).await.expect("one")).len(), 1);
    let short = ldap(folder.path(), &settings(&server, &json!({ "max_entries": 400, "max_bytes": 20_000 })));
    let trouble = search(&short, "", "(uid=many*)", &[]).await.expect_err("too long");
    assert_eq!((trouble.reason, trouble.message.contains("max_bytes")), (Reason::TooLarge, true), "{trouble}");
    let all = ldap(folder.path(), &settings(&server, &json!({ "max_entries": 300 })));
    assert_eq!(names(&search(&all, "", "(uid=many*)", &["uid"]).await.expect("all")).len(), 300);
}

#[tokio::test]
async fn an_account_that_is_not_let_in_is_denied_and_its_secret_rotates() {
    let Some((server, folder)) = server() else { return };
    word(&folder, "first-word");
    let settings = settings(&server, &json!({ "bind_dn": "uid=rotating,dc=example,dc=com" }));
    let ldap = ldap(folder.path(), &settings);
    search(&ldap, "", "(uid=ann)", &[]).await.expect("found");
    server.set_password("uid=rotating,dc=example,dc=com", "second-word");
    word(&folder, "second-word");
    for ring in Connector::secrets(&ldap) {
        assert_eq!(ring.reload().changed.len(), 1);
    }
    search(&ldap, "", "(uid=ann)", &[]).await.expect("found");
    assert_eq!(ldap.kept().len(), 1, "the connection of the old secret is gone");
    let probed = ldap.probe().expect("a probe").await.expect("let in");
    assert_eq!(probed.found, "a directory that lets `bind_dn` in (TLS)");
    word(&folder, "canary-word");
    let wrong = super::tests::ldap(folder.path(), &settings);
    let trouble = search(&wrong, "", "(uid=ann)", &[]).await.expect_err("denied");
    assert_eq!(
        (trouble.reason, trouble.message.as_str()),
        (Reason::Denied, "the directory does not let `bind_dn` in (result 49)")
    );
    assert_eq!(wrong.probe().expect("a probe").await.map_err(|trouble| trouble.reason), Err(Reason::Denied));
    server.set_password("uid=rotating,dc=example,dc=com", "first-word");
}

#[tokio::test]
async fn only_a_certificate_of_the_host_is_trusted() {
    let Some((server, folder)) = server() else { return };
    certificate_for(folder.path(), None, "localhost", 2098);
    for (scheme, port) in [("ldaps", server.tls_port), ("ldap", server.port)] {
        for more in [
            json!({ "url": format!("{scheme}://127.0.0.1:{port}") }),
            json!({ "url": format!("{scheme}://localhost:{port}"), "ca_file": "cert.pem" }),
            json!({ "url": format!("{scheme}://localhost:{port}"), "ca_file": null }),
        ] {
            let ldap = ldap(folder.path(), &settings(&server, &more));
            let trouble = bind(&ldap, "cn=x", "x").await.expect_err("no trust");
            assert_eq!(trouble.reason, Reason::Forbidden, "{more}: {trouble}");
            assert!(trouble.message.starts_with("its certificate is not trusted"), "{trouble}");
        }
    }
}

#[tokio::test]
async fn a_directory_that_was_gone_is_found_again() {
    let Some(server) = Slapd::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    word(&folder, "reader-word");
    let ldap = ldap(folder.path(), &settings(&server, &json!({})));
    search(&ldap, "", "(uid=ann)", &[]).await.expect("found");
    server.stop();
    assert_eq!(search(&ldap, "", "(uid=ann)", &[]).await.map_err(|trouble| trouble.reason), Err(Reason::Unreachable));
    assert_eq!(bind(&ldap, "cn=x", "x").await.map_err(|trouble| trouble.reason), Err(Reason::Unreachable));
    server.start();
    search(&ldap, "", "(uid=ann)", &[]).await.expect("found");
    server.stop();
    server.start();
    search(&ldap, "", "(uid=ann)", &[]).await.expect("a kept connection that broke is made anew");
}

#[tokio::test]
async fn a_name_of_a_user_stays_a_value() {
    let Some((server, folder)) = server() else { return };
    let ldap = ldap(folder.path(), &settings(&server, &json!({})));
    // As `ldap_escape` and `dn_escape` write them; their own tests say so.
    for (name, in_filter, in_name, password) in [
        ("*)(uid=*", "\\2a\\29\\28uid=\\2a", "*)(uid\\=*", "star-word"),
        ("lee, ann+x", "lee, ann+x", "lee\\, ann\\+x", "comma-word"),
        ("#hash", "#hash", "\\#hash", "hash-word"),
    ] {
        let found = search(&ldap, PEOPLE, &format!("(uid={in_filter})"), &["uid"]).await.expect(name);
        assert_eq!(names(&found).len(), 1, "{name}");
        assert_eq!(found[0]["attributes"]["uid"], json!([name]));
        let dn = format!("uid={in_name},{PEOPLE}");
        assert_eq!(bind(&ldap, &dn, password).await, Ok(json!(true)), "{name}");
        assert_eq!(bind(&ldap, &dn, "ann-word").await, Ok(json!(false)), "{name}");
        assert_eq!(bind(&ldap, found[0]["dn"].as_str().expect("a name"), password).await, Ok(json!(true)), "{name}");
    }
    let nul = search(&ldap, PEOPLE, "(uid=ann\\00)", &["uid"]).await.expect("nobody");
    assert_eq!(nul, json!([]));
    // A NUL, and blanks and a `#` at the ends, in a name: whatever the directory makes of them, it is not Ann.
    for name in ["ann\\00", "\\#ann", "ann,uid\\=x"] {
        let answer = bind(&ldap, &format!("uid={name},{PEOPLE}"), "ann-word").await;
        assert_ne!(answer, Ok(json!(true)), "{name}");
    }
    // Without escaping it is noticed before anybody is asked.
    let raw = search(&ldap, PEOPLE, "(uid=*)(uid=*)", &["uid"]).await.expect_err("two filters");
    assert_eq!(raw.reason, Reason::Rejected);
}

/// A directory by hand: says these bytes to the first message of each connection, and nothing more.
async fn saying(bytes: &'static [u8]) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut heard = [0; 1024];
                if stream.read(&mut heard).await.is_ok() && stream.write_all(bytes).await.is_ok() {
                    while stream.read(&mut heard).await.is_ok_and(|count| count > 0) {}
                }
            });
        }
    });
    (port, task)
}

#[tokio::test]
async fn a_bind_is_judged_by_its_result() {
    let folder = tempfile::tempdir().expect("a folder");
    let of = async |bytes: &'static [u8]| {
        let (port, task) = saying(bytes).await;
        let settings = json!({ "url": format!("ldap://127.0.0.1:{port}"), "tls": "none" });
        let answer = bind(&patient(folder.path(), &settings, Duration::from_millis(500)), "cn=ann", "x").await;
        task.abort();
        answer.map_err(|trouble| trouble.reason)
    };
    for (bytes, expected) in [
        (&b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"[..], Ok(json!(true))),
        (b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00", Ok(json!(false))),
        // As Active Directory says that an account is locked.
        (b"\x30\x14\x02\x01\x01\x61\x0f\x0a\x01\x31\x04\x00\x04\x08data 775", Ok(json!(false))),
        (b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x13\x04\x00\x04\x00", Ok(json!(false))),
        (b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x35\x04\x00\x04\x00", Ok(json!(false))),
        (b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x0a\x04\x00\x04\x00", Err(Reason::Rejected)),
        (b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x0d\x04\x00\x04\x00", Err(Reason::Denied)),
        (b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x33\x04\x00\x04\x00", Err(Reason::Limited)),
        (b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x34\x04\x00\x04\x00", Err(Reason::Unreachable)),
        // The answer to another question, none at all, one without an end, and one that is too long.
        (b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00", Err(Reason::BadAnswer)),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\nsome more text that makes this long enough to be read",
            Err(Reason::BadAnswer),
        ),
        (b"\x30\x0c\x02\x01\x01\x61\x07", Err(Reason::Timeout)),
        (b"\x30\x84\x7f\xff\xff\xff", Err(Reason::TooLarge)),
        (b"\x30\x80", Err(Reason::TooLarge)),
        (b"", Err(Reason::Timeout)),
    ] {
        assert_eq!(of(bytes).await, expected, "{bytes:?}");
    }
}

#[tokio::test]
async fn nobody_speaks_before_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    for (bytes, said) in [
        // StartTLS is accepted, and what is behind that came before TLS.
        (&b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00"[..],
            "somebody spoke before TLS began"),
        (b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00", "does not begin TLS (result 2)"),
    ] {
        let (port, task) = saying(bytes).await;
        let ldap = ldap(folder.path(), &json!({ "url": format!("ldap://localhost:{port}") }));
        let trouble = bind(&ldap, "cn=ann", "x").await.expect_err("no TLS");
        task.abort();
        assert!(trouble.reason == Reason::Forbidden && trouble.message.contains(said), "{trouble:?}");
    }
}
