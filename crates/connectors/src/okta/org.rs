//! Requests to an org: who we are, one more try with a new token, our share of the rate limit, and what its answers mean.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use crate::client::{Answer, Client, Outgoing};
use crate::okta_log::access::{Access, Shown};
use crate::rate_limit;
use crate::rate_limit::Share;
use crate::redact::Redact;
use crate::unsent::Unsent;
use crate::{Order, Trouble, What};
use hookgate_model::question;
use hookgate_model::question::Reason;
use hookgate_model::secret::Ring;

/// The longest answer, also of a page.
pub(super) const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// After a 429 that does not say until when.
const UNSAID_REST: Duration = Duration::from_secs(5);

/// All but what never needs to be encoded (RFC 3986 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Addresses that Okta counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Family {
    /// One user, by id or login.
    User,
    /// Lists of users.
    Users,
    UserGroups,
    Groups,
    Apps,
    /// Changes.
    Changes,
}

pub(super) struct Org {
    client: Client,
    url: Url,
    access: Access,
    rate_share: f64,
    windows: Mutex<HashMap<Family, Window>>,
}

struct Window {
    share: Share,
    rest: Option<Instant>,
}

impl Org {
    pub(super) fn new(client: Client, url: Url, access: Access, rate_share: f64) -> Self {
        Self { client, url, access, rate_share, windows: Mutex::default() }
    }

    pub(super) fn secrets(&self) -> Vec<Arc<Ring>> {
        self.access.secrets()
    }

    /// What must not be told of an answer.
    pub(super) fn redact(&self) -> Redact {
        self.access.redact()
    }

    /// Asks for something; the path is that of a request, encoded.
    pub(super) async fn look(&self, path: &str, family: Family) -> Result<Answer, question::Trouble> {
        let request = self.request(Method::GET, path).map_err(question::Trouble::from)?;
        // One byte more than may be is too much.
        self.exchange(family, request, |request| self.client.look(request, MAX_ANSWER_BYTES + 1)).await
    }

    /// Changes something for an order.
    pub(super) async fn change(&self, order: &Order, method: Method, path: &str) -> Result<Answer, Trouble> {
        let request = self.request(method, path).map_err(Trouble::from)?;
        self.exchange(Family::Changes, request, |request| self.client.send(order, request)).await
    }

    async fn exchange<E: From<Unsent>, F: Future<Output = Result<Answer, E>>>(
        &self,
        family: Family,
        request: Outgoing,
        send: impl Fn(Outgoing) -> F,
    ) -> Result<Answer, E> {
        self.room(family)?;
        let shown = self.access.proof(&self.client).await?;
        let answer = send(with(&request, &shown)).await?;
        self.count(family, &answer);
        // A 401 says that nothing was done.
        if answer.status != 401 || !self.access.forget(&shown) {
            return Ok(answer);
        }
        let shown = self.access.proof(&self.client).await?;
        let answer = send(with(&request, &shown)).await?;
        self.count(family, &answer);
        Ok(answer)
    }

    fn request(&self, method: Method, path: &str) -> Result<Outgoing, Unsent> {
        let url = self.url.join(path).ok().filter(|url| url.origin() == self.url.origin());
        let url = url.ok_or_else(|| Unsent::new(Reason::Rejected, "this id leads out of the org"))?;
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        Ok(Outgoing { method, url, headers, body: Bytes::new() })
    }

    /// # Errors
    /// Our share is used up, until the window ends.
    fn room(&self, family: Family) -> Result<(), Unsent> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = windows.get(&family).and_then(|window| window.rest);
        let Some(wait) = rest.and_then(|rest| rest.checked_duration_since(Instant::now())) else { return Ok(()) };
        let percent = self.rate_share * 100.0;
        let text = format!(
            "our share ({percent:.0} %) of the org's rate limit is used up, for {} s: nothing was asked",
            wait.as_secs() + 1
        );
        Err(Unsent { retry_after: Some(wait), ..Unsent::new(Reason::Limited, text) })
    }

    /// Of the window of which most is used.
    pub(super) fn quota_used(&self) -> Option<f64> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.values().filter_map(|window| window.share.quota_used()).max_by(f64::total_cmp)
    }

    fn count(&self, family: Family, answer: &Answer) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Window { share: Share::new(self.rate_share), rest: None };
        let window = windows.entry(family).or_insert_with(new);
        let spent = window.share.after(&answer.headers);
        let limited = (answer.status == 429).then(|| wait(answer));
        if let Some(rest) = spent.max(limited) {
            window.rest = Instant::now().checked_add(rest);
        }
    }

    /// What an answer means that is none: to a question.
    pub(super) fn refusal(&self, answer: &Answer, what: &str, scope: &str, role: &str) -> question::Trouble {
        let reason = match answer.status {
            401 | 403 | 407 => Reason::Denied,
            429 => Reason::Limited,
            408 | 500.. => Reason::Unreachable,
            200..=299 => Reason::BadAnswer,
            _ => Reason::Rejected,
        };
        question::Trouble::new(reason, self.told(answer, what, scope, role))
    }

    /// The same to an order.
    pub(super) fn trouble(&self, answer: &Answer, what: &str, scope: &str, role: &str) -> Trouble {
        let retry = match answer.status {
            429 => Some(Some(wait(answer))),
            408 | 500.. => Some(answer.retry_after),
            _ => None,
        };
        let what_of = retry.map_or(What::Refused, |retry_after| What::NotDelivered { retry_after });
        Trouble { what: what_of, status: Some(answer.status), message: self.told(answer, what, scope, role) }
    }

    fn told(&self, answer: &Answer, what: &str, scope: &str, role: &str) -> String {
        let status = answer.status;
        let said = self.said(answer);
        match status {
            401 => format!("Okta answered 401: {}{said}", self.access.mend()),
            403 => format!("Okta answered 403: {}{said}", self.access.permit(what, scope, role)),
            404 if !is_okta(answer) => format!("Okta answered 404: is `org_url` the address of an org?{said}"),
            300..=399 => {
                format!("Okta answered {status}, a redirect, and none is followed: is `org_url` the org's own address?")
            }
            429 => {
                format!("Okta answered 429: the org's rate limit is used up, for {} s{said}", wait(answer).as_secs())
            }
            200..=299 => format!("Okta answered {status}, and not with what was asked for"),
            _ => format!("Okta answered {status}{said}"),
        }
    }

    fn said(&self, answer: &Answer) -> String {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let redact = self.access.redact();
        let (code, summary) = (body["errorCode"].as_str(), body["errorSummary"].as_str());
        match (code, summary) {
            (Some(code), Some(summary)) => format!(" (it said: {}: {})", redact.excerpt(code), redact.excerpt(summary)),
            _ => match answer.said(&redact) {
                said if said.is_empty() => said,
                said => format!(" (it said: {said})"),
            },
        }
    }

    /// Where the link to the next page leads, if that is within the org and to the same list.
    pub(super) fn next<'a>(&self, link: &'a str, path: &str) -> Option<&'a str> {
        let url = Url::parse(link).ok()?;
        let same = url.origin() == self.url.origin() && url.username().is_empty() && url.password().is_none();
        let asked = path.split('?').next().unwrap_or_default();
        if same && url.path() == asked { Some(link) } else { None }
    }
}

/// How long a 429 asks us to rest.
fn wait(answer: &Answer) -> Duration {
    rate_limit::until_reset(&answer.headers).or(answer.retry_after).unwrap_or(UNSAID_REST)
}

fn with(request: &Outgoing, shown: &Shown) -> Outgoing {
    let mut request = request.clone();
    request.headers.insert(AUTHORIZATION, shown.value.clone());
    request
}

/// An error in Okta's own form, so that a 404 is about what was asked for and not about the address.
pub(super) fn is_okta(answer: &Answer) -> bool {
    error_code(answer).is_some_and(|code| code.starts_with('E'))
}

/// `E0000007`.
pub(super) fn error_code(answer: &Answer) -> Option<String> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    body["errorCode"].as_str().map(str::to_owned)
}

/// An id or a login as one segment of a path.
///
/// # Errors
/// It is none: it would lead elsewhere, or to ourselves.
pub(super) fn segment(id: &str) -> Result<String, String> {
    let refuse = |why: &str| Err(format!("this is no id and no login: it {why}"));
    if id.trim().is_empty() {
        return refuse("is empty");
    }
    // `me` is whoever asks.
    if id.eq_ignore_ascii_case("me") || id.chars().all(|c| c == '.') {
        return refuse("means something else in an address");
    }
    // Okta finds no login with a `/` by its address, and some servers read an encoded one as a part of the path.
    if id.chars().any(|c| c.is_control() || matches!(c, '/' | '\\')) {
        return refuse("has a `/`, a `\\` or a control character in it");
    }
    Ok(utf8_percent_encode(id, SEGMENT).to_string())
}
