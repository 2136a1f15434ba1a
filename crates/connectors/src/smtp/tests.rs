//! What a relay gets, and what its answers mean.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::tests::{made, order, setup, tls, try_made};
use hookgate_model::command::{Mail, Method, Task};

/// What a relay answers to what begins like this, instead of the usual; `SILENCE` and `CLOSE` are no words.
type Rules = &'static [(&'static str, &'static str)];

/// A relay, by hand.
struct Sink {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Sink {
    async fn new(rules: Rules) -> Self {
        Self::with(rules, None, false).await
    }

    /// With TLS on request, or at once.
    async fn with(rules: Rules, acceptor: Option<TlsAcceptor>, at_once: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = seen.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, noted) = (acceptor.clone(), noted.clone());
                tokio::spawn(async move {
                    match acceptor {
                        Some(acceptor) if at_once => {
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            talk(stream, rules, &noted, Talk::Secured).await;
                        }
                        Some(acceptor) => {
                            let Some(stream) = talk(stream, rules, &noted, Talk::Securable).await else { return };
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            talk(stream, rules, &noted, Talk::Again).await;
                        }
                        None => drop(talk(stream, rules, &noted, Talk::Secured).await),
                    }
                });
            }
        });
        Self { port, seen, task }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").clone()
    }

    /// The text of the only mail.
    fn mail(&self) -> String {
        let seen = self.seen();
        let begin = seen.iter().position(|line| line == "DATA").expect("a mail") + 1;
        let lines: Vec<&str> = seen[begin..].iter().map(String::as_str).take_while(|line| *line != ".").collect();
        lines.join("\n")
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Talk {
    /// There is no STARTTLS, or it is not needed.
    Secured,
    Securable,
    /// After STARTTLS: without another greeting.
    Again,
}

/// Talks until the end, or until it is to change to TLS.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    rules: Rules,
    seen: &Mutex<Vec<String>>,
    talk: Talk,
) -> Option<S> {
    let mut stream = BufReader::new(stream);
    if talk != Talk::Again {
        reply(&mut stream, rules, "GREETING", "220 sink").await?;
    }
    let mut in_text = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end_matches(['\r', '\n']);
        seen.lock().expect("no panic").push(line.to_owned());
        if in_text && line != "." {
            continue;
        }
        in_text = line == "DATA";
        let usual = match line.split(' ').next().unwrap_or_default() {
            "EHLO" if talk == Talk::Securable => "250-sink\r\n250-STARTTLS\r\n250 8BITMIME",
            "EHLO" => "250-sink\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
            "DATA" => "354 go on",
            "AUTH" => "235 welcome",
            "." => "250 queued as 42",
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        reply(&mut stream, rules, line, usual).await?;
        if line == "STARTTLS" {
            return Some(stream.into_inner());
        }
    }
}

async fn reply(stream: &mut (impl AsyncWrite + Unpin), rules: Rules, line: &str, usual: &str) -> Option<()> {
    let rule = rules.iter().find(|(begin, _)| line.starts_with(begin)).map_or(usual, |(_, answer)| answer);
    match rule {
        "SILENCE" => std::future::pending().await,
        "CLOSE" => None,
        text => stream.write_all(format!("{text}\r\n").as_bytes()).await.ok(),
    }
}

fn settings(sink: &Sink, more: Value) -> Value {
    let mut settings = json!({
        "host": "localhost", "port": sink.port, "tls": "none", "from": "Gateway <gateway@hooks.example>",
        "to": ["ops@hooks.example"],
    });
    settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
    settings
}

fn relay(folder: &Path, sink: &Sink, more: Value) -> Box<dyn Connector> {
    made(&KIND, folder, &settings(sink, more))
}

fn mail() -> Mail {
    Mail {
        to: vec!["Ann <ann@people.example>".into(), "bob@people.example".into()],
        subject: "Gr\u{fc}\u{df}e".into(),
        text: "first\n.second\n\u{e4}".into(),
        html: None,
        cc: vec!["cc@people.example".into()],
        reply_to: Some("desk@hooks.example".into()),
    }
}

async fn sent(rules: Rules, task: Task) -> (Sink, Result<Done, Trouble>) {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::new(rules).await;
    let outcome = relay(folder.path(), &sink, json!({})).perform(&order(task)).await;
    (sink, outcome)
}

#[tokio::test]
async fn a_mail_has_its_headers_and_everybody_gets_it() {
    let (sink, outcome) = sent(&[], Task::Email(mail())).await;
    let done = outcome.expect("done");
    assert_eq!((done.status, done.note.as_str()), (Some(250), "queued as 42"));
    let seen = sink.seen();
    for line in [
        "MAIL FROM:<gateway@hooks.example>",
        "RCPT TO:<ann@people.example>",
        "RCPT TO:<bob@people.example>",
        "RCPT TO:<cc@people.example>",
        "..second",
    ] {
        assert!(seen.iter().any(|found| found.starts_with(line)), "{line} is missing in {seen:#?}");
    }
    let mail = sink.mail();
    for line in [
        "From: Gateway <gateway@hooks.example>",
        "Message-ID: <key-1@hooks.example>",
        "Date: Fri, 02 Jan 2026 03:04:05 +0000",
        "Subject: =?utf-8?b?R3LDvMOfZQ==?=",
        "Reply-To: desk@hooks.example",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
    ] {
        assert!(mail.contains(line), "{line} is missing in\n{mail}");
    }
}

#[tokio::test]
async fn a_notification_goes_to_those_of_the_settings() {
    let (sink, outcome) = sent(&[], Task::Notify { message: json!("Ann was added\nby Bob") }).await;
    outcome.expect("done");
    assert!(sink.mail().contains("Subject: Ann was added\n") && sink.mail().contains("\nby Bob"), "{}", sink.mail());
    assert!(sink.seen().contains(&"RCPT TO:<ops@hooks.example>".to_owned()));
    let message = json!({ "subject": "S", "text": "T" });
    let (sink, outcome) = sent(&[], Task::Notify { message }).await;
    outcome.expect("done");
    assert!(sink.mail().contains("Subject: S\n"), "{}", sink.mail());
}

#[tokio::test]
async fn html_is_an_alternative() {
    let html = Mail { html: Some("<b>hi</b>".into()), ..mail() };
    let (sink, outcome) = sent(&[], Task::Email(html)).await;
    outcome.expect("done");
    assert!(sink.mail().contains("multipart/alternative") && sink.mail().contains("<b>hi</b>"));
}

#[tokio::test]
async fn a_digest_is_one_mail() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::new(&[]).await;
    let mut order = order(Task::Notify { message: json!("one") });
    order.gathered = vec![Action::new("mail", Task::Notify { message: json!("two") })];
    order.gathered_count = 1;
    relay(folder.path(), &sink, json!({})).perform(&order).await.expect("done");
    let mail = sink.mail();
    assert!(mail.contains("Subject: one (and 1 more)\n") && mail.contains("- one\n- two"), "{mail}");
}

#[tokio::test]
async fn each_refusal_has_its_meaning() {
    let not = What::NotDelivered { retry_after: None };
    let cases: &[(Rules, What, Option<u16>)] = &[
        (&[("GREETING", "421 too busy")], not, Some(421)),
        (&[("GREETING", "554 not you")], What::Refused, Some(554)),
        (&[("GREETING", "garbage")], not, None),
        (&[("MAIL", "451 later")], not, Some(451)),
        (&[("MAIL", "550 no such sender")], What::Refused, Some(550)),
        (&[("RCPT", "450 later")], not, Some(450)),
        (&[("RCPT", "550 no such user")], What::Refused, Some(550)),
        (&[("DATA", "452 full")], not, Some(452)),
        (&[("DATA", "CLOSE")], not, None),
        (&[(".", "451 later")], not, Some(451)),
        (&[(".", "554 spam")], What::Refused, Some(554)),
        (&[(".", "CLOSE")], What::MaybeDelivered, None),
        (&[(".", "what?")], What::MaybeDelivered, None),
    ];
    for (rules, what, status) in cases {
        let (_, outcome) = sent(rules, Task::Email(mail())).await;
        let trouble = outcome.expect_err("it was refused");
        assert_eq!((trouble.what, trouble.status), (*what, *status), "{rules:?}: {}", trouble.message);
    }
}

#[tokio::test]
async fn one_refused_recipient_keeps_nobody_else_from_getting_it() {
    let (sink, outcome) = sent(&[("RCPT TO:<bob", "550 no such user")], Task::Email(mail())).await;
    assert_eq!(outcome.expect("done").note, "1 of 3 recipients were refused; queued as 42");
    assert!(sink.seen().contains(&"DATA".to_owned()));
}

#[tokio::test]
async fn silence_is_not_delivered_before_the_text_and_maybe_after() {
    let folder = tempfile::tempdir().expect("a folder");
    for (rules, what) in [
        (&[("GREETING", "SILENCE")] as Rules, What::NotDelivered { retry_after: None }),
        (&[("DATA", "SILENCE")], What::NotDelivered { retry_after: None }),
        (&[(".", "SILENCE")], What::MaybeDelivered),
    ] {
        let sink = Sink::new(rules).await;
        let mut owned = setup(folder.path(), &settings(&sink, json!({})));
        owned.timeout = Duration::from_secs(2);
        let relay = Relay::new(&owned.setup()).expect("good settings");
        let trouble = relay.perform(&order(Task::Email(mail()))).await.expect_err("silence");
        assert_eq!(trouble.what, what, "{rules:?}: {}", trouble.message);
    }
    let (_, outcome) = sent(&[("QUIT", "SILENCE")], Task::Email(mail())).await;
    assert!(outcome.is_ok(), "the farewell does not matter");
}

#[tokio::test]
async fn a_closed_port_means_not_delivered() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Sink::new(&[]).await;
    sink.port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("one").port();
    let outcome = relay(folder.path(), &sink, json!({})).perform(&order(Task::Email(mail()))).await;
    assert_eq!(outcome.expect_err("nobody is there").what, What::NotDelivered { retry_after: None });
}

#[tokio::test]
async fn the_connection_is_secured_before_anything_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (acceptor, pem) = tls();
    fs::write(folder.path().join("ca.pem"), pem).expect("written");
    fs::write(folder.path().join("secret"), "canary-7f3a\n").expect("written");
    let login = json!({ "user": "gateway", "password": { "file": "secret" }, "ca_file": "ca.pem" });
    for (word, at_once) in [("starttls", false), ("tls", true)] {
        let sink = Sink::with(&[], Some(acceptor.clone()), at_once).await;
        let mut more = login.clone();
        more["tls"] = json!(word);
        let relay = relay(folder.path(), &sink, more.clone());
        relay.perform(&order(Task::Email(mail()))).await.expect("done");
        let seen = sink.seen();
        let place = |begin: &str| seen.iter().position(|line| line.starts_with(begin));
        assert!(at_once || place("STARTTLS") < place("AUTH"), "{seen:?}");
        assert!(
            place("AUTH PLAIN AGdhdGV3YXkAY2FuYXJ5LTdmM2E=") < place("MAIL") && place("AUTH").is_some(),
            "{seen:?}"
        );
        more.as_object_mut().expect("a table").remove("ca_file");
        let untrusting = made(&KIND, folder.path(), &settings(&sink, more));
        let trouble = untrusting.perform(&order(Task::Email(mail()))).await.expect_err("an unknown certificate");
        assert_eq!(trouble.what, What::NotDelivered { retry_after: None }, "{}", trouble.message);
    }
    let plain = Sink::new(&[]).await;
    let mut more = login;
    more["tls"] = json!("starttls");
    let trouble =
        relay(folder.path(), &plain, more).perform(&order(Task::Email(mail()))).await.expect_err("no STARTTLS");
    assert_eq!(trouble.what, What::NotDelivered { retry_after: None }, "{}", trouble.message);
    assert!(!plain.seen().iter().any(|line| line.starts_with("AUTH")), "{:?}", plain.seen());
}

#[tokio::test]
async fn a_password_rotates_and_is_never_told() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("secret"), "canary-7f3a\n").expect("written");
    let echo = "535 bad AGdhdGV3YXkAY2FuYXJ5LTdmM2E= canary-7f3a";
    let sink = Sink::new(Box::leak(Box::new([("AUTH PLAIN AGdhdGV3YXkAY2FuYXJ5LTdmM2E=", echo)]))).await;
    let login = json!({ "user": "gateway", "password": { "file": "secret" } });
    let relay = relay(folder.path(), &sink, login);
    let trouble = relay.perform(&order(Task::Email(mail()))).await.expect_err("a bad password");
    assert_eq!((trouble.what, trouble.status), (What::Refused, Some(535)));
    assert!(trouble.message.contains("***") && !trouble.message.contains("canary"), "{}", trouble.message);
    assert!(!trouble.message.contains("AGdh"), "{}", trouble.message);
    fs::write(folder.path().join("secret"), "another-one\n").expect("written");
    relay.secrets().iter().for_each(|ring| drop(ring.reload()));
    relay.perform(&order(Task::Email(mail()))).await.expect("done");
}

#[tokio::test]
async fn what_cannot_be_a_mail_is_said_before_anything_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::new(&[]).await;
    let with = relay(folder.path(), &sink, json!({}));
    let without = relay(folder.path(), &sink, json!({ "to": [] }));
    let check = |task| with.check(&Action::new("mail", task));
    let to = |text: &str| Task::Email(Mail { to: vec![text.into()], ..mail() });
    for bad in ["nobody", "a@b.example\r\nBcc: c@d.example", "a@b.example, c@d.example", ""] {
        assert!(check(to(bad)).is_err(), "{bad:?}");
    }
    for bad in ["a\r\nBcc: x@y.example", "a\nb", "a\u{0}", "a\u{200b}"] {
        let reply_to = Some(format!("{bad}@x.example"));
        assert!(check(Task::Email(Mail { reply_to, ..mail() })).is_err(), "{bad:?}");
    }
    assert!(check(Task::Forward).is_err());
    assert!(check(Task::Request { method: Method::Post, path: "/".into(), body: Value::Null }).is_err());
    assert!(check(Task::Notify { message: json!({ "subject": "no text" }) }).is_err());
    assert!(check(Task::Notify { message: json!("x") }).is_ok());
    assert!(without.check(&Action::new("mail", Task::Notify { message: json!("x") })).is_err(), "nobody to send it to");
    assert!(without.check(&Action::new("mail", to("a@b.example"))).is_ok());
}

#[test]
fn wrong_settings_are_said_with_their_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = |more: Value, allow_private: bool| {
        let mut settings = json!({ "host": "mail.example", "from": "a@b.example" });
        settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
        let mut owned = setup(folder.path(), &settings);
        owned.allow_private = allow_private;
        let made = Relay::new(&owned.setup()).map(|_| ());
        made.err().unwrap_or_default().into_iter().map(|problem| problem.key).collect::<Vec<_>>()
    };
    let many = json!({ "host": "a b", "from": "x", "to": ["y@z.example", "no"], "user": "u", "ca_file": "missing" });
    assert_eq!(keys(many, true), ["host", "ca_file", "password", "from", "to[1]"]);
    assert_eq!(keys(json!({ "password": { "file": "x" } }), true), ["user"]);
    let clear = json!({ "tls": "none", "user": "u", "password": { "file": "x" } });
    assert_eq!(keys(clear, false), ["tls"]);
    for private in ["127.0.0.1", "[::1]", "2130706433", "169.254.169.254"] {
        assert_eq!(keys(json!({ "host": private }), false), ["host"], "{private}");
    }
    assert_eq!(keys(json!({ "host": "127.0.0.1" }), true), Vec::<String>::new());
    assert!(try_made(&KIND, folder.path(), &json!({ "host": "mail.example", "from": "a@b.example" })).is_ok());
}

#[tokio::test]
async fn a_relay_inside_is_refused_unless_it_is_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::new(&[]).await;
    let mut owned = setup(folder.path(), &settings(&sink, json!({})));
    owned.allow_private = false;
    let relay = Relay::new(&owned.setup()).expect("a name is judged when it is looked up");
    let trouble = relay.perform(&order(Task::Email(mail()))).await.expect_err("localhost is private");
    assert_eq!(trouble.what, What::Refused);
    assert_eq!(sink.seen().len(), 0);
}

#[test]
fn no_text_ends_a_header_or_is_taken_for_an_encoded_word() {
    let from = letter::mailbox("Gateway <a@b.example>").expect("an address");
    for text in crate::tests::hostile::texts() {
        let to = vec![format!("{text} <ann@b\u{fc}cher.example>")];
        let mail = Mail { to, subject: text.clone(), text: text.clone(), html: Some(text.clone()), ..mail() };
        let letter = letter::of_order(&order(Task::Email(mail)), &from, &[]).expect("a letter");
        let written = String::from_utf8(letter.text.clone()).expect("UTF-8");
        assert!(written.is_ascii() && !letter.needs_utf8(), "{written}");
        assert!(written.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])), "{written}");
        assert_eq!(letter.to[0], "ann@xn--bcher-kva.example".parse().expect("an address"));
        let (head, _) = written.split_once("\r\n\r\n").expect("a head");
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let names: Vec<&str> = unfolded.lines().filter_map(|line| line.split(':').next()).collect();
        let known = [
            "From",
            "Date",
            "Subject",
            "Message-ID",
            "Auto-Submitted",
            "To",
            "Cc",
            "Reply-To",
            "MIME-Version",
            "Content-Type",
        ];
        assert!(names.iter().all(|name| known.contains(name)), "{head}");
        for word in ["RXZlDQpCY2M6IHhAZXhhbXBsZS5jb20=", "?q?Eve?=", "0D=0ABcc"] {
            assert!(!unfolded.contains(word), "{head}");
        }
    }
}

#[test]
fn a_subject_that_looks_encoded_is_shown_as_it_is() {
    let from = letter::mailbox("a@b.example").expect("an address");
    let subject = "Eve =?utf-8?B?QmNj?= \u{e4}".repeat(6);
    let letter = letter::of_order(&order(Task::Email(Mail { subject: subject.clone(), ..mail() })), &from, &[])
        .expect("a letter");
    let written = String::from_utf8(letter.text).expect("UTF-8");
    let line = written.replace("\r\n ", " ");
    let line = line.lines().find_map(|line| line.strip_prefix("Subject: ")).expect("a subject");
    let decoded: Vec<u8> = line
        .split(' ')
        .flat_map(|word| {
            assert!(word.len() <= 75, "{word}");
            let inner =
                word.strip_prefix("=?utf-8?b?").and_then(|word| word.strip_suffix("?=")).expect("an encoded word");
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, inner).expect("base64")
        })
        .collect();
    assert_eq!(String::from_utf8(decoded).expect("UTF-8"), subject);
}
