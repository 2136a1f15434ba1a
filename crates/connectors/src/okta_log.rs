//! Okta's System Log: `GET /api/v1/logs`, page by page (contract: event hooks, sections 5.3 and 6).
//!
//! Never leaves the org: a `next` link to another host is refused, and so is a redirect. Never uses more of the rate limit
//! than its share. Writes nothing.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LINK};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use url::Url;

use crate::client::{Answer, Client, Outgoing};
use crate::egress;
use crate::log::{EventLog, From, LogKind, Page, Reading};
use crate::okta_log::access::{Access, Shown, Written};
use crate::rate_limit;
use crate::rate_limit::Share;
use crate::setup::{Problem, Setup};
use crate::{Trouble, What};
use hookgate_model::secret::{Ring, SecretSource};

pub(crate) mod access;
mod check;
mod filter;
#[cfg(test)]
mod tests;

/// Where the log is in an org.
const PATH: &str = "/api/v1/logs";

/// All that is asked for.
const SCOPE: &str = "okta.logs.read";

/// The most events that Okta puts on a page.
const PAGE: &str = "1000";

/// A page of the longest events there are is shorter.
const MAX_PAGE_BYTES: usize = 32 * 1024 * 1024;

pub(crate) const KIND: LogKind = LogKind {
    name: "okta",
    title: "the System Log",
    about: "Needs `token`, or `client_id` and `private_key`.",
    settings: Settings::json_schema,
    check: check::problems,
    make: |written| {
        let settings = written.setup.read()?;
        Ok(Box::new(SystemLog::new(&written.setup, settings, written.rate_share, written.types)?))
    },
    needs: &["scope `okta.logs.read`, or an administrator who may only read"],
};

/// An org, and who we are there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The address of the org and nothing more, such as `https://example.okta.com`.
    #[schemars(length(min = 1))]
    org_url: String,
    /// An API token of an administrator who may read the log and nothing else.
    token: Option<SecretSource>,
    /// A service app with the scope `okta.logs.read`, instead of a token. What it does at the provider reaches no rule.
    #[schemars(length(min = 1))]
    client_id: Option<String>,
    /// The private key of the app, in PEM form.
    private_key: Option<SecretSource>,
    /// Which of the app's keys it is, where there are several.
    #[schemars(length(min = 1))]
    key_id: Option<String>,
}

struct SystemLog {
    client: Client,
    org: Url,
    access: Access,
    /// The app that reads, if it is one.
    client_id: Option<String>,
    filter: Option<String>,
    label: String,
    share: Mutex<Share>,
}

impl SystemLog {
    /// `types` are event types as rules name them.
    ///
    /// # Errors
    /// Everything that is wrong with the settings.
    fn new(setup: &Setup<'_>, settings: Settings, rate_share: f64, types: &[String]) -> Result<Self, Vec<Problem>> {
        let client = Client::new(setup, None);
        let org = egress::target(&settings.org_url, client.egress());
        let org = org.map_err(|problem| vec![Problem::bad_value("org_url", problem)])?;
        let written = Written {
            token: settings.token.as_ref(),
            client_id: settings.client_id.as_deref(),
            private_key: settings.private_key.as_ref(),
            key_id: settings.key_id.as_deref(),
            scope: SCOPE.to_owned(),
        };
        let access = Access::new(setup, written, &org)?;
        let filter = filter::of(types);
        let read = format!("{} {}", org.origin().ascii_serialization(), filter.as_deref().unwrap_or("*"));
        let label = hex::encode(&Sha256::digest(read)[..8]);
        let share = Mutex::new(Share::new(rate_share));
        Ok(Self { client, org, access, client_id: settings.client_id, filter, label, share })
    }

    async fn page(&self, from: &From) -> Result<Page, Trouble> {
        let url = match from {
            From::Window { since, until } => self.first(*since, *until)?,
            From::Next(link) => self.within(link)?,
        };
        let (mut answer, shown) = self.get(&url).await?;
        if answer.status == 401 && self.access.forget(&shown) {
            answer = self.get(&url).await?.0;
        }
        let rest = self.share.lock().unwrap_or_else(PoisonError::into_inner).after(&answer.headers);
        match answer.status {
            200 if answer.complete => {}
            200 => return Err(Trouble::not_delivered("Okta broke off in the middle of a page, or it is too long")),
            _ => return Err(self.refusal(&answer)),
        }
        let next = self.next(&answer.headers)?;
        Ok(Page { events: events(answer.body.into())?, next, rest })
    }

    async fn get(&self, url: &Url) -> Result<(Answer, Shown), Trouble> {
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let shown = self.access.proof(&self.client).await?;
        headers.insert(AUTHORIZATION, shown.value.clone());
        let request = Outgoing { method: Method::GET, url: url.clone(), headers, body: Bytes::new() };
        Ok((self.client.ask(request, MAX_PAGE_BYTES).await?, shown))
    }

    fn first(&self, since: i64, until: i64) -> Result<Url, Trouble> {
        let time = |ms: i64| {
            let time = Timestamp::from_millisecond(ms);
            time.map(|time| format!("{time:.3}")).map_err(|_| Trouble::refused("the clock is beyond every calendar"))
        };
        let mut url = self.org.clone();
        url.set_path(PATH);
        let (since, until) = (time(since)?, time(until)?);
        let mut query = url.query_pairs_mut();
        query.append_pair("since", &since).append_pair("until", &until);
        query.append_pair("sortOrder", "ASCENDING").append_pair("limit", PAGE);
        if let Some(filter) = &self.filter {
            query.append_pair("filter", filter);
        }
        drop(query);
        Ok(url)
    }

    /// A link that leads to the log of this org.
    fn within(&self, link: &str) -> Result<Url, Trouble> {
        let url = Url::parse(link).ok().filter(|url| {
            let same = url.origin() == self.org.origin() && url.path() == PATH;
            same && url.username().is_empty() && url.password().is_none()
        });
        url.ok_or_else(|| {
            Trouble::refused(
                "the link to the next page leads away from the System Log of `org_url`, and is not followed: \
                 is `org_url` the address that Okta itself uses for the org?",
            )
        })
    }

    fn next(&self, headers: &HeaderMap) -> Result<Option<String>, Trouble> {
        next_link(headers).map(|link| self.within(link).map(String::from)).transpose()
    }

    /// Why there is no page, and what to do.
    fn refusal(&self, answer: &Answer) -> Trouble {
        let said = answer.said(&self.access.redact());
        let said = if said.is_empty() { String::new() } else { format!(" (it said: {said})") };
        let status = answer.status;
        let what = match status {
            429 => {
                let wait = rate_limit::until_reset(&answer.headers)
                    .or(answer.retry_after)
                    .unwrap_or(rate_limit::UNKNOWN_RESET);
                What::NotDelivered { retry_after: Some(wait) }
            }
            408 | 500.. => What::NotDelivered { retry_after: answer.retry_after },
            _ => What::Refused,
        };
        let message = match status {
            401 => format!("Okta answered 401: {}{said}", self.access.mend()),
            403 => {
                format!("Okta answered 403: {}{said}", self.access.permit("read the System Log", SCOPE, "Read Only"))
            }
            404 => format!("Okta answered 404: is `org_url` the address of an org?{said}"),
            300..=399 => {
                format!("Okta answered {status}, a redirect, and none is followed: is `org_url` the org's own address?")
            }
            429 => format!("Okta answered 429: the org's rate limit is used up{said}"),
            _ => format!("Okta answered {status}{said}"),
        };
        Trouble { what, status: Some(status), message }
    }
}

impl EventLog for SystemLog {
    fn label(&self) -> &str {
        &self.label
    }

    fn read<'a>(&'a self, from: &'a From) -> Reading<'a> {
        Box::pin(self.page(from))
    }

    fn own_actors(&self) -> Vec<String> {
        self.client_id.iter().cloned().collect()
    }

    fn secrets(&self) -> Vec<Arc<Ring>> {
        self.access.secrets()
    }
}

/// The events of a page, byte for byte.
fn events(body: Bytes) -> Result<Vec<Bytes>, Trouble> {
    let raw: Vec<&RawValue> = serde_json::from_slice(&body).map_err(|problem| {
        Trouble::refused(format!("Okta answered 200 without a list of events ({problem}): is `org_url` an org?"))
    })?;
    Ok(raw.into_iter().map(|event| body.slice_ref(event.get().as_bytes())).collect())
}

/// Where the next page is, of all links of an answer.
pub(super) fn next_link(headers: &HeaderMap) -> Option<&str> {
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    links.flat_map(links_of).find(|(_, parameters)| is_next(parameters)).map(|(link, _)| link)
}

/// The addresses of a `Link` header with their parameters. Addresses may hold commas.
fn links_of(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split('<').skip(1).filter_map(|link| link.split_once('>'))
}

fn is_next(parameters: &str) -> bool {
    let parameters = parameters.split([';', ',']).filter_map(|parameter| parameter.split_once('='));
    let mut relations = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("rel"));
    relations.any(|(_, value)| value.trim().trim_matches('"').eq_ignore_ascii_case("next"))
}
