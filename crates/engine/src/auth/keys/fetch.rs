//! Where a key set comes from, and getting it.
//!
//! Never follows an `https` address to plain `http`, and never puts an address's credentials or query into a message.

use std::error::Error;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, Response};
use url::Url;

use crate::auth::error::SetupError;
use crate::auth::keys::set::{KeySet, MAX_SET_BYTES};
use hookgate_model::files::fence::Fence;

/// For a whole fetch. It runs behind the calls, so it may take longer than any of them.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Origin {
    label: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// As the configuration names it.
    File { name: String, fence: Arc<Fence> },
    /// The client is made at the first fetch: it loads the system's certificates.
    Address { url: Url, client: OnceLock<Client> },
}

impl Origin {
    pub(super) fn file(name: &str, fence: Arc<Fence>) -> Self {
        Self { label: format!("`{name}`"), place: Place::File { name: name.to_owned(), fence } }
    }

    pub(super) fn url(url: &str) -> Result<Self, SetupError> {
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = parsed.ok_or_else(|| SetupError::KeysUrl { url: url.to_owned() })?;
        let label = format!("`{}{}`", url.origin().ascii_serialization(), url.path());
        Ok(Self { label, place: Place::Address { url, client: OnceLock::new() } })
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self.place, Place::File { .. })
    }

    /// The keys in the file, where they are in one. The error is for the operator.
    pub(super) fn read(&self) -> Option<Result<KeySet, String>> {
        match &self.place {
            Place::File { name, fence } => Some(KeySet::read(name, fence)),
            Place::Address { .. } => None,
        }
    }

    /// The error is for the operator.
    pub(super) async fn fetch(&self) -> Result<KeySet, String> {
        match &self.place {
            Place::File { name, fence } => {
                let (name, fence) = (name.clone(), fence.clone());
                let read = tokio::task::spawn_blocking(move || KeySet::read(&name, &fence));
                read.await.map_err(|error| error.to_string())?
            }
            Place::Address { url, client } => {
                let client = match client.get() {
                    Some(client) => client,
                    None => {
                        let made = make_client(url).map_err(causes)?;
                        client.get_or_init(|| made)
                    }
                };
                let response = client.get(url.clone()).send().await.map_err(causes)?;
                let response = response.error_for_status().map_err(causes)?;
                KeySet::parse(&body(response).await?)
            }
        }
    }
}

fn make_client(url: &Url) -> reqwest::Result<Client> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only where another thread was quicker, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    Client::builder()
        .timeout(FETCH_TIMEOUT)
        .https_only(url.scheme() == "https")
        .redirect(reqwest::redirect::Policy::limited(3))
        .user_agent(concat!("hookgate/", env!("CARGO_PKG_VERSION")))
        .build()
}

async fn body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(causes)? {
        if body.len() + chunk.len() > MAX_SET_BYTES {
            return Err(format!("the answer is longer than {MAX_SET_BYTES} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error with its causes; reqwest tells the useful part only in those.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
