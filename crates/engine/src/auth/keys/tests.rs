use std::sync::atomic::{AtomicUsize, Ordering};

use jsonwebtoken::crypto;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::auth::tests::issuer::Issuer;

/// An address that answers with a key set which the test may exchange.
struct Site {
    url: String,
    answer: Arc<Mutex<String>>,
    fetches: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Site {
    async fn new(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (answer, fetches) = (Arc::new(Mutex::new(answer)), Arc::new(AtomicUsize::new(0)));
        let task = tokio::spawn(serve(listener, answer.clone(), fetches.clone()));
        Self { url, answer, fetches, task }
    }

    fn answers(&self, answer: String) {
        *self.answer.lock().unwrap() = answer;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// Closes the port.
    async fn goes_away(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

async fn serve(listener: TcpListener, answer: Arc<Mutex<String>>, fetches: Arc<AtomicUsize>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        fetches.fetch_add(1, Ordering::SeqCst);
        let answer = answer.lock().unwrap().clone();
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn patient() -> Timing {
    // A busy machine must not turn a slow answer into a failure where the time is not what is tested.
    Timing { wait: Duration::from_secs(20), ..TIMING }
}

fn keys_at(url: &str, timing: Timing) -> Arc<Keys> {
    Keys::new(Origin::url(url).unwrap(), timing)
}

/// Looks up the key that signed, by its id.
async fn look_up(keys: &Keys, issuer: &Issuer, id: &str) -> Lookup {
    let token = issuer.sign(&json!({"alg": "ES256", "kid": id}), &json!({}));
    let (message, signature) = token.rsplit_once('.').unwrap();
    let verify = |key: &DecodingKey| crypto::verify(signature, message.as_bytes(), key, Algorithm::ES256) == Ok(true);
    keys.lookup(Some(id), Algorithm::ES256, verify).await
}

#[tokio::test]
async fn first_token_fetches_the_keys_once() {
    let issuer = Issuer::new("one");
    let site = Site::new(ok(&issuer.jwks())).await;
    let keys = keys_at(&site.url, patient());
    assert_eq!((keys.age(), site.fetches()), (None, 0), "no network before it is needed");
    let (first, second) = tokio::join!(look_up(&keys, &issuer, "one"), look_up(&keys, &issuer, "one"));
    assert_eq!((first, second), (Lookup::Verified, Lookup::Verified));
    assert_eq!(look_up(&keys, &issuer, "one").await, Lookup::Verified);
    assert_eq!(site.fetches(), 1);
    assert!(keys.age().unwrap() < Duration::from_secs(60));
}

#[tokio::test]
async fn unknown_key_id_asks_once_in_a_while() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let site = Site::new(ok(&old.jwks())).await;
    let keys = keys_at(&site.url, patient());
    assert_eq!(look_up(&keys, &old, "old").await, Lookup::Verified);
    site.answers(ok(&new.jwks()));
    assert_eq!(look_up(&keys, &new, "new").await, Lookup::Verified, "a new key works at once");
    assert_eq!(look_up(&keys, &old, "old").await, Lookup::UnknownKey, "a withdrawn key does not");
    for _ in 0..50 {
        assert_eq!(look_up(&keys, &new, "made-up").await, Lookup::UnknownKey);
    }
    assert_eq!(site.fetches(), 2);
}

#[tokio::test]
async fn keys_outlive_their_address() {
    let issuer = Issuer::new("one");
    let site = Site::new(ok(&issuer.jwks())).await;
    let keys = keys_at(&site.url, Timing { again: Duration::ZERO, ..patient() });
    assert_eq!(look_up(&keys, &issuer, "one").await, Lookup::Verified);
    for broken in ["HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", &ok("<html>"), &ok(r#"{"keys":[]}"#), "nonsense"] {
        site.answers(broken.to_owned());
        let before = site.fetches();
        assert_eq!(look_up(&keys, &issuer, "made-up").await, Lookup::UnknownKey);
        assert!(site.fetches() > before, "it was fetched again");
        assert_eq!(look_up(&keys, &issuer, "one").await, Lookup::Verified, "{broken:?}");
    }
    site.goes_away().await;
    assert_eq!(look_up(&keys, &issuer, "made-up").await, Lookup::UnknownKey);
    assert_eq!(look_up(&keys, &issuer, "one").await, Lookup::Verified);
}

#[tokio::test]
async fn keys_are_forgotten_in_the_end() {
    let issuer = Issuer::new("one");
    let site = Site::new(ok(&issuer.jwks())).await;
    let keys = keys_at(&site.url, Timing { forget: Duration::ZERO, ..patient() });
    assert_eq!(look_up(&keys, &issuer, "one").await, Lookup::Unavailable);
    assert!(keys.age().is_some(), "they were fetched");
}

#[tokio::test]
async fn unreachable_address_answers_at_once_and_recovers() {
    let issuer = Issuer::new("one");
    let site = Site::new(ok(&issuer.jwks())).await;
    let address = site.url.trim_start_matches("http://").trim_end_matches("/keys").to_owned();
    let keys = keys_at(&site.url, Timing { again_without: Duration::ZERO, ..patient() });
    site.goes_away().await;
    assert_eq!(look_up(&keys, &issuer, "one").await, Lookup::Unavailable);
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(serve(listener, Arc::new(Mutex::new(ok(&issuer.jwks()))), Arc::default()));
    assert_eq!(look_up(&keys, &issuer, "one").await, Lookup::Verified);
}

#[tokio::test]
async fn slow_address_costs_a_call_300_ms_at_most() {
    let issuer = Issuer::new("one");
    // Accepts (the system does) and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let keys = keys_at(&format!("http://{}/keys", listener.local_addr().unwrap()), TIMING);
    for _ in 0..2 {
        let begun = std::time::Instant::now();
        assert_eq!(look_up(&keys, &issuer, "one").await, Lookup::Unavailable);
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(290) && took < Duration::from_millis(900), "{took:?}");
    }
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut landed = keys.landed.subscribe();
    stream.write_all(ok(&issuer.jwks()).as_bytes()).await.unwrap();
    landed.changed().await.unwrap();
    assert_eq!(look_up(&keys, &issuer, "one").await, Lookup::Verified, "the fetch went on behind the calls");
}

#[tokio::test]
async fn keys_are_refreshed_before_anybody_asks() {
    let issuer = Issuer::new("one");
    let site = Site::new(ok(&issuer.jwks())).await;
    let soon = Duration::from_millis(1);
    let keys = keys_at(&site.url, Timing { refresh: soon, again: soon, again_without: soon, ..patient() });
    let mut landed = keys.landed.subscribe();
    keys.start();
    keys.start();
    for _ in 0..3 {
        landed.changed().await.unwrap();
    }
    assert!(site.fetches() >= 3);
    let dropped = Arc::downgrade(&keys);
    drop(keys);
    while landed.changed().await.is_ok() {}
    assert!(dropped.upgrade().is_none(), "the refreshing does not keep the keys alive");
}

#[tokio::test]
async fn file_is_read_at_once_and_again_when_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let fence = Arc::new(Fence::new(directory.path()));
    assert!(Keys::file("jwks.json", fence.clone()).is_err());
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    std::fs::write(&path, old.jwks()).unwrap();
    let keys = Keys::file("jwks.json", fence).unwrap();
    assert!(keys.is_file());
    assert_eq!(look_up(&keys, &old, "old").await, Lookup::Verified);
    std::fs::write(&path, "{").unwrap();
    assert!(keys.reload().unwrap_err().to_string().contains("JSON Web Key Set"));
    assert_eq!(look_up(&keys, &old, "old").await, Lookup::Verified);
    std::fs::write(&path, new.jwks()).unwrap();
    keys.reload().unwrap();
    assert_eq!(look_up(&keys, &new, "new").await, Lookup::Verified);
    assert_eq!(look_up(&keys, &old, "old").await, Lookup::UnknownKey);
}

#[test]
fn keys_that_are_not_for_signatures_are_left_out() {
    let good = Issuer::new("one").elliptic_key();
    let with = |name: &str, value: serde_json::Value| {
        let mut key = good.clone();
        key[name] = value;
        key
    };
    let secret = json!({"kty": "oct", "kid": "one", "k": "c2VjcmV0"});
    for bad in [
        secret,
        with("use", json!("enc")),
        with("alg", json!("HS256")),
        with("alg", json!("RS256")),
        with("crv", json!("secp256k1")),
        with("x", json!(7)),
        with("y", json!("!")),
        json!("nonsense"),
    ] {
        assert!(KeySet::parse(json!({"keys": [bad]}).to_string().as_bytes()).is_err(), "{bad}");
        let set = KeySet::parse(json!({"keys": [bad, good]}).to_string().as_bytes()).unwrap();
        assert_eq!(set.lookup(Some("one"), Algorithm::ES256, |_| true), Lookup::Verified, "{bad} spoils no other key");
        assert_eq!(set.lookup(Some("one"), Algorithm::HS256, |_| true), Lookup::UnknownKey);
    }
}

#[test]
fn label_of_an_address_has_no_credentials() {
    let keys = Keys::url("https://user:canary@id.example.com/keys?token=canary#canary").unwrap();
    assert_eq!(keys.label(), "`https://id.example.com/keys`");
    for wrong in ["", "id.example.com/keys", "ftp://id.example.com", "file:///etc/passwd"] {
        assert!(Keys::url(wrong).is_err(), "{wrong:?}");
    }
}
