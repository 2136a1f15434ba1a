//! Questions to an API: `GET`, or a `POST` of a query, and what its answer means.
//!
//! Every status is an answer that the script may look at, but for those that say something about us or about the way there.

use crate::Probed;
use crate::client;
use crate::client::{Answer, Outgoing};
use crate::http::Api;
use crate::http::KIND;
use bytes::Bytes;
use hookgate_model::question::{Ask, Question, Reason, Trouble};
use http::Method;
use http::header::{ACCEPT, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use url::Url;

#[cfg(test)]
mod tests;

impl Api {
    pub(super) async fn answer(&self, question: &Question) -> Result<Value, Trouble> {
        match &question.ask {
            Ask::Http { path, body } => self.said(path, body.as_ref()).await,
            Ask::Verify(asked) => self.verified(asked).await,
            _ => Err(question.not_for(KIND.name)),
        }
    }

    /// `{ status, text }`.
    async fn said(&self, path: &str, body: Option<&Value>) -> Result<Value, Trouble> {
        let url = self.url(path).map_err(|text| Trouble::new(Reason::Rejected, text))?;
        let request = match body {
            None => self.question(Method::GET, url, Bytes::new()),
            Some(body) => self.question(Method::POST, url, body.to_string().into()),
        }?;
        // One byte more than may be is too much.
        let answer = self.exchange(request, self.max_answer_bytes + 1).await?;
        self.about_us(&answer)?;
        let status = answer.status;
        let text = text(answer, self.max_answer_bytes)?;
        Ok(json!({ "status": status, "text": text }))
    }

    /// What `hookgate check --online` says.
    pub(super) async fn probed(&self) -> Result<Probed, Trouble> {
        let path = self.probe.as_deref().unwrap_or_default();
        let url = self.url(path).map_err(|text| Trouble::new(Reason::Rejected, text))?;
        if self.probe.is_none() {
            let found = self.client.reach(&url).await?;
            return Ok(Probed { found, needs: Vec::new() });
        }
        let request = self.question(Method::GET, url, Bytes::new())?;
        let answer = self.exchange(request, 0).await?;
        self.about_us(&answer)?;
        match answer.status {
            200..=299 => Ok(Probed { found: format!("it answered {} to `probe`", answer.status), needs: Vec::new() }),
            408 | 500.. => Err(Trouble::new(Reason::Unreachable, format!("it answered {} to `probe`", answer.status))),
            401 | 403 => Err(Trouble::new(Reason::Denied, format!("it answered {} to `probe`", answer.status))),
            _ => Err(Trouble::new(Reason::Rejected, format!("it answered {} to `probe`", answer.status))),
        }
    }

    fn question(&self, method: Method, url: Url, body: Bytes) -> Result<Outgoing, Trouble> {
        let mut headers = if method == Method::POST { client::json() } else { HeaderMap::new() };
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let unfit = |trouble: crate::Trouble| Trouble::new(Reason::Denied, trouble.message);
        self.headers.add_to(&mut headers).map_err(unfit)?;
        Ok(Outgoing { method, url, headers, body })
    }

    async fn exchange(&self, request: Outgoing, most: usize) -> Result<Answer, Trouble> {
        let shown = self.proof.show(&self.client).await?;
        let answer = self.client.look(shown.on(&request), most).await?;
        if answer.status != 401 || !self.proof.forget(&shown) {
            return Ok(answer);
        }
        let shown = self.proof.show(&self.client).await?;
        self.client.look(shown.on(&request), most).await
    }

    /// # Errors
    /// The status says that we are not let in, that it is too much, or that nobody is there.
    pub(super) fn about_us(&self, answer: &Answer) -> Result<(), Trouble> {
        let status = answer.status;
        let (reason, text) = match status {
            401 | 403 if self.proof.is_some() => {
                (Reason::Denied, "it does not accept what `auth` presents, or that may not do this")
            }
            407 => (Reason::Denied, "the proxy does not know us: give `proxy` the right `auth`"),
            429 => (Reason::Limited, "it allows no more now"),
            502..=504 => (Reason::Unreachable, "it is not there behind what answered"),
            300..=399 => (Reason::Rejected, "a redirect, and none is followed: configure the final address"),
            _ => return Ok(()),
        };
        let wait = answer.retry_after.filter(|_| reason != Reason::Rejected);
        let wait = wait.map_or_else(String::new, |wait| format!(", for {} s", wait.as_secs()));
        Err(Trouble::new(reason, format!("it answered {status}: {text}{wait}")))
    }
}

/// A whole answer, of at most so many bytes.
fn text(answer: Answer, most: usize) -> Result<String, Trouble> {
    if answer.body.len() > most {
        let text = format!("its answer is longer than {most} bytes (`max_answer_bytes`)");
        return Err(Trouble::new(Reason::TooLarge, text));
    }
    match (answer.complete, answer.late) {
        (true, _) => {
            let text = String::from_utf8(answer.body);
            text.map_err(|_| Trouble::new(Reason::BadAnswer, "its answer is not UTF-8"))
        }
        (false, true) => Err(Trouble::new(Reason::Timeout, "its answer did not come to an end in time")),
        (false, false) => Err(Trouble::new(Reason::BadAnswer, "its answer broke off before its end")),
    }
}
