//! Sessions of browsers: a token once, a cookie from then on. They live in memory and end with the process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::admin::access::Role;

/// The name of the cookie.
pub const NAME: &str = "hookgate_session";

/// How long a session lasts, whatever is done in it.
pub const LASTS: Duration = Duration::from_hours(12);

/// Sessions at once; one more ends the oldest of the role that has more of them, so that readers end none of an operator.
const MOST: usize = 256;

/// Bytes of a cookie before they are written as text.
const RANDOM_BYTES: usize = 32;

/// The sessions that are open, by the SHA-256 of their cookie: the cookie itself is kept nowhere.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Open>>);

struct Open {
    role: Role,
    begun: Instant,
}

/// A session that has just begun.
pub struct Session {
    pub role: Role,
    /// What the log of changes calls it: six digits of the hash of its cookie.
    pub name: String,
    pub expires_at: Timestamp,
    /// The value of the cookie: the only copy.
    cookie: String,
}

impl Session {
    /// The value of `Set-Cookie`. `secure` where the browser came by HTTPS: it then never sends the cookie without.
    pub fn set_cookie(&self, secure: bool) -> String {
        cookie(&self.cookie, LASTS.as_secs(), secure)
    }
}

/// `Set-Cookie` that makes a browser forget its session.
pub fn forget_cookie() -> String {
    cookie("", 0, false)
}

fn cookie(value: &str, seconds: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{NAME}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict{secure}")
}

/// A session that a request belongs to.
pub(super) struct Found {
    pub(super) role: Role,
    pub(super) name: String,
}

impl Sessions {
    pub(super) fn begin(&self, role: Role) -> Session {
        let mut random = [0_u8; RANDOM_BYTES];
        let source = rustls::crypto::ring::default_provider().secure_random;
        source.fill(&mut random).expect("a system that gives no random numbers could not have started TLS");
        let cookie = URL_SAFE_NO_PAD.encode(random);
        let hash = hash(&cookie);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| session.begun.elapsed() < LASTS);
        if open.len() >= MOST {
            let readers = open.values().filter(|session| session.role == Role::Reader).count();
            let role = if readers * 2 > open.len() { Role::Reader } else { Role::Operator };
            let of_role = open.iter().filter(|(_, session)| session.role == role);
            let oldest = of_role.min_by_key(|(_, session)| session.begun).map(|(hash, _)| *hash);
            oldest.map(|hash| open.remove(&hash));
        }
        open.insert(hash, Open { role, begun: Instant::now() });
        Session { role, name: name(&hash), expires_at: Timestamp::now() + LASTS, cookie }
    }

    pub(super) fn find(&self, headers: &HeaderMap) -> Option<Found> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cookies(headers).find_map(|hash| {
            let session = open.get(&hash).filter(|session| session.begun.elapsed() < LASTS)?;
            Some(Found { role: session.role, name: name(&hash) })
        })
    }

    pub(super) fn end(&self, headers: &HeaderMap) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for hash in cookies(headers) {
            open.remove(&hash);
        }
    }
}

/// The hashes of all cookies of our name; another program on this host may have set one, too.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = [u8; 32]> {
    let all = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == NAME).take(8).map(|(_, value)| hash(value))
}

fn hash(cookie: &str) -> [u8; 32] {
    Sha256::digest(cookie.as_bytes()).into()
}

fn name(hash: &[u8; 32]) -> String {
    hex::encode(&hash[..3])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(cookie: &str) -> HeaderMap {
        let value = format!("theme=dark; {NAME}=of-another-program; {NAME}={cookie}");
        [(COOKIE, value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_session_is_found_by_its_cookie_until_it_is_ended() {
        let sessions = Sessions::default();
        let session = sessions.begin(Role::Reader);
        let found = sessions.find(&sent(&session.cookie)).unwrap();
        assert_eq!((found.role, &found.name), (Role::Reader, &session.name));
        assert!(sessions.find(&sent(&session.cookie[1..])).is_none());
        assert!(sessions.find(&sent("")).is_none());
        assert!(sessions.find(&sent(&session.name)).is_none(), "its name opens nothing");
        sessions.end(&sent(&session.cookie));
        assert!(sessions.find(&sent(&session.cookie)).is_none());
    }

    #[test]
    fn one_session_too_many_ends_the_oldest() {
        let sessions = Sessions::default();
        let all: Vec<Session> = (0..=MOST).map(|_| sessions.begin(Role::Operator)).collect();
        assert!(sessions.find(&sent(&all[0].cookie)).is_none());
        assert!(all[1..].iter().all(|session| sessions.find(&sent(&session.cookie)).is_some()));
    }

    #[test]
    fn readers_end_no_session_of_an_operator() {
        let sessions = Sessions::default();
        let operator = sessions.begin(Role::Operator);
        let readers: Vec<Session> = (0..2 * MOST).map(|_| sessions.begin(Role::Reader)).collect();
        assert!(sessions.find(&sent(&operator.cookie)).is_some());
        assert!(sessions.find(&sent(&readers[0].cookie)).is_none());
        assert!(sessions.find(&sent(&readers[2 * MOST - 1].cookie)).is_some());
    }

    #[test]
    fn scripts_and_other_sites_do_not_get_the_cookie() {
        let session = Sessions::default().begin(Role::Operator);
        let plain = session.set_cookie(false);
        assert_eq!(session.cookie.len(), 43, "256 bits");
        assert_eq!(plain, format!("{NAME}={}; Max-Age=43200; Path=/; HttpOnly; SameSite=Strict", session.cookie));
        assert_eq!(session.set_cookie(true), format!("{plain}; Secure"));
    }
}
