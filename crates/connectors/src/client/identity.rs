//! The certificate that we show (mutual TLS), from two files that are read again when they change.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use crate::oauth::assertion;
use crate::setup::{Key, Problem, Setup};
use hookgate_model::secret::{Ring, Secret, SecretSource};

#[cfg(test)]
mod tests;

/// A certificate and its key, both in PEM form.
#[derive(Clone)]
pub(crate) struct Identity {
    certificate: Key,
    key: Key,
}

impl Identity {
    /// Reads `client_cert_file` and `client_key_file`; nothing if neither is given.
    ///
    /// # Errors
    /// One of them is missing or cannot be read, is not what it should be, or they do not belong together.
    pub(crate) fn new(
        setup: &Setup<'_>,
        certificate: Option<&str>,
        key: Option<&str>,
    ) -> Result<Option<Self>, Vec<Problem>> {
        let (certificate, key) = match (certificate, key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => {
                return Err(vec![Problem::missing(
                    "client_key_file",
                    "`client_key_file` is missing: the key of the certificate",
                )]);
            }
            (None, Some(_)) => {
                return Err(vec![Problem::missing(
                    "client_cert_file",
                    "`client_cert_file` is missing: whose key is it?",
                )]);
            }
        };
        let file = |written: &str| SecretSource::File { file: written.to_owned(), create: false };
        let identity = Self {
            certificate: setup.secret("client_cert_file", &file(certificate))?,
            key: setup.secret("client_key_file", &file(key))?,
        };
        if !identity.is_empty() {
            identity.check()?;
        }
        Ok(Some(identity))
    }

    /// Secrets were not looked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.key.current().expose().is_empty()
    }

    pub(super) fn current(&self) -> [Arc<Secret>; 2] {
        [self.certificate.current(), self.key.current()]
    }

    /// Both in one text.
    pub(super) fn pem(&self) -> Zeroizing<Vec<u8>> {
        let (key, certificate) = (self.key.current(), self.certificate.current());
        let mut pem = Zeroizing::new(Vec::with_capacity(key.expose().len() + certificate.expose().len() + 1));
        pem.extend_from_slice(key.expose());
        pem.push(b'\n');
        pem.extend_from_slice(certificate.expose());
        pem
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.certificate.current().expose()).filter_map(Result::ok).collect()
    }

    pub(crate) fn private_key(&self) -> Option<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(self.key.current().expose()).ok()
    }

    /// What is to be read again when files change.
    pub(crate) fn rings(&self) -> Vec<Arc<Ring>> {
        self.certificate.rings().into_iter().chain(self.key.rings()).collect()
    }

    fn check(&self) -> Result<(), Vec<Problem>> {
        let bad = |name: &str, text: &str| vec![Problem::bad_value(name, text)];
        if assertion::is_encrypted(&self.key.current()) {
            let help =
                "write it as it is, for example with `openssl pkey -in old -out new`, and let only hookgate read it";
            let problem =
                Problem::bad_value("client_key_file", "the key is encrypted, and nobody is there to give its password");
            return Err(vec![problem.help(help)]);
        }
        let chain = self.chain();
        if chain.is_empty() {
            return Err(bad("client_cert_file", "holds no certificate in PEM form"));
        }
        let Some(key) = self.private_key() else {
            return Err(bad("client_key_file", "holds no private key in PEM form"));
        };
        match CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider()) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(bad("client_key_file", "is not the key of the certificate in `client_cert_file`"))
            }
            Err(error) => Err(bad("client_key_file", &format!("cannot be used: {error}"))),
        }
    }
}
