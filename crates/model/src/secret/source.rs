//! Where a secret comes from: an environment variable or a file, and the making of a random one.
//!
//! Never holds a value: every read goes to the environment or the disk again.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::files;
use crate::files::FileError;
use crate::secret::Secret;
use crate::secret::literal::looks_like_a_value;

/// The largest secret that is read; more than this is a wrong path, not a secret.
pub const MAX_SECRET_BYTES: usize = 64 * 1024;

/// Random bytes in a secret that hookgate makes.
const RANDOM_BYTES: usize = 32;

/// How a variable of the environment is read; only `config` may ask the real one.
pub type Environment = fn(&str) -> Option<String>;

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The environment variable of this name.
    Env(String),
    File {
        path: PathBuf,
        /// Make a random secret when the file is absent.
        create: bool,
    },
}

/// A secret as read from its [`Source`].
#[derive(Clone, Debug)]
pub struct Found {
    pub secret: Secret,
    /// It did not exist and was made just now: tell the user where it is.
    pub created: bool,
}

/// Why there is no secret, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("environment variable {} is not set, set it before hookgate starts", shown(name))]
    EnvAbsent { name: String },
    #[error("secret file {} does not exist, write the secret into it (`create = true` makes a random one)", shown(&path.display().to_string()))]
    FileAbsent { path: PathBuf },
    #[error("secret file `{}` cannot be read, let the user that runs hookgate read it: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("secret file `{}` cannot be read: {why}; name the file that holds the secret", path.display())]
    NotAFile { path: PathBuf, why: String },
    #[error("secret file `{}` is a link to a file that is not there, and none is made through a link: remove the link or \
        write the file that it names", path.display())]
    DanglingLink { path: PathBuf },
    #[error("secret file `{}` cannot be made, make it yourself or let hookgate write there: {cause}", path.display())]
    NotCreated { path: PathBuf, cause: io::Error },
    #[error("secret `{label}` is longer than {MAX_SECRET_BYTES} bytes, it must hold the secret and nothing else")]
    TooLarge { label: String },
    #[error("secret `{label}` is empty or blank, put the secret into it")]
    Empty { label: String },
    #[error("secret `{label}` {why}")]
    Unfit { label: String, why: String },
    #[error("no secret is named, name at least one `{{ env = … }}` or `{{ file = … }}`")]
    NoSource,
}

/// A name of a variable or file in quotes. One that may be the secret itself, written in the place of its name, is not told.
fn shown(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    match looks_like_a_value(last) {
        true => "`***` (what is written there looks like a secret: write the name of the place where it is)".to_owned(),
        false => format!("`{name}`"),
    }
}

impl Source {
    /// `env OKTA_SECRET` or `file secrets/okta`: fit for logs and metrics.
    pub fn label(&self) -> String {
        match self {
            Self::Env(name) => format!("env {name}"),
            Self::File { path, .. } => format!("file {}", path.display()),
        }
    }

    /// Reads the secret, making it first where the source says so.
    ///
    /// One line ending at the end is not part of it; everything else is, also blanks and bytes that are not UTF-8.
    ///
    /// # Errors
    /// It is absent, unreadable, blank or longer than [`MAX_SECRET_BYTES`], or could not be made.
    pub fn read(&self, environment: Environment) -> Result<Found, SecretError> {
        match self {
            Self::File { path, create: true } => match self.read_existing(environment) {
                Err(SecretError::FileAbsent { .. }) => self.create(path, environment),
                read => read.map(|secret| Found { secret, created: false }),
            },
            _ => self.read_existing(environment).map(|secret| Found { secret, created: false }),
        }
    }

    /// Reads the secret and makes none: for reloads, where an absent file is one that somebody is about to replace.
    ///
    /// # Errors
    /// It is absent, unreadable, blank or longer than [`MAX_SECRET_BYTES`].
    pub fn read_existing(&self, environment: Environment) -> Result<Secret, SecretError> {
        let bytes = match self {
            Self::Env(name) => match environment(name) {
                Some(value) => Zeroizing::new(value.into_bytes()),
                None => return Err(SecretError::EnvAbsent { name: name.clone() }),
            },
            Self::File { path, .. } => read_file(path)?,
        };
        if bytes.len() > MAX_SECRET_BYTES {
            return Err(SecretError::TooLarge { label: self.label() });
        }
        let secret = without_line_ending(&bytes);
        if secret.trim_ascii().is_empty() {
            return Err(SecretError::Empty { label: self.label() });
        }
        Ok(Secret::new(secret))
    }

    fn create(&self, path: &Path, environment: Environment) -> Result<Found, SecretError> {
        let created = create_file(path).map_err(|cause| SecretError::NotCreated { path: path.to_path_buf(), cause })?;
        // Read back: when two start at once, only one of them made the file.
        Ok(Found { secret: self.read_existing(environment)?, created })
    }
}

/// At most one byte more than is allowed, so that the caller sees that it is too much.
fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let failed = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound if path.is_symlink() => SecretError::DanglingLink { path: path.to_path_buf() },
        io::ErrorKind::NotFound => SecretError::FileAbsent { path: path.to_path_buf() },
        _ => SecretError::Unreadable { path: path.to_path_buf(), cause },
    };
    let file = files::open(path).map_err(|error| match error {
        FileError::Io(cause) => failed(cause),
        other => SecretError::NotAFile { path: path.to_path_buf(), why: other.to_string() },
    })?;
    // The whole capacity at once: a growing buffer would leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES + 64));
    let limit = MAX_SECRET_BYTES as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn without_line_ending(bytes: &[u8]) -> &[u8] {
    match bytes {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n' | b'\r'] => rest,
        _ => bytes,
    }
}

/// Makes the file with a random secret. `false`: somebody else made it meanwhile, and theirs stays.
fn create_file(path: &Path) -> io::Result<bool> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let draft = directory.join(format!(".hookgate-{}.tmp", uuid::Uuid::new_v4().simple()));
    // A link appears with its whole content and fails where a file is already; a rename would replace it.
    let linked = write_draft(&draft).and_then(|()| std::fs::hard_link(&draft, path));
    let removed = std::fs::remove_file(&draft);
    match linked {
        Ok(()) => removed.map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_draft(draft: &Path) -> io::Result<()> {
    let mut random = Zeroizing::new([0_u8; RANDOM_BYTES]);
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut *random)
        .map_err(|_| io::Error::other("the system gives no random numbers"))?;
    let mut text = Zeroizing::new(URL_SAFE_NO_PAD.encode(*random).into_bytes());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_all()
}
