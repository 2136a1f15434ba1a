//! What a receiver gets, byte for byte, and what is said when it does not.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::What;
use crate::tests::{order, setup, tls, try_made};
use hookgate_model::command::{Method, Task};

const NOT: What = What::NotDelivered { retry_after: None };
/// The end of a message in these tests.
const END: &str = "{\"eventId\":\"event-1\"}";
const MESSAGE: &str = "<86>1 2026-01-02T03:04:05Z gate-1 hookgate - user.session.start - {\"eventId\":\"event-1\"}";

/// What a receiver does with a connection.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Reads for ever.
    Listens,
    /// Says a lot that means nothing, and reads on.
    Talks,
    /// Closes after the first message.
    ClosesAfterOne,
    /// Says after the first message that it has nothing more to say, and reads on.
    ShutsAfterOne,
    /// Reads a little and closes: what it has not read makes that a reset.
    Breaks,
    /// Reads nothing.
    Deaf,
}

/// A receiver, by hand: one manner for each connection in turn, the last again and again.
struct Sink {
    port: u16,
    /// What each connection brought so far.
    seen: watch::Receiver<Vec<String>>,
    task: tokio::task::JoinHandle<()>,
}

impl Sink {
    async fn new(manners: &'static [Manner]) -> Self {
        Self::with(manners, None).await
    }

    async fn with(manners: &'static [Manner], tls: Option<TlsAcceptor>) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        // So that a deaf one is full soon.
        socket.set_recv_buffer_size(4096).expect("a size");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let listener = socket.listen(16).expect("listening");
        let port = listener.local_addr().expect("an address").port();
        let (sender, seen) = watch::channel(Vec::new());
        let sender = Arc::new(sender);
        let task = tokio::spawn(async move {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let manner = manners[number.min(manners.len() - 1)];
                sender.send_modify(|all| all.push(String::new()));
                let (tls, sender) = (tls.clone(), sender.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            attend(stream, manner, number, &sender).await;
                        }
                        None => attend(stream, manner, number, &sender).await,
                    }
                });
            }
        });
        Self { port, seen, task }
    }

    /// Waits until its connections brought exactly this.
    async fn got(&self, expected: &[String]) {
        let mut seen = self.seen.clone();
        let waited = tokio::time::timeout(Duration::from_secs(20), seen.wait_for(|all| all == expected)).await;
        assert!(waited.is_ok(), "expected {expected:#?}, got {:#?}", *self.seen.borrow());
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn attend(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    manner: Manner,
    number: usize,
    seen: &watch::Sender<Vec<String>>,
) {
    if manner == Manner::Deaf {
        std::future::pending::<()>().await;
    }
    if manner == Manner::Talks {
        stream.write_all(&[b'?'; 8192]).await.expect("heard");
    }
    let mut chunk = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        if manner == Manner::Breaks {
            return;
        }
        let mut ended = false;
        seen.send_modify(|all| {
            all[number].push_str(&String::from_utf8_lossy(&chunk[..count]));
            ended = all[number].trim_end().ends_with(END);
        });
        match manner {
            Manner::ClosesAfterOne if ended => {
                let _ = stream.shutdown().await;
                return;
            }
            Manner::ShutsAfterOne if ended => {
                let _ = stream.shutdown().await;
            }
            _ => {}
        }
    }
}

fn settings(sink: &Sink, more: Value) -> Value {
    let mut settings = json!({ "host": "127.0.0.1", "port": sink.port, "tls": "none", "hostname": "gate-1" });
    settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
    settings
}

fn syslog(folder: &Path, sink: &Sink, more: Value) -> Syslog {
    patient(folder, sink, more, Duration::from_secs(20))
}

fn patient(folder: &Path, sink: &Sink, more: Value, timeout: Duration) -> Syslog {
    let mut owned = setup(folder, &settings(sink, more));
    owned.timeout = timeout;
    Syslog::new(&owned.setup()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn notify(message: Value) -> Task {
    Task::Notify { message }
}

fn counted(message: &str) -> String {
    format!("{} {message}", message.len())
}

/// One message, as it came over the wire.
async fn sent(order: Order, more: Value) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::new(&[Manner::Listens]).await;
    let syslog = syslog(folder.path(), &sink, more);
    let done = syslog.perform(&order).await.expect("done");
    assert_eq!((done.status, done.note.as_str()), (None, "written; syslog does not answer"));
    // The end of the connection: all is there.
    drop(syslog);
    let whole = |all: &Vec<String>| all.first().is_some_and(|text| is_whole(text));
    let mut seen = sink.seen.clone();
    let waited = tokio::time::timeout(Duration::from_secs(20), seen.wait_for(whole)).await;
    assert!(waited.is_ok(), "got {:?}", *sink.seen.borrow());
    let [only] = sink.seen.borrow().clone().try_into().expect("one connection");
    only
}

fn is_whole(text: &str) -> bool {
    match text.split_once(' ').map(|(length, rest)| (length.parse::<usize>(), rest)) {
        Some((Ok(length), rest)) => rest.len() >= length,
        _ => text.ends_with('\n'),
    }
}

/// Waits until the kept connection is seen to be closed.
async fn noticed(syslog: &Syslog) {
    let waiting = async {
        while syslog.kept.lock().await.as_ref().is_some_and(Connection::is_open) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the end is noticed");
}

#[tokio::test]
async fn a_message_is_as_the_rfc_has_it() {
    assert_eq!(sent(order(Task::Forward), json!({})).await, counted(MESSAGE));
    assert_eq!(sent(order(Task::Forward), json!({ "framing": "newline" })).await, format!("{MESSAGE}\n"));
    let mut event = order(Task::Forward);
    event.event =
        b"{ \"published\":\t\"2026-03-02T08:30:00.1234567+02:00\",\r\n \"a\": 12345678901234567890123, \"z\": 1.10 }"
            .as_slice()
            .into();
    let more = json!({ "facility": "local4", "severity": "warning", "app_name": "idp", "hostname": "gate.example" });
    let expected = "<164>1 2026-03-02T06:30:00.123456Z gate.example idp - user.session.start - \
        { \"published\": \"2026-03-02T08:30:00.1234567+02:00\",   \"a\": 12345678901234567890123, \"z\": 1.10 }";
    assert_eq!(sent(event, more).await, counted(expected));
}

#[tokio::test]
async fn a_notification_is_json() {
    let begin = "<86>1 2026-01-02T03:04:05Z gate-1 hookgate - user.session.start - ";
    for (message, text) in [(json!("hi"), r#"{"message":"hi"}"#), (json!({ "z": 1, "a": "b" }), r#"{"z":1,"a":"b"}"#)] {
        assert_eq!(sent(order(notify(message)), json!({})).await, counted(&format!("{begin}{text}")));
    }
}

#[tokio::test]
async fn hostile_text_stays_on_its_line_and_is_the_same_to_a_reader() {
    let hostile = "a\"}\n<86>1 - forged\r\n\u{0}\u{7f}\u{85}\u{1b}[31m\u{202e}\u{2028}\u{feff}\u{1f511}gr\u{fc}n";
    for (charset, shown) in [("ascii", "\\ud83d\\udd11gr\\u00fcn\""), ("utf8", "\u{1f511}gr\u{fc}n\"")] {
        for framing in ["newline", "octet_counting"] {
            let more = json!({ "charset": charset, "framing": framing });
            let line = sent(order(notify(json!({ "text": hostile }))), more).await;
            let line = line.strip_suffix('\n').unwrap_or(&line);
            let text = &line[line.find('{').expect("JSON")..];
            assert!(text.contains(shown), "{text}");
            assert!(!text.chars().any(|c| c.is_control() || "\u{202e}\u{2028}\u{feff}".contains(c)), "{text}");
            assert_eq!(serde_json::from_str::<Value>(text).expect("JSON")["text"], hostile);
            assert_eq!(line.contains(" - \u{feff}{"), charset == "utf8", "{line}");
        }
    }
    let mut raw = order(Task::Forward);
    raw.event = "{\"a\":\"\u{202e}\u{9f}\"}".into();
    assert!(sent(raw, json!({ "charset": "utf8" })).await.ends_with("\u{feff}{\"a\":\"\\u202e\\u009f\"}"));
}

#[tokio::test]
async fn structured_data_is_escaped_and_its_ids_fit() {
    let mut order = order(Task::Forward);
    order.event_id = "a\"b\\c]d\ne\u{202e}\u{fc}".to_owned();
    order.event_type = "a b\u{fc}\n<86>.session.start.of.a.very.long.name".to_owned();
    order.route = "x".repeat(300);
    let line = sent(order, json!({ "enterprise_number": 32473 })).await;
    let expected = format!(
        "<86>1 2026-01-02T03:04:05Z gate-1 hookgate - ab<86>.session.start.of.a.very.l \
         [hookgate@32473 key=\"key-1\" event_id=\"a\\\"b\\\\c\\]d?e?\u{fc}\" \
         event_type=\"a b\u{fc}?<86>.session.start.of.a.very.long.name\" route=\"{}…\"] {END}",
        "x".repeat(254)
    );
    assert_eq!(line, counted(&expected));
    let mut nameless = super::tests::order(Task::Forward);
    nameless.event_type = " \n".to_owned();
    let line = sent(nameless, json!({})).await;
    assert!(line.contains(" hookgate - - - {"), "{line}");
}

#[tokio::test]
async fn one_connection_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::new(&[Manner::Talks]).await;
    let syslog = syslog(folder.path(), &sink, json!({}));
    for _ in 0..3 {
        syslog.perform(&order(Task::Forward)).await.expect("done");
    }
    sink.got(&[counted(MESSAGE).repeat(3)]).await;
}

#[tokio::test]
async fn many_at_once_never_mix() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::new(&[Manner::Listens]).await;
    let syslog = Arc::new(syslog(folder.path(), &sink, json!({ "framing": "newline" })));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..30 {
        let syslog = syslog.clone();
        tasks.spawn(async move { syslog.perform(&order(notify(json!({ "n": "x".repeat(number * 999) })))).await });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no panic").expect("done");
    }
    let mut seen = sink.seen.clone();
    let all = |all: &Vec<String>| all.iter().map(|text| text.matches('\n').count()).sum::<usize>() == 30;
    tokio::time::timeout(Duration::from_secs(20), seen.wait_for(all)).await.expect("all come").expect("a sink");
    let [only] = sink.seen.borrow().clone().try_into().expect("one connection");
    let mut lengths: Vec<usize> = only
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line[line.find('{').expect("JSON")..]).expect("whole"))
        .map(|value| value["n"].as_str().map_or(0, str::len))
        .collect();
    lengths.sort_unstable();
    assert_eq!(lengths, (0..30).map(|number| number * 999).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_connection_that_was_closed_is_opened_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let message = counted(MESSAGE);
    for manner in [&[Manner::ClosesAfterOne] as &'static [_], &[Manner::ShutsAfterOne]] {
        let sink = Sink::new(manner).await;
        let syslog = syslog(folder.path(), &sink, json!({}));
        for _ in 0..3 {
            syslog.perform(&order(Task::Forward)).await.expect("done");
            noticed(&syslog).await;
        }
        sink.got(&[message.clone(), message.clone(), message.clone()]).await;
    }
}

#[tokio::test]
async fn a_connection_that_rested_for_long_is_not_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::new(&[Manner::Listens]).await;
    let syslog = syslog(folder.path(), &sink, json!({}));
    syslog.perform(&order(Task::Forward)).await.expect("done");
    let long_ago = Instant::now().checked_sub(Duration::from_secs(61)).expect("a machine that runs for a minute");
    syslog.kept.lock().await.as_mut().expect("it is kept").used = long_ago;
    syslog.perform(&order(Task::Forward)).await.expect("done");
    sink.got(&[counted(MESSAGE), counted(MESSAGE)]).await;
}

#[tokio::test]
async fn a_connection_that_breaks_while_writing_may_have_delivered() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = notify(json!("x".repeat(8 * 1024 * 1024)));
    let more = json!({ "max_bytes": 10_000_000 });
    for (manner, message) in [
        (&[Manner::Breaks, Manner::Listens] as &'static [_], "the connection broke while writing: "),
        (&[Manner::Deaf, Manner::Listens], "it did not take the whole message in time"),
    ] {
        let sink = Sink::new(manner).await;
        let syslog = patient(folder.path(), &sink, more.clone(), Duration::from_secs(3));
        let trouble = syslog.perform(&order(long.clone())).await.expect_err("nobody knows");
        assert_eq!(trouble.what, What::MaybeDelivered);
        assert!(trouble.message.starts_with(message), "{}", trouble.message);
        syslog.perform(&order(Task::Forward)).await.expect("on a new connection");
        sink.got(&[String::new(), counted(MESSAGE)]).await;
    }
}

#[tokio::test]
async fn whoever_waits_too_long_for_others_has_not_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::new(&[Manner::Listens]).await;
    let syslog = patient(folder.path(), &sink, json!({}), Duration::from_millis(300));
    let others = syslog.kept.lock().await;
    let trouble = syslog.perform(&order(Task::Forward)).await.expect_err("others write");
    let not_tried = What::NotTried { wait: WAIT };
    assert_eq!(
        (trouble.what, trouble.message.as_str()),
        (not_tried, "others were still being written to the one connection")
    );
    drop(others);
    sink.got(&[]).await;
}

#[tokio::test]
async fn a_closed_port_means_not_delivered() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Sink::new(&[Manner::Listens]).await;
    sink.port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("one").port();
    let trouble = syslog(folder.path(), &sink, json!({})).perform(&order(Task::Forward)).await.expect_err("nobody");
    assert_eq!(trouble.what, NOT);
    assert!(trouble.message.starts_with("there is no connection: "), "{}", trouble.message);
}

#[tokio::test]
async fn with_tls_the_receiver_must_be_who_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let (acceptor, pem) = tls();
    fs::write(folder.path().join("ca.pem"), pem).expect("written");
    let sink = Sink::with(&[Manner::ClosesAfterOne, Manner::Listens], Some(acceptor)).await;
    let good = json!({ "tls": "tls", "host": "localhost", "ca_file": "ca.pem" });
    let trusting = syslog(folder.path(), &sink, good);
    for _ in 0..3 {
        trusting.perform(&order(Task::Forward)).await.expect("done");
        if sink.seen.borrow().len() == 1 {
            noticed(&trusting).await;
        }
    }
    sink.got(&[counted(MESSAGE), counted(MESSAGE).repeat(2)]).await;
    for more in [json!({ "tls": "tls", "host": "localhost" }), json!({ "tls": "tls", "ca_file": "ca.pem" })] {
        let trouble = syslog(folder.path(), &sink, more).perform(&order(Task::Forward)).await.expect_err("a stranger");
        assert_eq!(trouble.what, NOT);
        assert!(trouble.message.contains("invalid peer certificate"), "{}", trouble.message);
    }
}

#[tokio::test]
async fn tls_that_fails_means_not_delivered() {
    let folder = tempfile::tempdir().expect("a folder");
    for manner in [&[Manner::Talks] as &'static [_], &[Manner::Deaf], &[Manner::Breaks]] {
        let sink = Sink::new(manner).await;
        let syslog = patient(folder.path(), &sink, json!({ "tls": "tls" }), Duration::from_secs(2));
        let trouble = syslog.perform(&order(Task::Forward)).await.expect_err("no TLS");
        assert_eq!(trouble.what, NOT, "{}", trouble.message);
    }
}

#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::new(&[Manner::Listens]).await;
    let mut owned = setup(folder.path(), &settings(&sink, json!({ "host": "localhost" })));
    owned.allow_private = false;
    let syslog = Syslog::new(&owned.setup()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let trouble = syslog.perform(&order(Task::Forward)).await.expect_err("private");
    assert_eq!(trouble.what, What::Refused);
    let mut owned = setup(folder.path(), &settings(&sink, json!({})));
    owned.allow_private = false;
    let problems = Syslog::new(&owned.setup()).map(|_| ()).expect_err("private");
    assert_eq!(problems[0].key, "host");
    sink.got(&[]).await;
}

#[tokio::test]
async fn what_is_too_long_or_no_message_is_said_before_anything_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::new(&[Manner::Listens]).await;
    let syslog = syslog(folder.path(), &sink, json!({ "max_bytes": 500 }));
    let check = |task| syslog.check(&Action::new("siem", task));
    let words: Vec<&str> = vec!["x"; 300];
    let problem = check(notify(json!({ "words": words }))).expect_err("too long, and no text can be cut");
    assert_eq!(problem, "it has 1211 bytes, and `max_bytes` is 500");
    assert!(check(notify(json!("x".repeat(600)))).is_ok(), "a text is cut");
    assert!(check(notify(json!(" "))).is_err() && check(notify(json!([1]))).is_err());
    let request = Task::Request { method: Method::Post, path: String::new(), body: json!(1) };
    let problem = check(request).expect_err("no requests");
    assert_eq!(problem, "a connector of kind `syslog` takes `notify` and `forward`, not `post`");
    assert!(check(notify(json!("x"))).is_ok() && check(Task::Forward).is_ok());
    let mut long = order(Task::Forward);
    long.event = format!("{{\"a\":\"{}\"}}", "\u{fc}".repeat(100)).into();
    let trouble = syslog.perform(&long).await.expect_err("too long once it is written");
    assert_eq!(trouble.what, What::Refused);
    assert!(trouble.message.ends_with(" bytes, and `max_bytes` is 500"), "{}", trouble.message);
    sink.got(&[]).await;
}

#[test]
fn wrong_settings_are_said_with_their_key() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("no.pem"), "nothing").expect("written");
    let keys = |settings: Value| match try_made(&KIND, folder.path(), &settings) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|problem| problem.key).collect::<Vec<_>>(),
    };
    for (settings, key) in [
        (json!({ "host": "a b" }), "host"),
        (json!({ "host": "https://x.example" }), "host"),
        (json!({ "host": "x.example", "app_name": "my app" }), "app_name"),
        (json!({ "host": "x.example", "app_name": "gr\u{fc}n" }), "app_name"),
        (json!({ "host": "x.example", "hostname": "a\nb" }), "hostname"),
        (json!({ "host": "x.example", "ca_file": "no.pem" }), "ca_file"),
        (json!({ "host": "x.example", "ca_file": "missing" }), "ca_file"),
        (json!({ "host": "x.example", "facility": "nonsense" }), ""),
    ] {
        assert_eq!(keys(settings.clone()), [key], "{settings}");
    }
    assert_eq!(keys(json!({ "host": "logs.example.com" })), [""; 0]);
}

#[test]
fn a_machine_says_its_own_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let owned = setup(folder.path(), &json!({ "host": "x.example" }));
    let syslog = Syslog::new(&owned.setup()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let event = order(Task::Forward);
    let bytes = syslog.form.framed(&event, &Entry::of_order(&event).expect("an entry")).expect("short");
    let text = String::from_utf8(bytes).expect("text");
    let name = text.split(' ').nth(3).expect("a name");
    let known = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| name.to_owned());
    assert_eq!(name, known.trim());
}
