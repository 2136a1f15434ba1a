//! Logins in records, as they are or as hashes: with a key that the store made for itself, so that nobody who reads the
//! records alone can try names out.

use std::sync::{Arc, OnceLock};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::runtime::Runtime;
use uuid::Uuid;

use hookgate_model::decision::Subject;
use hookgate_store::{Intake, Store, StoreError};

/// Where the key is kept.
const KEY: &str = "key of subjects";

/// What a hashed login begins with.
pub(crate) const MARK: char = '~';

/// Says how people are called in records.
pub(super) struct Subjects {
    store: Arc<dyn Store>,
    hash: bool,
    key: OnceLock<String>,
}

impl Subjects {
    pub(super) fn new(store: Arc<dyn Store>, hash: bool) -> Self {
        Self { store, hash, key: OnceLock::new() }
    }

    /// The person as recorded. If there is no key to hash with, there is no login.
    pub(super) fn shown(&self, subject: Subject, runtime: &Runtime) -> Subject {
        if !self.hash {
            return Subject { id: subject.id, login: subject.login.map(|login| login.to_lowercase()) };
        }
        let key = self.key(runtime);
        let login = subject.login.and_then(|login| Some(hashed(key?, &login)));
        Subject { id: subject.id, login }
    }

    fn key(&self, runtime: &Runtime) -> Option<&str> {
        if self.key.get().is_none() {
            let key = runtime.block_on(made(&*self.store)).ok()?;
            let _ = self.key.set(key);
        }
        self.key.get().map(String::as_str)
    }
}

/// The key of the store, which is made now if there is none.
async fn made(store: &dyn Store) -> Result<String, StoreError> {
    if let Some(key) = store.bookmark(KEY).await? {
        return Ok(key);
    }
    let key = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    store.accept(Intake { bookmark: Some((KEY.to_owned(), key.clone())), ..Intake::default() }).await?;
    Ok(key)
}

/// What a login may be recorded as: itself, and its hash if the store has a key.
///
/// # Errors
/// The store cannot be read.
pub async fn names(store: &dyn Store, login: &str) -> Result<Vec<String>, StoreError> {
    let key = store.bookmark(KEY).await?;
    let mut names = vec![login.to_owned()];
    let lower = login.to_lowercase();
    if lower != login {
        names.push(lower);
    }
    names.extend(key.map(|key| hashed(&key, login)));
    Ok(names)
}

/// `~` and 24 hexadecimal digits of an HMAC-SHA256 of the login in small letters.
fn hashed(key: &str, login: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(login.to_lowercase().as_bytes());
    let hash = hex::encode(mac.finalize().into_bytes());
    format!("{MARK}{}", &hash[..24])
}
