//! A server that wants to see a certificate, which files it takes, and that they may change.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::http;
use crate::tests::{Server, Then, hasty, order, response, try_made};
use hookgate_model::command::Task;
use hookgate_model::question::{Ask, Question, Reason};

/// An authority that makes certificates for clients.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("names");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Writes the certificate and the key of a client.
    fn write(&self, folder: &Path) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["gateway".to_owned()]).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(folder.join("client.pem"), certificate.pem()).expect("written");
        fs::write(folder.join("client.key"), key.serialize_pem()).expect("written");
    }

    /// A server's side of TLS that lets in only who has one of its certificates, and its own certificate as PEM.
    fn acceptor(&self) -> (TlsAcceptor, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("an authority");
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier.expect("a verifier"))
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("the key of the certificate");
        (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
    }
}

async fn server(authority: &Authority, folder: &Path) -> Server {
    let (acceptor, pem) = authority.acceptor();
    fs::write(folder.join("ca.pem"), pem).expect("written");
    Server::with([Then::Say(response("200 OK", "", "in"))], Some(acceptor)).await
}

fn settings(server: &Server, shown: bool) -> Value {
    let url = format!("https://localhost:{}", server.address.port());
    match shown {
        true => json!({
            "base_url": url, "ca_file": "ca.pem", "client_cert_file": "client.pem", "client_key_file": "client.key",
        }),
        false => json!({ "base_url": url, "ca_file": "ca.pem" }),
    }
}

fn question() -> Question {
    Question { connector: "test".to_owned(), ask: Ask::Http { path: String::new(), body: None } }
}

const PATIENT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_certificate_lets_us_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let server = server(&authority, folder.path()).await;
    authority.write(folder.path());
    let with = hasty(&http::KIND, folder.path(), &settings(&server, true), PATIENT);
    assert_eq!(with.look_up(&question()).await.expect("an answer")["text"], "in");
    assert_eq!(with.perform(&order(Task::Forward)).await.expect("done").status, Some(200));
    assert!(with.probe().expect("one").await.is_ok());
    let without = hasty(&http::KIND, folder.path(), &settings(&server, false), PATIENT);
    let trouble = without.look_up(&question()).await.expect_err("not let in");
    assert_eq!(trouble.reason, Reason::Denied, "{trouble}");
}

#[tokio::test]
async fn files_that_change_are_shown_as_they_are_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (Authority::new(), Authority::new());
    let server = server(&new, folder.path()).await;
    old.write(folder.path());
    let api = hasty(&http::KIND, folder.path(), &settings(&server, true), PATIENT);
    let reload = || api.secrets().iter().for_each(|ring| drop(ring.reload()));
    let trouble = api.look_up(&question()).await.expect_err("a stranger");
    assert_eq!(trouble.reason, Reason::Denied, "{trouble}");
    // One file is there, the other is not yet: they do not belong together, and the old ones stay in use.
    let key = fs::read(folder.path().join("client.key")).expect("read");
    new.write(folder.path());
    let new_key = fs::read(folder.path().join("client.key")).expect("read");
    fs::write(folder.path().join("client.key"), key).expect("written");
    reload();
    assert_eq!(api.look_up(&question()).await.expect_err("still a stranger").reason, Reason::Denied);
    fs::write(folder.path().join("client.key"), new_key).expect("written");
    reload();
    assert_eq!(api.look_up(&question()).await.expect("an answer")["text"], "in");
}

#[test]
fn files_that_are_none_are_said_with_their_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    authority.write(folder.path());
    fs::copy(folder.path().join("client.key"), folder.path().join("own.key")).expect("copied");
    fs::copy(folder.path().join("client.pem"), folder.path().join("own.pem")).expect("copied");
    authority.write(folder.path());
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(folder.path().join("locked.key"), encrypted).expect("written");
    fs::write(folder.path().join("nothing"), "nothing").expect("written");
    for (certificate, key, wrong, part) in [
        (Some("own.pem"), None, "client_key_file", "missing"),
        (None, Some("own.key"), "client_cert_file", "missing"),
        (Some("own.pem"), Some("client.key"), "client_key_file", "not the key of the certificate"),
        (Some("own.pem"), Some("locked.key"), "client_key_file", "encrypted"),
        (Some("nothing"), Some("own.key"), "client_cert_file", "no certificate"),
        (Some("own.pem"), Some("nothing"), "client_key_file", "no private key"),
        (Some("absent"), Some("own.key"), "client_cert_file", "does not exist"),
    ] {
        let mut settings = json!({ "base_url": "https://api.example" });
        let object = settings.as_object_mut().expect("a table");
        object.extend(certificate.map(|file| ("client_cert_file".to_owned(), json!(file))));
        object.extend(key.map(|file| ("client_key_file".to_owned(), json!(file))));
        let problem = try_made(&http::KIND, folder.path(), &settings).err().expect("a problem").remove(0);
        assert_eq!(problem.key, wrong);
        assert!(problem.message.contains(part), "{}", problem.message);
    }
}
