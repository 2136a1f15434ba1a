//! Several live secrets for one purpose, so that one can be replaced without an outage.
//!
//! Never drops a secret that works because its file went missing for a moment: the old value stays until a new one is there.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::secret::{Environment, Secret, SecretError, Source};

/// What a secret must be besides not blank, such as the value of a header.
///
/// # Errors
/// Why it is not, as a clause about the secret, without the secret.
pub type Demand = Box<dyn Fn(&Secret) -> Result<(), String> + Send + Sync>;

/// The live secrets of one scheme or connector; any of them is good.
pub struct Ring {
    sources: Vec<Source>,
    environment: Environment,
    /// In the order of `sources`, one each.
    named: ArcSwap<Vec<Named>>,
    created: Vec<PathBuf>,
    /// What a new value must be, so that it never replaces a good one otherwise.
    demand: OnceLock<Demand>,
    /// Why the newest value of each source is not in use, in the order of `sources`. Held by [`Ring::reload`], so that of
    /// two reloads the later read wins.
    refused: Mutex<Vec<Option<String>>>,
}

#[derive(Clone, Debug)]
struct Named {
    label: Arc<str>,
    secret: Arc<Secret>,
}

/// What [`Ring::reload`] did.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// Labels of the secrets that have a new value.
    pub changed: Vec<Arc<str>>,
    /// Why others could not be read or used; their old value stays. Told once, not at every reload.
    pub kept: Vec<SecretError>,
}

impl fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Ring")
            .field("sources", &self.sources)
            .field("named", &self.named)
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// Reads all sources, making the files that are to be made.
    ///
    /// # Errors
    /// Every source that has no secret, not only the first; [`SecretError::NoSource`] when `sources` is empty.
    pub fn load(sources: Vec<Source>, environment: Environment) -> Result<Self, Vec<SecretError>> {
        if sources.is_empty() {
            return Err(vec![SecretError::NoSource]);
        }
        let (mut named, mut created, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for source in &sources {
            match source.read(environment) {
                Ok(found) => {
                    if let (Source::File { path, .. }, true) = (source, found.created) {
                        created.push(path.clone());
                    }
                    named.push(Named { label: source.label().into(), secret: Arc::new(found.secret) });
                }
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let named = ArcSwap::from_pointee(named);
        let refused = Mutex::new(vec![None; sources.len()]);
        Ok(Self { sources, environment, named, created, demand: OnceLock::new(), refused })
    }

    /// Says what each secret must be, now and after every reload. Only the first demand counts.
    ///
    /// # Errors
    /// Of each secret that is not: its label, and why.
    pub fn demand(&self, demand: Demand) -> Result<(), Vec<(String, String)>> {
        let demand = self.demand.get_or_init(|| demand);
        let mut wrong = Vec::new();
        self.for_each(|label, secret| {
            if let Err(why) = demand(secret) {
                wrong.push((label.to_owned(), why));
            }
        });
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Why the newest values of sources are not in use, while older ones are.
    pub fn refused(&self) -> Vec<String> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.iter().flatten().cloned().collect()
    }

    /// Reads the files again. The environment of a process does not change, and nothing is created here.
    pub fn reload(&self) -> Reloaded {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let mut named = Vec::clone(&self.named.load());
        let mut reloaded = Reloaded::default();
        for ((source, named), refused) in self.sources.iter().zip(&mut named).zip(refused.iter_mut()) {
            if matches!(source, Source::Env(_)) {
                continue;
            }
            match self.read_again(source) {
                Ok(secret) if named.secret.matches(secret.expose()) => *refused = None,
                Ok(secret) => {
                    named.secret = Arc::new(secret);
                    reloaded.changed.push(named.label.clone());
                    *refused = None;
                }
                Err(error) => {
                    let why = Some(error.to_string());
                    if *refused != why {
                        *refused = why;
                        reloaded.kept.push(error);
                    }
                }
            }
        }
        if !reloaded.changed.is_empty() {
            self.named.store(Arc::new(named));
        }
        reloaded
    }

    fn read_again(&self, source: &Source) -> Result<Secret, SecretError> {
        let secret = source.read_existing(self.environment)?;
        match self.demand.get().map_or(Ok(()), |demand| demand(&secret)) {
            Ok(()) => Ok(secret),
            Err(why) => Err(SecretError::Unfit { label: source.label(), why }),
        }
    }

    /// The files that [`Ring::load`] made with a random secret: tell the user where they are.
    pub fn created(&self) -> &[PathBuf] {
        &self.created
    }

    /// The first of them: what is presented where several are accepted.
    pub fn first(&self) -> Arc<Secret> {
        self.named.load().first().map(|named| named.secret.clone()).expect("a ring has at least one secret")
    }

    /// The label of the secret that `given` is. Compares with all of them, whichever fits; allocates nothing.
    pub fn find(&self, given: &[u8]) -> Option<Arc<str>> {
        let named = self.named.load();
        let mut found = Choice::from(0);
        let mut position = 0_u64;
        for (index, named) in named.iter().enumerate() {
            let equal = named.secret.expose().ct_eq(given);
            position.conditional_assign(&(index as u64), equal & !found);
            found |= equal;
        }
        // The label is public: only from here on may the time depend on which secret it was.
        if found.into() { named.get(position as usize).map(|named| named.label.clone()) } else { None }
    }

    /// The label of the first secret that `fits`, for proofs that are made with a secret but do not hold it.
    pub fn find_by(&self, mut fits: impl FnMut(&Secret) -> bool) -> Option<Arc<str>> {
        self.named.load().iter().find(|named| fits(&named.secret)).map(|named| named.label.clone())
    }

    /// The secret of that label.
    pub fn labelled(&self, label: &str) -> Option<Arc<Secret>> {
        self.named.load().iter().find(|named| &*named.label == label).map(|named| named.secret.clone())
    }

    /// Shows every secret to `look`, to check their form when they are loaded or to say why a value was refused.
    pub fn for_each(&self, mut look: impl FnMut(&str, &Secret)) {
        for named in self.named.load().iter() {
            look(&named.label, &named.secret);
        }
    }
}
