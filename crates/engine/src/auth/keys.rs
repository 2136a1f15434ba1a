//! The public keys of a token issuer (RFC 7517), from a file or an address, kept fresh behind the calls.
//!
//! Never fetches while a call waits for longer than 300 ms, and never gives up keys that worked because the next fetch fails:
//! they go on for 24 hours.

mod fetch;
mod set;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::auth::error::SetupError;
use crate::auth::keys::fetch::Origin;
use crate::auth::keys::set::KeySet;
use hookgate_model::files::fence::Fence;

/// When keys are fetched and for how long they are good.
#[derive(Clone, Copy, Debug)]
struct Timing {
    /// The most that a call waits.
    wait: Duration,
    /// Age at which they are fetched again, under ten minutes.
    refresh: Duration,
    /// Between two fetches that an unknown key id asks for, and after one that failed.
    again: Duration,
    /// The same while there are no keys at all, and so nobody can call.
    again_without: Duration,
    /// Age at which keys from an address are no longer believed.
    forget: Duration,
}

const TIMING: Timing = Timing {
    wait: Duration::from_millis(300),
    refresh: Duration::from_secs(9 * 60),
    again: Duration::from_secs(30),
    again_without: Duration::from_secs(1),
    forget: Duration::from_secs(24 * 60 * 60),
};

/// The keys of one issuer. Share one between releases, so that a reload does not begin without keys.
#[derive(Debug)]
pub(crate) struct Keys {
    origin: Origin,
    timing: Timing,
    held: ArcSwapOption<Held>,
    flight: Mutex<Flight>,
    /// Why the newest content of the file is not in use.
    refused: Mutex<Option<String>>,
    /// Changes whenever a fetch ends.
    landed: watch::Sender<()>,
    /// For the tasks, which must not keep keys alive that nobody uses.
    this: Weak<Self>,
}

#[derive(Debug)]
struct Held {
    set: KeySet,
    since: Instant,
}

#[derive(Debug, Default)]
struct Flight {
    in_air: bool,
    /// When an unknown key id last asked for a fetch.
    asked: Option<Instant>,
    /// The task that refreshes.
    started: bool,
}

/// What became of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    Verified,
    /// There is such a key, and the signature is not its.
    Refused,
    UnknownKey,
    Unavailable,
}

impl Keys {
    /// Keys in a file of the bundle, read now and again later.
    ///
    /// # Errors
    /// It cannot be read or holds no key that can be used.
    pub(crate) fn file(name: &str, fence: Arc<Fence>) -> Result<Arc<Self>, SetupError> {
        let keys = Self::new(Origin::file(name, fence), TIMING);
        keys.reload()?;
        Ok(keys)
    }

    /// Keys at an address. Nothing is fetched before [`Keys::start`] or the first token.
    ///
    /// # Errors
    /// It is not an `http` or `https` address.
    pub(crate) fn url(url: &str) -> Result<Arc<Self>, SetupError> {
        Ok(Self::new(Origin::url(url)?, TIMING))
    }

    fn new(origin: Origin, timing: Timing) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            origin,
            timing,
            held: ArcSwapOption::empty(),
            flight: Mutex::default(),
            refused: Mutex::default(),
            landed: watch::Sender::new(()),
            this: this.clone(),
        })
    }

    /// Reads the file again, for whoever watches it; keys of an address are left alone.
    ///
    /// # Errors
    /// It cannot be read or holds no key that can be used; the old keys stay.
    pub(crate) fn reload(&self) -> Result<(), SetupError> {
        if let Some(read) = self.origin.read() {
            let set = read.map_err(|why| SetupError::Keys { keys: self.label().to_owned(), why })?;
            self.hold(set);
        }
        Ok(())
    }

    /// The same, for a file that is read again and again. Why the newest content is not in use, if that is news.
    pub(crate) fn rotate(&self) -> Option<String> {
        let now = self.reload().err().map(|error| error.to_string());
        let mut before = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let news = now.clone().filter(|_| *before != now);
        *before = now;
        news
    }

    /// Why the newest content of the file is not in use.
    pub(crate) fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the keys are in a file, which is read again when it changes.
    pub(crate) fn is_file(&self) -> bool {
        self.origin.is_file()
    }

    /// Where the keys come from, without what may be secret in an address.
    pub(crate) fn label(&self) -> &str {
        self.origin.label()
    }

    /// Time since the keys were last fetched or read; `None` before the first time.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.held.load().as_ref().map(|held| held.since.elapsed())
    }

    /// Fetches the keys and keeps them fresh, in the background of the Tokio runtime this is called on. Calling it again does nothing.
    pub(crate) fn start(&self) {
        let mut flight = self.flight.lock().unwrap_or_else(PoisonError::into_inner);
        if flight.started {
            return;
        }
        flight.started = true;
        if self.held.load().is_none() {
            self.launch(&mut flight);
        }
        tokio::spawn(keep_fresh(self.this.clone()));
    }

    /// Tries `verify` with the keys that fit, fetching them once more when none does.
    ///
    /// A token without key id may be signed by any key that is for its algorithm.
    pub(super) async fn lookup(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        verify: impl Fn(&DecodingKey) -> bool,
    ) -> Lookup {
        self.start();
        let first = self.try_held(id, algorithm, &verify);
        if matches!(first, Lookup::Verified | Lookup::Refused) {
            return first;
        }
        self.ask().await;
        self.try_held(id, algorithm, &verify)
    }

    fn try_held(&self, id: Option<&str>, algorithm: Algorithm, verify: impl Fn(&DecodingKey) -> bool) -> Lookup {
        match &*self.held.load() {
            Some(held) if self.is_good(held) => held.set.lookup(id, algorithm, verify),
            _ => Lookup::Unavailable,
        }
    }

    fn is_good(&self, held: &Held) -> bool {
        // A file that went missing is somebody's slip; an address that is gone for a day may be gone for a reason.
        self.origin.is_file() || held.since.elapsed() < self.timing.forget
    }

    /// Waits for a fetch, the one under way or a new one if it is time for one.
    async fn ask(&self) {
        let mut landed = self.landed.subscribe();
        {
            let mut flight = self.flight.lock().unwrap_or_else(PoisonError::into_inner);
            let usable = self.held.load().as_ref().is_some_and(|held| self.is_good(held));
            let pause = if usable { self.timing.again } else { self.timing.again_without };
            if !flight.in_air {
                if flight.asked.is_some_and(|asked| asked.elapsed() < pause) {
                    return;
                }
                flight.asked = Some(Instant::now());
                self.launch(&mut flight);
            }
        }
        // Either way the keys are looked up again, so what the wait says does not matter.
        let _ = tokio::time::timeout(self.timing.wait, landed.changed()).await;
    }

    /// One fetch at a time, in a task of its own: a caller who stops waiting does not stop it.
    fn launch(&self, flight: &mut Flight) {
        let Some(this) = self.this.upgrade().filter(|_| !flight.in_air) else { return };
        flight.in_air = true;
        tokio::spawn(async move {
            let landing = Landing(&this);
            match this.origin.fetch().await {
                Ok(set) => this.hold(set),
                Err(why) => tracing::warn!(
                    auth.keys = this.label(),
                    auth.keys_age_s = this.age().map(|age| age.as_secs()),
                    error = why,
                    "keys of a token issuer could not be fetched"
                ),
            }
            drop(landing);
        });
    }

    fn hold(&self, set: KeySet) {
        self.held.store(Some(Arc::new(Held { set, since: Instant::now() })));
    }

    /// Until the next refresh: by age, or soon when the last one failed.
    fn pause(&self) -> Duration {
        match self.age() {
            Some(age) => self.timing.refresh.saturating_sub(age).max(self.timing.again_without),
            None => self.timing.again,
        }
    }
}

/// Says that a fetch has ended, also when it panics: otherwise nobody could ever start another.
struct Landing<'a>(&'a Keys);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.flight.lock().unwrap_or_else(PoisonError::into_inner).in_air = false;
        self.0.landed.send_replace(());
    }
}

/// Refreshes until the keys are dropped.
async fn keep_fresh(keys: Weak<Keys>) {
    while let Some(pause) = keys.upgrade().map(|keys| keys.pause()) {
        tokio::time::sleep(pause).await;
        let Some(keys) = keys.upgrade() else { return };
        if keys.age().is_none_or(|age| age >= keys.timing.refresh) {
            let mut landed = keys.landed.subscribe();
            keys.launch(&mut keys.flight.lock().unwrap_or_else(PoisonError::into_inner));
            let fetched = landed.changed().await.is_ok() && keys.age().is_some_and(|age| age < keys.timing.refresh);
            let again = keys.timing.again;
            drop(keys);
            if !fetched {
                tokio::time::sleep(again).await;
            }
        }
    }
}
