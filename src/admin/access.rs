//! Who may ask the admin listener. The token is only ever compared.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::uri::Authority;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What a request must show.
pub struct Access(Option<Zeroizing<Box<[u8]>>>);

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No bearer token, or another.
    Token,
    /// No token is configured, and the request did not ask for a loopback host.
    Host,
}

impl Access {
    /// `Authorization: Bearer TOKEN`. An empty token lets nobody in.
    pub fn token(token: impl Into<Box<[u8]>>) -> Self {
        Self(Some(Zeroizing::new(token.into())))
    }

    /// No token: for a listener on a loopback address. `Host` must be `localhost` or a loopback address.
    pub fn loopback() -> Self {
        Self(None)
    }

    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        match &self.0 {
            Some(token) => bearer(headers)
                .filter(|given| !token.is_empty() && bool::from(given.ct_eq(token)))
                .map(|_| ())
                .ok_or(Denied::Token),
            None if asks_for_loopback(headers) => Ok(()),
            None => Err(Denied::Host),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

fn asks_for_loopback(headers: &HeaderMap) -> bool {
    let Some(authority) = headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok()) else {
        return false;
    };
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
