//! What tests of every kind need, and what must hold for every row of the table.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustls::pki_types::PrivateKeyDer;
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::setup::{Problem, Secrets, Setup};
use hookgate_model::files::fence::Fence;
use hookgate_model::message::Channel;
use hookgate_model::secret::Secret;

pub(super) mod hostile;
mod probes;
pub(super) mod servers;

/// Settings that own what a [`Setup`] borrows.
pub(super) struct Owned {
    folder: PathBuf,
    fence: Arc<Fence>,
    settings: Map<String, Value>,
    pub(super) timeout: Duration,
    pub(super) allow_private: bool,
}

/// Settings of a connector in a test: on this machine, with secrets from files of `folder`.
pub(super) fn setup(folder: &Path, settings: &Value) -> Owned {
    let settings = settings.as_object().cloned().unwrap_or_default();
    let mut fence = Fence::new(folder);
    // Certificates of servers that all tests share lie elsewhere.
    let elsewhere = settings.get("ca_file").and_then(Value::as_str).map(Path::new).filter(|file| file.is_absolute());
    if let Some(root) = elsewhere.and_then(Path::parent).and_then(Path::to_str) {
        fence.add_root(root).expect("a folder");
    }
    let fence = Arc::new(fence);
    Owned { folder: folder.to_owned(), fence, settings, timeout: Duration::from_secs(20), allow_private: true }
}

impl Owned {
    pub(super) fn setup(&self) -> Setup<'_> {
        Setup {
            name: "test",
            settings: &self.settings,
            timeout: self.timeout,
            allow_private: self.allow_private,
            proxy: None,
            root: &self.folder,
            fence: &self.fence,
            secrets: Secrets::Load,
            environment: |_| None,
        }
    }
}

/// What a server does with a connection once it has read the request.
#[derive(Clone)]
pub(super) enum Then {
    /// These bytes, then the end.
    Say(String),
    /// These bytes, then one more every 20 milliseconds for ever.
    Drip(String),
    /// The end, without a word.
    Close,
    /// Nothing, for ever.
    Silence,
}

/// A server of HTTP, by hand, that does one thing for each connection in turn; the last one again and again.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(super) async fn new(doings: impl IntoIterator<Item = Then>) -> Self {
        Self::with(doings, None).await
    }

    pub(super) async fn with(doings: impl IntoIterator<Item = Then>, tls: Option<TlsAcceptor>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.expect("a port"), doings, tls)
    }

    /// On a port that is open already, so that what it says can name its address.
    pub(super) fn on(listener: TcpListener, doings: impl IntoIterator<Item = Then>, tls: Option<TlsAcceptor>) -> Self {
        let address = listener.local_addr().expect("an address");
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (doings, noted): (Vec<Then>, _) = (doings.into_iter().collect(), seen.clone());
        let task = tokio::spawn(async move {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let doing = doings[number.min(doings.len() - 1)].clone();
                let (tls, noted) = (tls.clone(), noted.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            attend(stream, doing, noted).await;
                        }
                        None => attend(stream, doing, noted).await,
                    }
                });
            }
        });
        Self { address, seen, task }
    }

    pub(super) async fn saying(status: &str, headers: &str, body: &str) -> Self {
        Self::new([Then::Say(response(status, headers, body))]).await
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, head and body.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").clone()
    }

    /// The only request so far: its head, and its body as JSON.
    pub(super) fn only(&self) -> (String, Value) {
        let [only] = self.seen().try_into().expect("one request");
        let (head, body) = only.split_once("\r\n\r\n").expect("a head");
        (head.to_owned(), serde_json::from_str(body).unwrap_or_default())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A server's side of TLS for `localhost`, and its certificate as PEM.
pub(super) fn tls() -> (TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("the key of the certificate");
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}

pub(super) fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

async fn attend(mut stream: impl AsyncRead + AsyncWrite + Unpin, doing: Then, seen: Arc<Mutex<Vec<String>>>) {
    let request = read_request(&mut stream).await;
    seen.lock().expect("no panic").push(request);
    match doing {
        Then::Say(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Then::Drip(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Then::Close => {}
        Then::Silence => std::future::pending().await,
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
            _ => return text,
        }
    }
}

/// A connector of a kind, from its settings.
pub(super) fn made(kind: &Kind, folder: &Path, settings: &Value) -> Box<dyn Connector> {
    try_made(kind, folder, settings).unwrap_or_else(|problems| panic!("{problems:?}"))
}

pub(super) fn try_made(kind: &Kind, folder: &Path, settings: &Value) -> Result<Box<dyn Connector>, Vec<Problem>> {
    (kind.make)(&setup(folder, settings).setup())
}

/// The same on a connector that others can hold, with so long for a try.
pub(super) fn hasty(kind: &Kind, folder: &Path, settings: &Value, timeout: Duration) -> Arc<dyn Connector> {
    let owned = Owned { timeout, ..setup(folder, settings) };
    let connector = (kind.make)(&owned.setup()).unwrap_or_else(|problems| panic!("{problems:?}"));
    connector.into()
}

/// An order of one task.
pub(super) fn order(task: Task) -> Order {
    Order {
        action: Action::new("test", task),
        key: "key-1".to_owned(),
        event_id: "event-1".to_owned(),
        event_type: "user.session.start".to_owned(),
        route: "events".to_owned(),
        received: 1_767_323_045_000,
        event: Bytes::from_static(b"{\"eventId\":\"event-1\"}"),
        doubt: false,
        gathered: Vec::new(),
        gathered_count: 0,
    }
}

/// A message whose number, text and code are canaries.
pub(super) fn message(channel: Channel) -> Message {
    Message {
        to: "+14155550199".to_owned(),
        channel,
        text: Secret::new(*b"Your code is 907 441 & more"),
        code: Secret::new(*b"907441"),
        locale: Some("EN-US".to_owned()),
        key: "key-1".to_owned(),
    }
}

/// How connectors that send codes take answers which are no success, whatever the provider: what comes of a status, of
/// silence, of a connection that breaks, of garbage and of an answer that never ends. None of it tells the message.
pub(super) async fn sends_as_all_do(make: impl Fn(&Server) -> Box<dyn Connector>) {
    let again = |seconds: Option<u64>| What::NotDelivered { retry_after: seconds.map(Duration::from_secs) };
    let echo = "{\"message\":\"+14155550199 14155550199 Your code is 907 441 & more 907441\"}";
    let say = |status: &str, headers: &str, body: &str| Then::Say(response(status, headers, body));
    let table = [
        (say("400 Bad Request", "", echo), What::Refused),
        (say("401 Unauthorized", "", echo), What::Refused),
        (say("403 Forbidden", "", ""), What::Refused),
        (say("301 Moved", "Location: /x\r\n", ""), What::Refused),
        (say("429 Too Many Requests", "Retry-After: 7\r\n", echo), again(Some(7))),
        (say("500 Internal Server Error", "", echo), again(None)),
        (say("503 Service Unavailable", "", echo), again(None)),
        (say("200 OK", "", "<html>907441"), What::MaybeDelivered),
        (say("200 OK", "", ""), What::MaybeDelivered),
        (say("200 OK", "", "{\"half\":"), What::MaybeDelivered),
        (Then::Say("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"sid\":".to_owned()), What::MaybeDelivered),
        (Then::Close, What::MaybeDelivered),
        (Then::Silence, What::MaybeDelivered),
        (Then::Drip("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_owned()), What::MaybeDelivered),
    ];
    for (then, what) in table {
        let server = Server::new([then]).await;
        let trouble = make(&server).deliver_message(&message(Channel::Sms)).await.expect_err("no success");
        assert_eq!(trouble.what, what, "{}", trouble.message);
        for canary in ["4155550199", "907441", "907 441", "code is"] {
            assert!(!format!("{trouble:?}").contains(canary), "{trouble:?}");
        }
    }
    let server = Server::saying("200 OK", "", "{}").await;
    let nobody = make(&server);
    drop(server);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let trouble = nobody.deliver_message(&message(Channel::Sms)).await.expect_err("nobody listens");
    assert_eq!(trouble.what, again(None), "{}", trouble.message);
}

#[test]
fn every_kind_that_sends_codes_is_known_as_one() {
    for kind in KINDS {
        let has_guide = kind.guide.contains("via(");
        assert_eq!(kind.sends_codes, has_guide, "{}", kind.name);
    }
}

#[test]
fn every_kind_says_its_limits() {
    for kind in KINDS {
        assert!(kind.guide.contains("\n## Limits\n"), "{}", kind.name);
    }
}

#[test]
fn every_kind_has_a_name_of_its_own_and_says_what_it_is() {
    let names: BTreeSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(names.len(), KINDS.len());
    assert!(KINDS.iter().all(|kind| kind.about.ends_with('.')));
}

#[test]
fn an_unknown_connector_is_named_with_the_nearest_one() {
    let none = Connectors::default();
    assert_eq!(none.unknown("chat"), "there is no connector `chat`: gateway.toml has no [connectors]");
    let folder = tempfile::tempdir().expect("a folder");
    let owned = setup(folder.path(), &serde_json::json!({ "path": "out.jsonl" }));
    let connector = (file::KIND.make)(&owned.setup()).expect("good settings");
    let connected = Connected::new("chat", connector);
    let some = Connectors::new([Arc::new(connected)]);
    assert_eq!(some.unknown("chta"), "there is no connector `chta`: did you mean `chat`? There are: chat");
}
