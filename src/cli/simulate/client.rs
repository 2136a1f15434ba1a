//! The HTTP side of `simulate`: one call, as patient as Okta and no more.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;
use url::Url;

use crate::hooks::Reply;

#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
}

/// What came back.
pub(super) struct Answer {
    /// `None` when nothing came in time, or the connection broke.
    pub(super) reply: Option<Reply>,
    /// Why there is no reply.
    pub(super) problem: Option<String>,
    pub(super) took: Duration,
}

/// Between the halves of a slow body.
const PAUSE: Duration = Duration::from_millis(500);

impl Client {
    pub(super) fn new(url: Url, headers: HeaderMap, patience: Duration, any_certificate: bool) -> Result<Self> {
        // An error means that one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(patience)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_danger_accept_invalid_certs(any_certificate)
            .build()
            .context("no HTTP client could be made")?;
        Ok(Self { http, url, headers })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// One call.
    ///
    /// # Errors
    /// Nothing listens there.
    pub(super) async fn post(&self, body: &Bytes, slowly: bool) -> Result<Answer> {
        let body = if slowly { reqwest::Body::wrap(Halves::of(body)) } else { body.clone().into() };
        self.send(self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body)).await
    }

    /// The one-time verification of an event hook.
    ///
    /// # Errors
    /// Nothing listens there.
    pub(super) async fn challenge(&self, challenge: &str) -> Result<Answer> {
        self.send(self.http.get(self.url.clone()).header("x-okta-verification-challenge", challenge)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let okta = HeaderValue::from_static("Okta-Integrations");
        let request = request.header(USER_AGENT, okta).header(ACCEPT, "application/json").headers(self.headers.clone());
        let started = Instant::now();
        let received = async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            Ok(Reply { status, body: response.bytes().await?, ..Reply::empty(status) })
        };
        let received: Result<Reply, reqwest::Error> = received.await;
        let took = started.elapsed();
        match received {
            Ok(reply) => Ok(Answer { reply: Some(reply), problem: None, took }),
            Err(error) if error.is_connect() && !error.is_timeout() => self.unreachable(error),
            Err(error) if error.is_timeout() => {
                Ok(Answer { reply: None, problem: Some("no answer came in time".into()), took })
            }
            Err(error) => Ok(Answer { reply: None, problem: Some(innermost(&error)), took }),
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
