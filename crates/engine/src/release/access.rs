//! From the `[auth]` sections of the configuration to schemes that verify, with their secrets read.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::auth::Scheme;
use crate::auth::basic::Basic;
use crate::auth::error::SetupError;
use crate::auth::header::Header;
use crate::auth::jwt::{Audience, Jwt, Rules};
use crate::auth::keys::Keys;
use crate::auth::mtls::{Mtls, Pin};
use crate::auth::standard_webhooks::StandardWebhooks;
use crate::config::Config;
use crate::config::auth::{Auth, JwtAuth, MtlsAuth};
use crate::release::build::Secrets;
use crate::release::bundle::Place;
use crate::release::fence::World;
use hookgate_model::environment;
use hookgate_model::secret::SecretSource;
use hookgate_model::secret::{Ring, Source};

/// What is wrong with a scheme: the rest of its key path (`.secrets[0]`, or nothing), and why.
pub(crate) struct Problem {
    pub key: String,
    pub(crate) text: String,
}

/// A scheme, and the secrets behind it, which rotate while it is in use.
pub(crate) struct Access {
    pub(crate) scheme: Arc<Scheme>,
    ring: Option<Arc<Ring>>,
    keys: Option<Arc<Keys>>,
}

/// Makes a scheme of its section. Without secrets ([`Secrets::Skip`]) the scheme lets everybody in: such a release is for
/// checking, never for serving.
///
/// # Errors
/// A secret that is not set or cannot be read, a key file that is none, a certificate pin that is none.
pub(super) fn access(world: &World<'_>, auth: &Auth) -> Result<Access, Vec<Problem>> {
    let (place, secrets) = (world.place, world.secrets);
    let (scheme, ring, keys) = match auth {
        Auth::Header(header) => match ring(place, &header.secrets, secrets)? {
            Some(ring) => {
                let scheme = Header::new(&header.header, ring.clone()).map_err(header_problems)?;
                (Scheme::Header(scheme), Some(ring), None)
            }
            None => (Scheme::None, None, None),
        },
        Auth::Basic(basic) => match ring(place, &basic.secrets, secrets)? {
            Some(ring) => {
                let scheme = Basic::new(ring.clone()).map_err(|errors| problems(".secrets", errors))?;
                (Scheme::Basic(scheme), Some(ring), None)
            }
            None => (Scheme::None, None, None),
        },
        Auth::StandardWebhooks(webhooks) => match ring(place, &webhooks.secrets, secrets)? {
            Some(ring) => {
                let scheme = StandardWebhooks::new(ring.clone(), webhooks.tolerance_s);
                (Scheme::StandardWebhooks(scheme.map_err(|errors| problems(".secrets", errors))?), Some(ring), None)
            }
            None => (Scheme::None, None, None),
        },
        Auth::Jwt(jwt) => match keys(world, jwt)? {
            Some(keys) => (Scheme::Jwt(token(jwt, keys.clone())?), None, Some(keys)),
            None => (Scheme::None, None, None),
        },
        Auth::Mtls(mtls) => (Scheme::Mtls(certificate(mtls)?), None, None),
        Auth::None(_) => (Scheme::None, None, None),
    };
    Ok(Access { scheme: Arc::new(scheme), ring, keys })
}

impl Access {
    /// Reads files that hold secrets again; a file that cannot be read keeps its secret.
    pub(crate) fn rotate(&self, name: &str) {
        if let Some(ring) = &self.ring {
            let reloaded = ring.reload();
            for label in &reloaded.changed {
                info!(auth.name = name, secret = %label, "secret was read again");
            }
            for problem in &reloaded.kept {
                warn!(auth.name = name, error = %problem, "the new secret cannot be used, the old one stays");
            }
        }
        if let Some(keys) = self.keys.as_ref().filter(|keys| keys.is_file())
            && let Some(error) = keys.rotate()
        {
            warn!(auth.name = name, error, "the new key set cannot be used, the old one stays");
        }
    }

    /// Why the newest content of its files is not in use.
    pub(crate) fn refused(&self) -> Vec<String> {
        let keys = self.keys.as_ref().and_then(|keys| keys.refused());
        self.ring.iter().flat_map(|ring| ring.refused()).chain(keys).collect()
    }

    /// Begins to fetch keys, where they come from an address.
    pub(crate) fn start(&self) {
        if let Some(keys) = &self.keys {
            keys.start();
        }
    }

    /// How old keys are that come from an address; nothing where there are none, or none yet.
    pub(crate) fn keys_age(&self) -> Option<Duration> {
        self.keys.as_ref().filter(|keys| !keys.is_file())?.age()
    }

    /// Files that were just made, because they were to be made and not there.
    pub(crate) fn created(&self) -> Vec<&Path> {
        self.ring.iter().flat_map(|ring| ring.created()).map(std::path::PathBuf::as_path).collect()
    }
}

/// Every file that secrets or keys come from, as written.
pub(crate) fn files(config: &Config) -> Vec<&str> {
    let auths = config.auth.values();
    auths.flat_map(|auth| auth.secrets().iter().filter_map(SecretSource::file).chain(auth.key_file())).collect()
}

/// `None` where there is nothing to read.
fn ring(place: &Place, sources: &[SecretSource], secrets: Secrets) -> Result<Option<Arc<Ring>>, Vec<Problem>> {
    let source = |source: &SecretSource| match source {
        SecretSource::Env { env } => Source::Env(env.clone()),
        SecretSource::File { file, create } => {
            Source::File { path: place.root.join(file), create: *create && secrets == Secrets::Load }
        }
    };
    let wanted: Vec<Source> = match secrets {
        Secrets::Load => sources.iter().map(source).collect(),
        // What the first start would make is no mistake.
        Secrets::Check => sources.iter().filter(|written| !made_at_start(place, written)).map(source).collect(),
        Secrets::Skip => Vec::new(),
    };
    if wanted.is_empty() && secrets != Secrets::Load {
        return Ok(None);
    }
    let ring = Ring::load(wanted, environment::variable);
    ring.map(|ring| Some(Arc::new(ring))).map_err(|errors| problems(".secrets", errors))
}

pub(super) fn made_at_start(place: &Place, source: &SecretSource) -> bool {
    let is_absent = |path: &Path| !path.exists() && !path.is_symlink();
    matches!(source, SecretSource::File { file, create: true } if is_absent(&place.root.join(file)))
}

fn keys(world: &World<'_>, jwt: &JwtAuth) -> Result<Option<Arc<Keys>>, Vec<Problem>> {
    match (&jwt.jwks_url, &jwt.jwks_file) {
        (Some(url), _) => Keys::url(url).map(Some).map_err(|error| problem(".jwks_url", &error)),
        (None, Some(_)) if world.secrets == Secrets::Skip => Ok(None),
        (None, Some(file)) => {
            Keys::file(file, world.fence.clone()).map(Some).map_err(|error| problem(".jwks_file", &error))
        }
        (None, None) => Err(problem("", &"has neither `jwks_url` nor `jwks_file`")),
    }
}

fn token(jwt: &JwtAuth, keys: Arc<Keys>) -> Result<Jwt, Vec<Problem>> {
    let rules = Rules {
        issuer: jwt.issuer.clone(),
        audience: match &jwt.audience {
            Some(listed) => Audience::Listed(listed.as_slice().to_vec()),
            None => Audience::CalledAddress,
        },
        clients: jwt.client_ids.clone().unwrap_or_default(),
        scopes: jwt.scope.iter().flat_map(|scope| scope.split_whitespace().map(str::to_owned)).collect(),
        algorithms: jwt.algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect(),
        leeway_s: jwt.leeway_s,
    };
    Jwt::new(rules, keys).map_err(|errors| problems("", errors))
}

fn certificate(mtls: &MtlsAuth) -> Result<Mtls, Vec<Problem>> {
    let mut pins: Vec<Pin> = mtls.subjects.iter().flatten().flat_map(|subject| subject_pins(subject)).collect();
    for fingerprint in mtls.fingerprints_sha256.iter().flatten() {
        pins.push(Pin::sha256(fingerprint).map_err(|error| problem(".fingerprints_sha256", &error))?);
    }
    Mtls::new(pins).map_err(|error| problem("", &error))
}

/// A subject is a URI, a mail address, or a name that stands as DNS name or as common name.
fn subject_pins(subject: &str) -> Vec<Pin> {
    if subject.contains("://") {
        return vec![Pin::Uri(subject.to_owned())];
    }
    if subject.contains('@') {
        return vec![Pin::Email(subject.to_owned())];
    }
    vec![Pin::Dns(subject.to_owned()), Pin::CommonName(subject.to_owned())]
}

fn header_problems(errors: Vec<SetupError>) -> Vec<Problem> {
    let key = |error: &SetupError| if matches!(error, SetupError::HeaderName { .. }) { ".header" } else { ".secrets" };
    errors.iter().flat_map(|error| problem(key(error), error)).collect()
}

fn problem(key: &str, error: &impl ToString) -> Vec<Problem> {
    vec![Problem { key: key.to_owned(), text: error.to_string() }]
}

fn problems(key: &str, errors: Vec<impl ToString>) -> Vec<Problem> {
    errors.iter().flat_map(|error| problem(key, error)).collect()
}
