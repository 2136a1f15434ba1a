//! The proxy that a connector's requests go through, where its settings name one.
//!
//! It is what is connected to, so it is its address that is judged after the look-up. The names of targets are looked up by the
//! proxy: of those only what is written as an address can still be refused here.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use url::Url;

use crate::egress;
use crate::egress::Egress;
use crate::setup::{Key, Problem, Setup};
use hookgate_model::secret::{Ring, Secret, SecretSource};

#[cfg(test)]
mod tests;

#[derive(Clone)]
pub struct Proxy {
    url: Url,
    /// `user:password`.
    auth: Option<Key>,
    egress: Egress,
}

impl Proxy {
    /// # Errors
    /// It is no address of a proxy, or may not be connected to; its secret is not there.
    pub fn new(
        setup: &Setup<'_>,
        written: &str,
        auth: Option<&SecretSource>,
        allow_private: bool,
    ) -> Result<Self, Vec<Problem>> {
        let egress = Egress::new(allow_private);
        let url = match auth {
            Some(_) => egress::target_of_secret(written, &egress),
            None => egress::target(written, &egress),
        };
        let own = |text: String| text.replace("`allow_private = true`", "`proxy = { url = …, allow_private = true }`");
        let url = url.map_err(|text| vec![Problem::bad_value("proxy", own(text))])?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(vec![Problem::bad_value(
                "proxy",
                "is the address of a proxy and nothing more: no path, no `?`",
            )]);
        }
        let auth = auth.map(|auth| setup.secret("proxy.auth", auth)).transpose()?;
        Ok(Self { url, auth, egress })
    }

    /// What is to be read again when files change.
    pub fn rings(&self) -> Vec<Arc<Ring>> {
        self.auth.iter().flat_map(Key::rings).collect()
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn egress(&self) -> &Egress {
        &self.egress
    }

    pub(super) fn current(&self) -> Option<Arc<Secret>> {
        self.auth.as_ref().map(Key::current).filter(|secret| !secret.expose().is_empty())
    }

    pub(super) fn of_client(&self) -> reqwest::Result<reqwest::Proxy> {
        let proxy = reqwest::Proxy::all(self.url.clone())?;
        let Some(secret) = self.current() else { return Ok(proxy) };
        let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(secret.expose())));
        Ok(value.map_or(proxy.clone(), |mut value| {
            value.set_sensitive(true);
            proxy.custom_http_auth(value)
        }))
    }
}
