//! Settings that are a text, or the place of a secret where the text would be one: headers, and addresses that let in whoever
//! knows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::Trouble;
use crate::client;
use crate::client::Client;
use crate::http::auth::header_secret;
use crate::redact::Redact;
use crate::setup::{Key, Problem, Setup};
use hookgate_model::secret::literal;
use hookgate_model::secret::{Ring, Secret, SecretSource};

/// Headers that belong to the request itself.
const OWN_HEADERS: [&str; 8] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "idempotency-key",
    "x-hook-event-id",
    "user-agent",
];

/// A text, or where the secret is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Setting {
    /// The text itself, which is no secret.
    Text(String),
    /// A secret.
    Secret(SecretSource),
}

/// Headers of every request.
pub(crate) struct Headers {
    plain: HeaderMap,
    secret: Vec<(HeaderName, Key)>,
}

impl Headers {
    /// # Errors
    /// What is no header, belongs to the request itself, or is a secret that is not there.
    pub(crate) fn new(setup: &Setup<'_>, written: &BTreeMap<String, Setting>) -> Result<Self, Vec<Problem>> {
        let mut headers = Self { plain: HeaderMap::new(), secret: Vec::new() };
        let mut problems = Vec::new();
        for (written, setting) in written {
            let key = format!("headers.{written}");
            let name = HeaderName::from_bytes(written.as_bytes());
            if OWN_HEADERS.contains(&written.to_ascii_lowercase().as_str()) {
                problems.push(Problem::bad_value(&key, format!("`{written}` is set by hookgate itself")));
                continue;
            }
            if matches!(setting, Setting::Text(text) if literal::is_secret(written, text)) {
                let message = format!("`{written}` holds a secret, and a secret is never written into the file");
                problems.push(Problem::bad_value(&key, message).help("use `auth`, or `{ env = … }` or `{ file = … }`"));
                continue;
            }
            match (name, setting) {
                (Ok(name), Setting::Secret(source)) => match header_secret(setup, &key, source) {
                    Ok(secret) => headers.secret.push((name, secret)),
                    Err(found) => problems.extend(found),
                },
                (Ok(name), Setting::Text(text)) if HeaderValue::from_str(text).is_ok() => {
                    headers.plain.extend(HeaderValue::from_str(text).map(|value| (name, value)));
                }
                _ => problems.push(Problem::bad_value(&key, "is not an HTTP header")),
            }
        }
        if problems.is_empty() { Ok(headers) } else { Err(problems) }
    }

    /// Adds them to those of a request.
    ///
    /// # Errors
    /// A secret has characters that no header can hold.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) -> Result<(), Trouble> {
        headers.extend(self.plain.clone());
        for (name, key) in &self.secret {
            headers.insert(name, client::secret_value(key.current().expose())?);
        }
        Ok(())
    }

    pub(crate) fn redact(&self, redact: Redact) -> Redact {
        self.secret.iter().fold(redact, |redact, (_, key)| redact.and(&key.current()))
    }

    pub(crate) fn rings(&self) -> Vec<Arc<Ring>> {
        self.secret.iter().flat_map(|(_, key)| key.rings()).collect()
    }
}

/// An address that paths are added to.
pub(crate) enum Base {
    Plain(Url),
    Secret(Key),
}

impl Base {
    /// # Errors
    /// It is no address, may not be reached, or is a secret that is not there.
    pub(crate) fn new(
        setup: &Setup<'_>,
        written: &Setting,
        client: &Client,
        traffic: Traffic,
    ) -> Result<Self, Vec<Problem>> {
        match (written, traffic) {
            (Setting::Text(text), Traffic::Plain) => client::base(text, client).map(Self::Plain),
            (Setting::Text(text), Traffic::Secret) => client::base_of_secret(text, client).map(Self::Plain),
            (Setting::Secret(source), _) => {
                let key = setup.secret("base_url", source)?;
                let egress = client.egress().clone();
                let is_address = move |secret: &Secret| client::secret_base(secret, &egress).map(drop);
                key.demand(is_address).map_err(|text| Problem::bad_value("base_url", text)).map(|()| Self::Secret(key))
            }
        }
        .map_err(|problem| vec![problem])
    }

    /// The address as it is now.
    ///
    /// # Errors
    /// It is none any more, or was not looked for.
    pub(crate) fn current(&self, client: &Client) -> Result<Url, String> {
        match self {
            Self::Plain(url) => Ok(url.clone()),
            Self::Secret(key) => {
                client::secret_base(&key.current(), client.egress()).map_err(|text| format!("its `base_url` {text}"))
            }
        }
    }

    pub(crate) fn redact(&self, redact: Redact) -> Redact {
        match self {
            Self::Plain(_) => redact,
            Self::Secret(key) => redact.and(&key.current()),
        }
    }

    pub(crate) fn rings(&self) -> Vec<Arc<Ring>> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Secret(key) => key.rings(),
        }
    }
}

/// Whether a secret goes out to an address, which then must not be in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    Plain,
    Secret,
}
