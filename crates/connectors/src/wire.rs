//! Connections of connectors that do not speak HTTP: TCP to a judged address, and TLS whose certificate must be of the host
//! that the settings name.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use crate::client::identity::Identity;
use crate::egress::{Egress, NoAddress};
use crate::time_limit::within;
use hookgate_model::question::{Reason, Trouble};

/// Whom a TLS connection trusts.
pub(crate) struct Trust {
    /// Certificates of authorities to trust besides those of the system, as PEM.
    authorities: Option<Vec<u8>>,
    /// Made at the first connection: it loads the system's certificates.
    config: OnceLock<Arc<ClientConfig>>,
}

impl Trust {
    pub(crate) fn new(authorities: Option<Vec<u8>>) -> Self {
        Self { authorities, config: OnceLock::new() }
    }

    /// All authorities: those of the system that can be read, and those of the settings.
    ///
    /// # Errors
    /// One of the settings is no certificate.
    pub(crate) fn roots(&self) -> io::Result<(RootCertStore, Vec<CertificateDer<'static>>)> {
        let (mut roots, mut all) = (RootCertStore::empty(), Vec::new());
        for certificate in rustls_native_certs::load_native_certs().certs {
            if roots.add(certificate.clone()).is_ok() {
                all.push(certificate);
            }
        }
        for certificate in CertificateDer::pem_slice_iter(self.authorities.as_deref().unwrap_or_default()) {
            let certificate = certificate.map_err(io::Error::other)?;
            roots.add(certificate.clone()).map_err(io::Error::other)?;
            all.push(certificate);
        }
        Ok((roots, all))
    }

    /// How connections are made; the same every time.
    ///
    /// # Errors
    /// As [`Trust::roots`].
    pub(crate) fn config(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let config = self.builder()?.with_no_client_auth();
        Ok(self.config.get_or_init(|| Arc::new(config)).clone())
    }

    fn builder(&self) -> io::Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
        let (roots, _) = self.roots()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Ok(builder.map_err(io::Error::other)?.with_root_certificates(roots))
    }

    /// The same as [`Trust::secure`], once, with a certificate of our own where there is one.
    ///
    /// # Errors
    /// As there, or our key does not fit.
    pub(crate) async fn secure_as<S>(
        &self,
        identity: Option<&Identity>,
        host: &Host,
        stream: S,
    ) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let shown = identity.filter(|identity| !identity.is_empty());
        let Some((chain, key)) = shown.and_then(|identity| Some((identity.chain(), identity.private_key()?))) else {
            return self.secure(host, stream).await;
        };
        let config = self.builder()?.with_client_auth_cert(chain, key).map_err(io::Error::other)?;
        TlsConnector::from(Arc::new(config)).connect(server_name(host)?, stream).await
    }

    /// TLS over a stream, with a certificate of this host.
    ///
    /// # Errors
    /// It is not trusted, or the connection broke.
    pub(crate) async fn secure<S>(&self, host: &Host, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsConnector::from(self.config()?).connect(server_name(host)?, stream).await
    }
}

/// What a certificate of this host must say.
///
/// # Errors
/// No certificate can have this name.
pub(crate) fn server_name(host: &Host) -> io::Result<ServerName<'static>> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(io::Error::other),
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::from(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::from(*address))),
    }
}

/// A connection to the first address of the host that takes one; each gets its share of the time.
///
/// # Errors
/// There is none.
pub(crate) async fn connect(egress: &Egress, host: &Host, port: u16, time: Duration) -> Result<TcpStream, Trouble> {
    let addresses = egress.addresses_of(host).await.map_err(no_address)?;
    let share = time / u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut problems = Vec::new();
    for address in addresses {
        match within(share, TcpStream::connect(SocketAddr::new(address, port))).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| broken(&error))?;
                return Ok(stream);
            }
            Ok(Err(error)) => problems.push(error.to_string()),
            Err(_) => problems.push("it did not accept one in time".to_owned()),
        }
    }
    problems.dedup();
    Err(Trouble::new(Reason::Unreachable, format!("there is no connection: {}", problems.join("; "))))
}

/// What the want of an address means to whoever asks.
pub(crate) fn no_address(error: NoAddress) -> Trouble {
    let reason = match error {
        NoAddress::Refused => Reason::Forbidden,
        NoAddress::Unknown(_) => Reason::Unreachable,
    };
    Trouble::new(reason, error.to_string())
}

/// What a connection that broke means to whoever asks: a certificate that is not trusted will not be after a while, either.
pub(crate) fn broken(error: &(dyn Error + 'static)) -> Trouble {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = error.downcast_ref().or_else(|| inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()));
        match tls {
            Some(rustls::Error::InvalidCertificate(why)) => {
                return Trouble::new(Reason::Forbidden, format!("its certificate is not trusted: {why}"));
            }
            Some(other) => return Trouble::new(Reason::Unreachable, format!("there is no TLS: {other}")),
            None => {}
        }
        next = error.source();
    }
    Trouble::new(Reason::Unreachable, format!("the connection broke: {error}"))
}
