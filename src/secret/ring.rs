//! Several live secrets for one purpose, so that one can be replaced without an outage.
//!
//! Never drops a secret that works because its file went missing for a moment: the old value stays until a new one is there.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::secret::{Environment, Secret, SecretError, Source};

/// The live secrets of one scheme or connector; any of them is good.
#[derive(Debug)]
pub struct Ring {
    sources: Vec<Source>,
    environment: Environment,
    /// In the order of `sources`, one each.
    named: ArcSwap<Vec<Named>>,
    created: Vec<PathBuf>,
    /// Held by [`Ring::reload`], so that of two reloads the later read wins.
    reloading: Mutex<()>,
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
    /// Why others could not be read; their old value stays.
    pub kept: Vec<SecretError>,
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
        Ok(Self { sources, environment, named, created, reloading: Mutex::new(()) })
    }

    /// Reads the files again. The environment of a process does not change, and nothing is created here.
    pub fn reload(&self) -> Reloaded {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut named = Vec::clone(&self.named.load());
        let mut reloaded = Reloaded::default();
        for (source, named) in self.sources.iter().zip(&mut named) {
            if matches!(source, Source::Env(_)) {
                continue;
            }
            match source.read_existing(self.environment) {
                Ok(secret) if named.secret.matches(secret.expose()) => {}
                Ok(secret) => {
                    named.secret = Arc::new(secret);
                    reloaded.changed.push(named.label.clone());
                }
                Err(error) => reloaded.kept.push(error),
            }
        }
        if !reloaded.changed.is_empty() {
            self.named.store(Arc::new(named));
        }
        reloaded
    }

    /// The files to watch; when one changes, call [`Ring::reload`].
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.sources.iter().filter_map(|source| match source {
            Source::File { path, .. } => Some(path.as_path()),
            Source::Env(_) => None,
        })
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

    /// Shows every secret to `look`, to check their form when they are loaded or to say why a value was refused.
    pub fn for_each(&self, mut look: impl FnMut(&str, &Secret)) {
        for named in self.named.load().iter() {
            look(&named.label, &named.secret);
        }
    }
}
