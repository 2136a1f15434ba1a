use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::server::tls::{Tls, TlsError, TlsFiles};
use hookgate_engine::auth::mtls::PeerCertificates;

mod stops;
mod strangers;

/// Says what it got. `/panic` panics, `/large` answers much, `/wait` says that it began and waits for a permit.
struct Echo {
    began: Notify,
    permits: Semaphore,
    calls: AtomicUsize,
}

impl Answer for Echo {
    type Admitted = Parts;

    /// `/stranger` is let pass by nobody.
    async fn admit(&self, head: Parts, _caller: Caller) -> Result<Parts, Response<Bytes>> {
        match head.uri.path() {
            "/stranger" => Err(Response::builder().status(401).body("[stranger]".into()).unwrap()),
            "/panic-early" => panic!("as asked"),
            _ => Ok(head),
        }
    }

    async fn answer(&self, head: Parts, body: Bytes) -> Response<Bytes> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match head.uri.path() {
            "/panic" => panic!("as asked"),
            "/large" => return Response::new(vec![b'x'; 16 * 1024 * 1024].into()),
            "/wait" => {
                self.began.notify_one();
                self.permits.acquire().await.unwrap().forget();
            }
            _ => {}
        }
        let certificates = head.extensions.get::<PeerCertificates>().map_or(0, |chain| chain.0.len());
        Response::new(format!("[{} {} bytes, {certificates} certificates]", head.uri.path(), body.len()).into())
    }

    fn refuse(&self, _: Option<Parts>, refusal: Transport) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(format!("[{refusal:?}]")));
        *response.status_mut() = refusal.status();
        response
    }
}

struct Running {
    address: SocketAddr,
    echo: Arc<Calls<Echo>>,
    open: Gauge,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

async fn running(change: impl FnOnce(&mut Settings)) -> Running {
    running_with(1000, Budget::new(1_000_000), change).await
}

async fn running_with(max_body_bytes: usize, budget: Budget, change: impl FnOnce(&mut Settings)) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = Echo { began: Notify::new(), permits: Semaphore::new(0), calls: AtomicUsize::new(0) };
    let echo = Arc::new(Calls::new(echo, max_body_bytes, budget));
    let mut settings = Settings::new("public");
    let open = settings.open.clone();
    change(&mut settings);
    let (stop, stopped) = oneshot::channel();
    let answer = Arc::clone(&echo);
    let served = tokio::spawn(serve(listener, settings, answer, async {
        _ = stopped.await;
        Waiting::Answered
    }));
    Running { address, echo, open, stop, served }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What comes back for `bytes` until the server closes the connection.
    async fn until_closed(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }
}

/// Everything until the connection is closed. A reset counts as closed.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut text)).await;
    let _ = read.expect("the connection is closed in time");
    String::from_utf8(text).unwrap()
}

/// Everything up to the end of `count` answers, which all end with `]`.
async fn answers(stream: &mut (impl AsyncReadExt + Unpin), count: usize) -> String {
    let mut text = String::new();
    while text.matches(']').count() < count {
        let mut buffer = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut buffer)).await;
        let size = read.expect("an answer comes in time").unwrap();
        assert!(size > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..size]).unwrap());
    }
    text
}

const CLOSE: &str = "Host: h\r\nConnection: close\r\n";

#[tokio::test]
async fn a_body_up_to_the_limit_is_answered() {
    let server = running(|_| {}).await;
    let body = "x".repeat(1000);
    let text = server.until_closed(&format!("POST /a HTTP/1.1\r\n{CLOSE}Content-Length: 1000\r\n\r\n{body}")).await;
    assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("[/a 1000 bytes"), "{text}");
}

#[tokio::test]
async fn a_body_declared_too_large_is_refused_unread() {
    let server = running(|_| {}).await;
    let head = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n";
    let text = server.until_closed(head).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
    assert!(text.contains("connection: close"), "{text}");
    assert_eq!(server.echo.answer().calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_chunked_body_is_refused_when_it_passes_the_limit() {
    let server = running(|_| {}).await;
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let head = format!("POST /a HTTP/1.1\r\n{CLOSE}Transfer-Encoding: chunked\r\n\r\n");
    let fits = server.until_closed(&format!("{head}{chunk}{chunk}0\r\n\r\n")).await;
    assert!(fits.contains("[/a 1000 bytes"), "{fits}");
    // It never ends: the limit decides, not the end.
    let endless = server.until_closed(&format!("{head}{chunk}{chunk}1\r\nx\r\n")).await;
    assert!(endless.starts_with("HTTP/1.1 413 "), "{endless}");
    assert_eq!(server.echo.answer().calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn broken_framing_is_refused() {
    let server = running(|_| {}).await;
    let head = format!("POST /a HTTP/1.1\r\n{CLOSE}Transfer-Encoding: chunked\r\n\r\n");
    let text = server.until_closed(&format!("{head}zz\r\n")).await;
    assert!(!text.contains(" 200 "), "{text}");
    assert_eq!(server.echo.answer().calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_slow_body_gets_408() {
    let server = running(|settings| settings.body_timeout = Duration::from_millis(100)).await;
    let text = server.until_closed("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf").await;
    assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("[SlowBody]"), "{text}");
}

#[tokio::test]
async fn slow_headers_close_the_connection_but_silence_between_calls_does_not() {
    let server = running(|settings| settings.header_timeout = Duration::from_millis(150)).await;
    let mut silent = server.connect().await;
    silent.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    answers(&mut silent, 1).await;

    assert_eq!(server.until_closed("GET /a HTTP/1.1\r\nHos").await, "");
    // By now the other connection has been silent for longer than headers may take.
    silent.write_all(b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert!(answers(&mut silent, 1).await.contains("[/b "));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = running(|settings| settings.idle_timeout = Duration::from_millis(100)).await;
    let text = server.until_closed("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(text.ends_with(']'), "{text}");
}

#[tokio::test]
async fn too_many_headers_are_refused() {
    let server = running(|_| {}).await;
    let many: String = (0..101).map(|number| format!("x-{number}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "y".repeat(33_000));
    for headers in [many, long] {
        let text = server.until_closed(&format!("GET /a HTTP/1.1\r\n{headers}\r\n")).await;
        assert!(text.starts_with("HTTP/1.1 431 "), "{} bytes of headers: {text:?}", headers.len());
    }
}

#[tokio::test]
async fn pipelined_calls_are_answered_in_order() {
    let server = running(|_| {}).await;
    let calls: String = ["/1", "/2", "/3"].map(|path| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).concat();
    let mut stream = server.connect().await;
    stream.write_all(calls.as_bytes()).await.unwrap();
    let text = answers(&mut stream, 3).await;
    let order: Vec<_> = ["[/1 ", "[/2 ", "[/3 "].iter().map(|path| text.find(path).expect("is answered")).collect();
    assert!(order.is_sorted(), "{text}");
}

#[tokio::test]
async fn a_panic_costs_its_own_call_only() {
    let server = running(|_| {}).await;
    let text = server.until_closed(&format!("GET /panic HTTP/1.1\r\n{CLOSE}\r\n")).await;
    assert!(text.starts_with("HTTP/1.1 500 ") && text.contains("[Panicked]"), "{text}");
    let next = server.until_closed(&format!("GET /a HTTP/1.1\r\n{CLOSE}\r\n")).await;
    assert!(next.starts_with("HTTP/1.1 200 "), "{next}");
}

#[tokio::test]
async fn a_stop_finishes_the_call_in_flight_and_closes_the_rest() {
    let server = running(|_| {}).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    answers(&mut idle, 1).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    server.echo.answer().began.notified().await;

    server.stop.send(()).unwrap();
    assert_eq!(rest(&mut idle).await, "", "an idle connection is closed soon");
    assert!(TcpStream::connect(server.address).await.is_err(), "no new connection is accepted");
    server.echo.answer().permits.add_permits(1);
    assert!(rest(&mut busy).await.contains("[/wait "));
    server.served.await.unwrap();
    assert_eq!(server.open.get(), 0);
}

#[tokio::test]
async fn a_call_that_outlasts_the_grace_is_cut_off() {
    let server = running(|settings| settings.stop_grace = Duration::from_millis(50)).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    server.echo.answer().began.notified().await;
    server.stop.send(()).unwrap();
    assert_eq!(rest(&mut busy).await, "");
    server.served.await.unwrap();
}

/// An authority and what it signs.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self { pem: params.self_signed(&key).unwrap().pem(), issuer: Issuer::new(params, key) }
    }

    /// Certificate and key in PEM, valid until the end of `year`.
    fn sign(&self, year: i32, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn write_server(&self, dir: &Path, year: i32) {
        let (cert, key) = self.sign(year, ExtendedKeyUsagePurpose::ServerAuth);
        std::fs::write(dir.join("cert.pem"), cert).unwrap();
        std::fs::write(dir.join("key.pem"), key).unwrap();
        std::fs::write(dir.join("ca.pem"), &self.pem).unwrap();
    }

    /// One call over TLS, with a client certificate or without.
    async fn call(&self, address: SocketAddr, client: Option<(String, String)>) -> std::io::Result<String> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let tcp = TcpStream::connect(address).await?;
        let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await?;
        stream.write_all(format!("GET /a HTTP/1.1\r\n{CLOSE}\r\n").as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    }
}

fn files(dir: &Path) -> TlsFiles {
    let path = |name| dir.join(name);
    TlsFiles { cert_file: path("cert.pem"), key_file: path("key.pem"), client_ca_file: Some(path("ca.pem")) }
}

#[tokio::test]
async fn a_client_certificate_is_verified_if_given_and_passed_on() {
    let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.write_server(dir.path(), 2040);
    let tls = Arc::new(Tls::load(files(dir.path())).unwrap());
    let server = running(|settings| settings.tls = Some(tls)).await;

    let without = authority.call(server.address, None).await.unwrap();
    assert!(without.contains("0 certificates"), "{without}");
    let good = authority.sign(2040, ExtendedKeyUsagePurpose::ClientAuth);
    let with = authority.call(server.address, Some(good)).await.unwrap();
    assert!(with.contains("1 certificates"), "{with}");
    let foreign = Authority::new().sign(2040, ExtendedKeyUsagePurpose::ClientAuth);
    assert!(authority.call(server.address, Some(foreign)).await.is_err(), "signed by a stranger");
    let expired = authority.sign(2020, ExtendedKeyUsagePurpose::ClientAuth);
    assert!(authority.call(server.address, Some(expired)).await.is_err(), "expired");
}

#[tokio::test]
async fn a_new_certificate_is_used_and_a_bad_one_is_not() {
    let (old, new, dir) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    old.write_server(dir.path(), 2040);
    let tls = Arc::new(Tls::load(files(dir.path())).unwrap());
    let handle = Arc::clone(&tls);
    let server = running(|settings| settings.tls = Some(handle)).await;
    assert!(old.call(server.address, None).await.is_ok());
    assert!(!tls.reload().unwrap(), "nothing changed");

    // The key of one certificate beside another: a rotation seen half-way.
    let (_, stray_key) = new.sign(2041, ExtendedKeyUsagePurpose::ServerAuth);
    std::fs::write(dir.path().join("key.pem"), stray_key).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Unusable { .. })));
    assert!(matches!(tls.reload(), Ok(false)), "the same mistake is reported once");
    std::fs::write(dir.path().join("cert.pem"), "nothing").unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Content { .. })));
    std::fs::remove_file(dir.path().join("cert.pem")).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Read { .. })));
    assert!(old.call(server.address, None).await.is_ok(), "the old certificate stays");
    let expires = tls.expires();

    new.write_server(dir.path(), 2041);
    assert!(tls.reload().unwrap());
    assert_eq!(tls.expires() - expires, 365 * 86_400, "a year more");
    assert!(new.call(server.address, None).await.is_ok());
    assert!(old.call(server.address, None).await.is_err());
}
