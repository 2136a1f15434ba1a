//! The certificate of the public listener: loading, following changes of its files, days left.
//!
//! A certificate that cannot be used never replaces one that can. Private keys are never logged or kept as text.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use hookgate_engine::telemetry::fields;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_model::files;
use hookgate_model::files::{FileError, MAX_CERTIFICATE_BYTES};

/// Where certificate and key are: `[server.tls]`, with paths resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the certificate, then its chain.
    pub cert_file: PathBuf,
    /// PEM: the private key of the first certificate.
    pub key_file: PathBuf,
    /// PEM: authorities of client certificates. With it a client is asked for a certificate; what it sends is verified,
    /// and sending none is allowed, because the auth scheme of each route decides.
    pub client_ca_file: Option<PathBuf>,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("`{}` cannot be read: {error}", file.display())]
    Read { file: PathBuf, error: FileError },
    /// A file holds something else.
    #[error("`{}` holds {problem}", file.display())]
    Content { file: PathBuf, problem: String },
    /// Certificate and key do not belong together, or rustls rejects them.
    #[error("the certificate in `{}` cannot be used with its key: {error}", file.display())]
    Unusable { file: PathBuf, error: rustls::Error },
}

/// The certificate in use.
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<Loaded>,
    /// What was last looked at, good or bad, so that a bad file is reported once.
    seen: Mutex<[u8; 32]>,
}

struct Loaded {
    acceptor: TlsAcceptor,
    expires: i64,
}

struct Contents {
    cert: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Loads the files for the first time.
    ///
    /// # Errors
    /// A file that is missing or wrong, or a key that is not the certificate's.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let contents = Contents::read(&files)?;
        let loaded = contents.build(&files)?;
        Ok(Self { current: ArcSwap::from_pointee(loaded), seen: Mutex::new(contents.digest()), files })
    }

    /// Reads the files again and uses them from the next connection on. `false`: nothing changed since the last look.
    ///
    /// # Errors
    /// As for [`Tls::load`]; the certificate in use stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let contents = Contents::read(&self.files)?;
        let digest = contents.digest();
        let previous = std::mem::replace(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner), digest);
        if previous == digest {
            return Ok(false);
        }
        self.current.store(Arc::new(contents.build(&self.files)?));
        Ok(true)
    }

    /// When the certificate in use expires, in seconds since 1970.
    pub fn expires(&self) -> i64 {
        self.current.load().expires
    }

    /// Follows the files for ever: looks every few seconds (`every`), and at once when `now` is notified.
    pub async fn follow(self: Arc<Self>, every: Duration, now: Arc<Notify>, metrics: Arc<Metrics>) {
        metrics.set_certificate_expiry(self.expires());
        let mut unreadable = false;
        loop {
            let _ = tokio::time::timeout(every, now.notified()).await;
            let tls = Arc::clone(&self);
            let Ok(reloaded) = tokio::task::spawn_blocking(move || tls.reload()).await else { continue };
            let file = self.files.cert_file.display();
            match &reloaded {
                Ok(true) => tracing::info!({ fields::FILE } = %file, "the new certificate is in use"),
                // A file that stays away would otherwise be reported at every look.
                Err(TlsError::Read { .. }) if unreadable => {}
                Err(error) => tracing::error!(
                    { fields::FILE } = %file, { fields::ERROR } = %error,
                    "the new certificate cannot be used, the old one stays"
                ),
                Ok(false) => {}
            }
            unreadable = matches!(reloaded, Err(TlsError::Read { .. }));
            metrics.set_certificate_expiry(self.expires());
        }
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.current.load().acceptor.clone()
    }
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |file: &Path| {
            let read = files::read(file, MAX_CERTIFICATE_BYTES);
            read.map_err(|error| TlsError::Read { file: file.to_path_buf(), error })
        };
        Ok(Self {
            cert: read(&files.cert_file)?,
            key: zeroize::Zeroizing::new(read(&files.key_file)?),
            client_ca: files.client_ca_file.as_deref().map(read).transpose()?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in [&self.cert[..], &self.key[..], self.client_ca.as_deref().unwrap_or_default()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    fn build(&self, files: &TlsFiles) -> Result<Loaded, TlsError> {
        let chain = certificates(&files.cert_file, &self.cert)?;
        let wrong = |file: &Path, problem: String| TlsError::Content { file: file.to_path_buf(), problem };
        let leaf = x509_parser::parse_x509_certificate(&chain[0])
            .map_err(|error| wrong(&files.cert_file, format!("a certificate that does not parse: {error}")))?;
        let expires = leaf.1.validity().not_after.timestamp();
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| wrong(&files.key_file, "no unencrypted private key in PEM".to_owned()))?;

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let unusable = |error| TlsError::Unusable { file: files.cert_file.clone(), error };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match files.client_ca_file.as_deref().zip(self.client_ca.as_deref()) {
            None => builder.with_no_client_auth(),
            Some((file, pem)) => {
                let mut roots = RootCertStore::empty();
                for der in certificates(file, pem)? {
                    roots.add(der).map_err(|error| wrong(file, format!("an unusable authority: {error}")))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| wrong(file, format!("unusable authorities: {error}")))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Loaded { acceptor: TlsAcceptor::from(Arc::new(config)), expires })
    }
}

/// At least one certificate.
fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(TlsError::Content { file: file.to_path_buf(), problem: "no certificate in PEM".to_owned() }),
        Err(error) => Err(TlsError::Content { file: file.to_path_buf(), problem: format!("broken PEM: {error}") }),
    }
}
