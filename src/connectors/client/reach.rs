//! A connection and nothing more: whether a target can be reached, and is whom its certificate says.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::connectors::Probed;
use crate::connectors::client::{Answer, Client, MAX_ANSWER_BYTES, Outgoing};
use crate::connectors::egress::NoAddress;
use crate::connectors::redact::Redact;
use crate::question::{Reason, Trouble};

impl Client {
    /// Opens a connection to the host of an address, with TLS for `https`, and closes it. With a proxy: to that, and no further.
    /// What was found, for people.
    ///
    /// # Errors
    /// There is none in the time of one try.
    pub async fn reach(&self, url: &Url) -> Result<String, Trouble> {
        match timeout(self.timeout, self.connect(url)).await {
            Ok(reached) => reached,
            Err(_) => Err(Trouble::new(Reason::Timeout, "it did not accept a connection in time")),
        }
    }

    /// The same, for a target that would act if it were asked anything.
    ///
    /// # Errors
    /// As [`Client::reach`].
    pub async fn probe(&self, url: &Url) -> Result<Probed, Trouble> {
        let found = self.reach(url).await?;
        Ok(Probed::new(format!("{found}; whether it lets us in is known at the first action"), &[]))
    }

    /// Asks something that changes nothing and that only those get answered who are let in.
    ///
    /// # Errors
    /// There is no answer, or a bad one.
    pub async fn ask_who_we_are(&self, url: Url, headers: HeaderMap, redact: &Redact) -> Result<Answer, Trouble> {
        let request = Outgoing { method: Method::GET, url, headers, body: Bytes::new() };
        let answer = self.look(request, MAX_ANSWER_BYTES).await?;
        answer.judge(redact)?;
        Ok(answer)
    }

    async fn connect(&self, url: &Url) -> Result<String, Trouble> {
        let (url, egress) = match &self.proxy {
            Some(proxy) => (proxy.url(), proxy.egress()),
            None => (url, &self.egress),
        };
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(Trouble::new(Reason::Rejected, "its address has no host"));
        };
        let host = host.to_owned();
        let addresses = egress.addresses_of(&host).await.map_err(|error| match error {
            NoAddress::Refused(_) => Trouble::new(Reason::Forbidden, error.to_string()),
            NoAddress::Unknown(_) => Trouble::new(Reason::Unreachable, error.to_string()),
        })?;
        let mut problem = None;
        for address in addresses {
            match self.open(&host, (address, port).into(), url.scheme() == "https").await {
                Ok(()) => return Ok(self.found(url.scheme())),
                Err(error) => problem = Some(error),
            }
        }
        let error = problem.unwrap_or_else(|| io::Error::other("it has no address"));
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let reason = match inner {
            Some(rustls::Error::InvalidCertificate(_)) => Reason::Forbidden,
            _ => Reason::Unreachable,
        };
        Err(Trouble::new(reason, format!("there is no connection: {error}")))
    }

    fn found(&self, scheme: &str) -> String {
        let what = if self.proxy.is_some() { "the proxy accepts connections" } else { "it accepts connections" };
        format!("{what}{}", if scheme == "https" { " with TLS" } else { "" })
    }

    async fn open(&self, host: &Host<String>, address: SocketAddr, tls: bool) -> io::Result<()> {
        let stream = TcpStream::connect(address).await?;
        if tls {
            let name = match host {
                Host::Domain(name) => ServerName::try_from(name.clone()).map_err(io::Error::other)?,
                Host::Ipv4(address) => ServerName::from(IpAddr::from(*address)),
                Host::Ipv6(address) => ServerName::from(IpAddr::from(*address)),
            };
            TlsConnector::from(Arc::new(self.tls()?)).connect(name, stream).await?;
        }
        Ok(())
    }

    fn tls(&self) -> io::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in CertificateDer::pem_slice_iter(self.authorities.as_deref().unwrap_or_default()) {
            roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(io::Error::other)?.with_root_certificates(roots);
        let identity = self.identity.as_ref().filter(|identity| !identity.is_empty());
        match identity.and_then(|identity| Some((identity.chain(), identity.private_key()?))) {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(io::Error::other),
            None => Ok(builder.with_no_client_auth()),
        }
    }
}
