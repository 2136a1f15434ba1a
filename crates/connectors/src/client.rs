//! The HTTP client under all connectors that speak it: one a connector, for one target.
//!
//! Follows no redirect, uses no proxy but that of its settings, reads little of an answer, and never says an address or a
//! header: both may hold secrets. What happened is told in a few words ([`What`](crate::What)), and only a request that certainly did not
//! go out, or an answer that says so, counts as not delivered. Who only asks is told why there is no answer
//! ([`Reason`](hookgate_model::question::Reason)).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use url::Url;

use crate::client::answer::{is_text, wait};
use crate::client::identity::Identity;
use crate::client::silence::Broken;
use crate::egress;
use crate::egress::Egress;
use crate::proxy::Proxy;
use crate::redact::Redact;
use crate::setup::{Problem, Setup};
use crate::time_limit::{TimeLimit, TimeLimitExceeded};
use crate::{Order, Trouble};
use hookgate_model::command;
use hookgate_model::files::MAX_CERTIFICATE_BYTES;
use hookgate_model::files::fence::Purpose;
use hookgate_model::question;
use hookgate_model::secret::{Ring, Secret};
use hookgate_model::trace;

mod answer;
pub(crate) mod identity;
pub(crate) mod reach;
mod silence;
#[cfg(test)]
mod tests;

/// More of an answer to an order is not read.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How long a connection may take for a message that a caller waits for.
pub(crate) const CONNECT_SOON: Duration = Duration::from_millis(800);

pub(crate) struct Client {
    timeout: Duration,
    /// Less than all of the time, so that "never connected" is told apart from "never answered".
    connect: Duration,
    egress: Egress,
    /// Certificates of authorities to trust besides those that everybody trusts, as PEM.
    authorities: Option<Vec<u8>>,
    /// What we show of ourselves, if the other side wants to see it.
    identity: Option<Identity>,
    proxy: Option<Proxy>,
    /// Made at the first request, for it loads the system's certificates, and again when a secret in it changes.
    made: Mutex<Option<Made>>,
    /// There was an answer, so that there may be a connection that was kept.
    answered: AtomicBool,
}

struct Made {
    client: reqwest::Client,
    of: Vec<Arc<Secret>>,
}

/// A request as a connector makes it.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// It came to its end.
    pub(crate) complete: bool,
    /// Its end did not come in time.
    pub(crate) late: bool,
    pub(crate) headers: HeaderMap,
    /// The body is for people or programs to read, as far as its type says.
    is_text: bool,
}

impl Client {
    pub(crate) fn new(setup: &Setup<'_>, authorities: Option<Vec<u8>>) -> Self {
        let egress = Egress::new(setup.allow_private);
        Self { proxy: setup.proxy.clone(), ..Self::with(setup.timeout, egress, authorities) }
    }

    /// For messages that a caller waits for: who does not accept a connection soon leaves time for the next.
    pub(crate) fn for_messages(setup: &Setup<'_>) -> Self {
        Self::for_messages_with(setup, None)
    }

    pub(crate) fn for_messages_with(setup: &Setup<'_>, authorities: Option<Vec<u8>>) -> Self {
        let client = Self::new(setup, authorities);
        Self { connect: client.connect.min(CONNECT_SOON), ..client }
    }

    fn with(timeout: Duration, egress: Egress, authorities: Option<Vec<u8>>) -> Self {
        let connect = timeout.mul_f64(0.75);
        Self {
            timeout,
            connect,
            egress,
            authorities,
            identity: None,
            proxy: None,
            made: Mutex::default(),
            answered: AtomicBool::new(false),
        }
    }

    /// The same, which shows a certificate of its own.
    #[must_use]
    pub(crate) fn showing(self, identity: Option<Identity>) -> Self {
        Self { identity, ..self }
    }

    pub(crate) fn egress(&self) -> &Egress {
        &self.egress
    }

    /// What of it is to be read again when files change; the proxy is not its own.
    pub(crate) fn rings(&self) -> Vec<Arc<Ring>> {
        self.identity.iter().flat_map(Identity::rings).collect()
    }

    /// Sends a request for an order and reads the answer.
    ///
    /// # Errors
    /// There was no answer.
    pub(crate) async fn send(&self, order: &Order, request: Outgoing) -> Result<Answer, Trouble> {
        let Outgoing { method, url, mut headers, body } = request;
        headers.insert(HeaderName::from_static("idempotency-key"), fit(&order.key));
        headers.insert(HeaderName::from_static("x-hook-event-id"), fit(&order.event_id));
        self.ask(Outgoing { method, url, headers, body }, MAX_ANSWER_BYTES).await
    }

    /// Sends a request and reads at most so many bytes of the answer.
    ///
    /// # Errors
    /// There was no answer.
    pub(crate) async fn ask(&self, request: Outgoing, most: usize) -> Result<Answer, Trouble> {
        let safe =
            matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE);
        self.exchange(request, most, safe).await.map_err(Broken::for_an_order)
    }

    /// Sends a request that changes nothing and reads at most so many bytes of the answer.
    ///
    /// # Errors
    /// There was no answer.
    pub(crate) async fn look(&self, request: Outgoing, most: usize) -> Result<Answer, question::Trouble> {
        self.exchange(request, most, true).await.map_err(Broken::for_a_question)
    }

    /// Sends a request and reads the answer. A connection that was kept may have been closed by the other side while the request
    /// was on its way: if it is `safe` to ask for the same twice (RFC 9110 9.2.2), it is asked for once more.
    async fn exchange(&self, request: Outgoing, most: usize, safe: bool) -> Result<Answer, Broken> {
        let again = (safe && self.answered.load(Ordering::Relaxed)).then(|| request.clone());
        match (self.exchange_once(request, most).await, again) {
            (Err(broken), Some(request)) if broken.is_reset() => self.exchange_once(request, most).await,
            (done, _) => done,
        }
    }

    async fn exchange_once(&self, request: Outgoing, most: usize) -> Result<Answer, Broken> {
        let client = self.client().map_err(Broken::Made)?;
        let Outgoing { method, url, mut headers, body } = request;
        // Some servers refuse a body that is not said to be empty (RFC 9110 8.6).
        if body.is_empty() && matches!(method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Some(told) = trace::current()
            && let Ok(value) = HeaderValue::try_from(told.header())
        {
            headers.entry(trace::HEADER).or_insert(value);
        }
        // Not reqwest's own time limit: that one runs on while this process stands still.
        let mut limit = TimeLimit::new(self.timeout);
        let sent = limit.wait_for(client.request(method, url).headers(headers).body(body).send()).await;
        let mut response = sent.map_err(|_| Broken::Late)?.map_err(Broken::Sent)?;
        self.answered.store(true, Ordering::Relaxed);
        let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let mut answer = Answer {
            status: response.status().as_u16(),
            retry_after: header(RETRY_AFTER).and_then(|written| wait(written, Timestamp::now())),
            is_text: header(CONTENT_TYPE).is_none_or(is_text),
            headers: response.headers().clone(),
            body: Vec::new(),
            complete: false,
            late: false,
        };
        while answer.body.len() < most {
            // Where it breaks off, the status is known, and that is what counts.
            match limit.wait_for(response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    let room = most - answer.body.len();
                    answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                }
                Ok(Ok(None)) => {
                    answer.complete = true;
                    break;
                }
                Ok(Err(_)) => break,
                Err(TimeLimitExceeded) => {
                    answer.late = true;
                    break;
                }
            }
        }
        Ok(answer)
    }

    /// The client as its secrets are now. Where no new one can be made of them, because one of two files was not written
    /// yet, the old one stays.
    fn client(&self) -> reqwest::Result<reqwest::Client> {
        let now = self.secrets();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |made: &&mut Made| made.of.iter().zip(&now).all(|(old, new)| Arc::ptr_eq(old, new));
        if let Some(made) = made.as_mut().filter(same) {
            return Ok(made.client.clone());
        }
        let client = match (self.make(), made.as_ref()) {
            (Ok(client), _) => client,
            (Err(error), Some(old)) => {
                tracing::warn!(%error, "no connection can be made with the new files of a connector, the old ones stay");
                old.client.clone()
            }
            (Err(error), None) => return Err(error),
        };
        *made = Some(Made { client: client.clone(), of: now });
        Ok(client)
    }

    fn secrets(&self) -> Vec<Arc<Secret>> {
        let of_identity = self.identity.iter().flat_map(Identity::current);
        of_identity.chain(self.proxy.iter().filter_map(Proxy::current)).collect()
    }

    fn make(&self) -> reqwest::Result<reqwest::Client> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Fails only where another thread was quicker, and then there is one.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        // What is connected to is the proxy, where there is one, and no name but its own is looked up.
        let egress = self.proxy.as_ref().map_or(&self.egress, Proxy::egress);
        let mut builder = reqwest::Client::builder()
            .connect_timeout(self.connect)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(egress.clone())
            .user_agent(concat!("hookgate/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &self.authorities {
            builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem)?);
        }
        if let Some(identity) = self.identity.as_ref().filter(|identity| !identity.is_empty()) {
            builder = builder.identity(reqwest::Identity::from_pem(&identity.pem())?);
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.of_client()?);
        }
        builder.build()
    }
}

/// The words of HTTP for those of scripts.
pub(crate) fn method(method: command::Method) -> Method {
    match method {
        command::Method::Post => Method::POST,
        command::Method::Put => Method::PUT,
        command::Method::Patch => Method::PATCH,
        command::Method::Delete => Method::DELETE,
    }
}

/// `Content-Type: application/json`.
pub(crate) fn json() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

/// A secret as the value of a header.
///
/// # Errors
/// It has characters that no header can hold.
pub(crate) fn secret_value(value: &[u8]) -> Result<HeaderValue, Trouble> {
    let value = HeaderValue::from_bytes(value);
    let mut value = value.map_err(|_| Trouble::refused("its secret has characters that no header can hold"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A name and its password as the value of `Authorization`, and what must not be told of an answer (RFC 7617).
///
/// # Errors
/// As [`secret_value`].
pub(crate) fn basic(name: &str, password: &Secret) -> Result<(HeaderValue, Redact), Trouble> {
    let both = [name.as_bytes(), b":", password.expose()].concat();
    let value = secret_value(format!("Basic {}", STANDARD.encode(&both)).as_bytes())?;
    Ok((value, Redact::default().and(password).and(&Secret::new(both))))
}

/// Reads the file of `ca_file`.
///
/// # Errors
/// It cannot be read, or holds no certificate.
pub(crate) fn authorities(setup: &Setup<'_>, ca_file: Option<&str>) -> Result<Option<Vec<u8>>, Vec<Problem>> {
    let Some(written) = ca_file else { return Ok(None) };
    let problem = |text: String| vec![Problem::bad_value("ca_file", text)];
    let pem = setup.fence.read(written, Purpose::Certificate, MAX_CERTIFICATE_BYTES);
    let pem = pem.map_err(|error| vec![Problem::file("ca_file", written, &error)])?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(Some(pem)),
        _ => Err(problem(format!("`{written}` holds no certificate in PEM form"))),
    }
}

/// The address of `base_url`, which paths are added to.
///
/// # Errors
/// It is none, or may not be reached.
pub(crate) fn base(written: &str, client: &Client) -> Result<Url, Problem> {
    let url = egress::target(written, &client.egress);
    plain_base(url)
}

/// The same where a secret is sent.
///
/// # Errors
/// Also if it would show the secret to others.
pub(crate) fn base_of_secret(written: &str, client: &Client) -> Result<Url, Problem> {
    let url = egress::target_of_secret(written, &client.egress);
    plain_base(url)
}

/// The same of an address that is a secret itself. The error is a clause about it, without the address.
///
/// # Errors
/// As [`base_of_secret`].
pub(crate) fn secret_base(written: &Secret, egress: &Egress) -> Result<Url, String> {
    let text = std::str::from_utf8(written.expose()).map_err(|_| "is not an address".to_owned())?;
    without_query(egress::target_of_secret(text, egress)?)
}

fn plain_base(url: Result<Url, String>) -> Result<Url, Problem> {
    url.and_then(without_query).map_err(|text| Problem::bad_value("base_url", text))
}

fn without_query(url: Url) -> Result<Url, String> {
    match url.query() {
        None => Ok(url),
        Some(_) => {
            Err("must not have a `?`: what follows it often is a secret, and a path could not be added".to_owned())
        }
    }
}

/// Ids come from outside: what cannot stand in a header is written in percent form.
fn fit(id: &str) -> HeaderValue {
    const PLAIN: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b' ').add(b'%');
    let plain = id.bytes().all(|byte| byte.is_ascii_graphic());
    let text = if plain { id.to_owned() } else { percent_encoding::utf8_percent_encode(id, PLAIN).to_string() };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
