//! The HTTP side of `simulate`: one call, as patient as the provider and no more.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use hookgate_hooks::envelope::SealedCall;
use hookgate_hooks::{Caller, Judgement, VerificationReply, VerificationRequest};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;
use url::Url;

#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    /// More of a body than this many bytes is not read.
    most_body: usize,
}

/// What came back.
pub(super) struct Answer {
    /// `None` when nothing came in time, or the connection broke.
    pub(super) reply: Option<Received>,
    /// Why there is no reply.
    pub(super) problem: Option<String>,
    pub(super) took: Duration,
    /// What the provider makes of it; of a verification, nothing.
    pub(super) judgement: Option<Judgement>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// The rest of a body that is far too long for the provider is not read.
    pub(super) body: Bytes,
}

/// The header by which our gateway says that an answer is the declared one.
const FALLBACK: &str = "x-hookgate-fallback";

/// More of a body is not read than this many times what the provider takes.
const MOST_BODIES: usize = 4;

impl Received {
    pub(super) fn as_answer(&self) -> hookgate_hooks::Answer<'_> {
        let content_type = self.header(CONTENT_TYPE.as_str());
        hookgate_hooks::Answer { status: self.status, content_type, body: &self.body }
    }

    pub(super) fn as_verification(&self) -> VerificationReply<'_> {
        VerificationReply { status: self.status, headers: &self.headers, body: &self.body }
    }

    /// Why a gateway of ours gave the declared answer, `on_failure`.
    pub(super) fn fallback(&self) -> Option<&str> {
        self.header(FALLBACK)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; `null` when it is none.
    pub(super) fn value(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.status, &self.body) == (other.status, &other.body)
    }
}

impl Answer {
    fn of(reply: Option<Received>, problem: Option<String>, took: Duration) -> Self {
        Self { reply, problem, took, judgement: None }
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.reply.as_ref().map(|reply| reply.status)
    }

    /// Whether the provider takes it.
    pub(super) fn is_good(&self) -> bool {
        self.judgement.as_ref().is_some_and(Judgement::is_valid)
    }
}

/// Between the halves of a slow body.
const PAUSE: Duration = Duration::from_millis(500);

impl Client {
    /// A client that calls as this provider does. `proof` is what tells the gateway who calls.
    pub(super) fn new(url: Url, caller: &Caller, proof: HeaderMap, any_certificate: bool) -> Result<Self> {
        // An error means that one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(Duration::from_millis(caller.patience_ms))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_danger_accept_invalid_certs(any_certificate)
            .build()
            .context("no HTTP client could be made")?;
        let mut headers = own_headers(caller)?;
        // What is given takes the place of what the provider sends.
        headers.extend(proof);
        Ok(Self { http, url, headers, most_body: caller.max_reply_bytes.saturating_mul(MOST_BODIES) })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// One call.
    ///
    /// # Errors
    /// Nothing listens there.
    pub(super) async fn call(&self, sealed: &SealedCall, slowly: bool) -> Result<Answer> {
        let SealedCall { headers, body } = sealed;
        let body = if slowly { reqwest::Body::wrap(Halves::of(body)) } else { body.clone().into() };
        self.send(self.http.post(self.url.clone()).headers(headers.clone()).body(body)).await
    }

    /// The one-time verification of an address.
    ///
    /// # Errors
    /// Nothing listens there.
    pub(super) async fn verify(&self, asked: &VerificationRequest) -> Result<Answer> {
        let mut request = self.http.request(asked.method.clone(), self.url.clone());
        if !asked.query.is_empty() {
            request = request.query(&asked.query);
        }
        for (name, value) in &asked.headers {
            request = request.header(*name, value);
        }
        self.send(request).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let request = request.headers(self.headers.clone());
        let started = Instant::now();
        let received = read(request, self.most_body).await;
        let took = started.elapsed();
        match received {
            Ok(reply) => Ok(Answer::of(Some(reply), None, took)),
            Err(error) if error.is_connect() && !error.is_timeout() => self.unreachable(error),
            Err(error) if error.is_timeout() => Ok(Answer::of(None, Some("no answer came in time".into()), took)),
            Err(error) => Ok(Answer::of(None, Some(innermost(&error)), took)),
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> Result<Answer> {
        let url = self.url.origin().ascii_serialization();
        let problem = innermost(&error);
        if self.url.scheme() == "https" && !problem.contains("refused") {
            bail!("no TLS connection to {url}: {problem} (--insecure takes any certificate)");
        }
        bail!(
            "nothing answers at {url}: {problem}; start the gateway with `hookgate serve`, or name another with --url"
        )
    }
}

/// What every call of the provider has.
fn own_headers(caller: &Caller) -> Result<HeaderMap> {
    let agent = (!caller.agent.is_empty()).then_some((USER_AGENT.as_str(), caller.agent));
    let header = |(name, value): (&str, &str)| Ok((name.parse::<HeaderName>()?, value.parse::<HeaderValue>()?));
    let headers = agent.into_iter().chain(caller.headers.iter().copied()).map(header);
    headers.collect::<Result<HeaderMap>>().context("a header of the hook cannot be sent")
}

async fn read(request: reqwest::RequestBuilder, most_body: usize) -> Result<Received, reqwest::Error> {
    let mut response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > most_body {
            break;
        }
    }
    Ok(Received { status, headers, body: body.freeze() })
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// A body that pauses in its middle.
struct Halves {
    first: Option<Bytes>,
    pause: Option<Pin<Box<Sleep>>>,
    second: Option<Bytes>,
}

impl Halves {
    fn of(body: &Bytes) -> Self {
        let mut first = body.clone();
        let second = first.split_off(body.len() / 2);
        Self { first: Some(first), pause: None, second: Some(second) }
    }
}

impl Body for Halves {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(first) = self.first.take() {
            self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        Poll::Ready(self.second.take().map(|second| Ok(Frame::data(second))))
    }

    fn size_hint(&self) -> SizeHint {
        let left = [&self.first, &self.second].into_iter().flatten().map(|part| part.len() as u64).sum();
        SizeHint::with_exact(left)
    }
}
