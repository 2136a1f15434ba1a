//! A client certificate that is listed by name or fingerprint.
//!
//! Never checks the chain: rustls did, before the server put the certificates beside the request.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::auth::Verified;
use crate::auth::error::{AuthError, SetupError};

pub(super) const NAME: &str = "mtls";

/// The certificates of the connection, in DER, the caller's own first. The server puts them into the request's extensions
/// after rustls verified the chain, and nobody else may.
#[derive(Clone)]
pub struct PeerCertificates(pub Vec<Vec<u8>>);

impl fmt::Debug for PeerCertificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PeerCertificates({})", self.0.len())
    }
}

/// What a listed certificate is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pin {
    /// The only common name of the subject, byte for byte.
    CommonName(String),
    /// A DNS name of the certificate, in any case; `*` stands for itself.
    Dns(String),
    /// A mail address of the certificate; its domain in any case.
    Email(String),
    /// A URI of the certificate (SPIFFE), byte for byte.
    Uri(String),
    /// SHA-256 over the whole certificate.
    Sha256([u8; 32]),
}

impl Pin {
    /// A fingerprint as `openssl x509 -fingerprint -sha256` prints it: 64 hexadecimal digits, with or without colons.
    ///
    /// # Errors
    /// Anything else.
    pub(crate) fn sha256(text: &str) -> Result<Self, SetupError> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text.replace(':', ""), &mut digest)
            .map(|()| Self::Sha256(digest))
            .map_err(|_| SetupError::Fingerprint { text: text.to_owned() })
    }

    /// `dns hooks.example.com`, `sha256 1f2e3d4c`: fit for logs and metrics.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::CommonName(name) => format!("cn {name}"),
            Self::Dns(name) => format!("dns {name}"),
            Self::Email(address) => format!("email {address}"),
            Self::Uri(uri) => format!("uri {uri}"),
            Self::Sha256(digest) => format!("sha256 {}", hex::encode(&digest[..4])),
        }
    }
}

/// The certificates that may call.
#[derive(Debug)]
pub(crate) struct Mtls {
    pins: Vec<(Arc<str>, Pin)>,
}

impl Mtls {
    /// # Errors
    /// An empty list: a chain that is valid says nothing about who it is.
    pub(crate) fn new(pins: Vec<Pin>) -> Result<Self, SetupError> {
        if pins.is_empty() {
            return Err(SetupError::NoPin);
        }
        Ok(Self { pins: pins.into_iter().map(|pin| (pin.label().into(), pin)).collect() })
    }

    /// # Errors
    /// There is no certificate, or it is none of those listed.
    pub(super) fn verify(&self, parts: &Parts) -> Result<Verified, AuthError> {
        let der = parts.extensions.get::<PeerCertificates>().and_then(|peer| peer.0.first());
        let der = der.ok_or(AuthError::NoClientCertificate)?;
        let digest: [u8; 32] = Sha256::digest(der).into();
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| AuthError::CertificateNotListed)?;
        if !rest.is_empty() {
            return Err(AuthError::CertificateNotListed);
        }
        let listed = self.pins.iter().find(|(_, pin)| matches(pin, &digest, &certificate));
        let (label, _) = listed.ok_or(AuthError::CertificateNotListed)?;
        Ok(Verified::new(NAME, Some(label.clone())))
    }
}

fn matches(pin: &Pin, digest: &[u8; 32], certificate: &X509Certificate<'_>) -> bool {
    match pin {
        Pin::Sha256(listed) => listed == digest,
        Pin::CommonName(listed) => {
            let mut names = certificate.subject().iter_common_name();
            // With two common names, which one was meant depends on the reader.
            matches!((names.next(), names.next()), (Some(name), None) if name.as_str() == Ok(listed))
        }
        Pin::Dns(listed) => any_name(certificate, |name| match name {
            GeneralName::DNSName(name) => name.eq_ignore_ascii_case(listed),
            _ => false,
        }),
        Pin::Email(listed) => any_name(certificate, |name| match name {
            GeneralName::RFC822Name(address) => same_address(address, listed),
            _ => false,
        }),
        Pin::Uri(listed) => any_name(certificate, |name| matches!(name, GeneralName::URI(uri) if uri == listed)),
    }
}

/// `false` also where the extension is there twice, which no certificate may have (RFC 5280, section 4.2).
fn any_name(certificate: &X509Certificate<'_>, fits: impl Fn(&GeneralName<'_>) -> bool) -> bool {
    match certificate.subject_alternative_name() {
        Ok(Some(names)) => names.value.general_names.iter().any(fits),
        _ => false,
    }
}

fn same_address(address: &str, listed: &str) -> bool {
    match (address.rsplit_once('@'), listed.rsplit_once('@')) {
        (Some((user, domain)), Some((listed_user, listed_domain))) => {
            user == listed_user && domain.eq_ignore_ascii_case(listed_domain)
        }
        _ => false,
    }
}
