//! The two listeners: addresses bound, certificate and token read. What the system refuses is told with its remedy.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tracing::info;

use crate::admin::access::Access;
use crate::cli::bundle;
use crate::cli::serve::ADMIN_GRACE;
use crate::cli::serve::files;
use crate::config;
use crate::config::Config;
use crate::release::bundle::Place;
use crate::secret::{Secret, SecretSource};
use crate::server::Settings;
use crate::server::tls::{Tls, TlsFiles};
use crate::telemetry::metrics::Metrics;

pub(super) struct Listeners {
    pub(super) public: TcpListener,
    pub(super) settings: Settings,
    pub(super) admin: TcpListener,
    pub(super) admin_settings: Settings,
    pub(super) access: Access,
}

/// How often certificate files are looked at.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(5);

impl Listeners {
    /// # Errors
    /// An address that is not free or not ours, a certificate or token that cannot be used.
    pub(super) async fn bind(place: &Place, config: &Config, metrics: &Arc<Metrics>) -> Result<Self> {
        let shares = files::allow(config)?;
        let mut settings = Settings::new("public");
        settings.max_connections = shares.public;
        settings.stop_grace = Duration::from_millis(config.server.stop_grace_ms);
        settings.tls = tls(place, config, metrics)?;
        settings.open = metrics.connections.clone();
        let mut admin_settings = Settings::new("admin");
        admin_settings.max_connections = shares.admin;
        admin_settings.stop_grace = ADMIN_GRACE;
        admin_settings.open = metrics.admin_connections.clone();
        Ok(Self {
            public: bound("server.listen", config.server.listen).await?,
            admin: bound("admin.listen", config.admin.listen).await?,
            access: access(place, config)?,
            settings,
            admin_settings,
        })
    }
}

async fn bound(key: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "`{key}`: {address} is in use; stop what listens there (another hookgate?), or choose another address"
        ),
        ErrorKind::AddrNotAvailable => {
            anyhow!("`{key}`: {address} is no address of this machine; 0.0.0.0 listens on all it has")
        }
        ErrorKind::PermissionDenied => anyhow!(
            "`{key}`: {address} needs a privilege; choose a port from 1024 up, or give the program CAP_NET_BIND_SERVICE"
        ),
        _ => anyhow!("`{key}`: {address} cannot be listened on: {error}"),
    })
}

fn tls(place: &Place, config: &Config, metrics: &Arc<Metrics>) -> Result<Option<Arc<Tls>>> {
    let Some(written) = &config.server.tls else { return Ok(None) };
    let files = TlsFiles {
        cert_file: place.root.join(&written.cert_file),
        key_file: place.root.join(&written.key_file),
        client_ca_file: written.client_ca_file.as_ref().map(|file| place.root.join(file)),
    };
    let tls = Arc::new(Tls::load(files).context("`server.tls`")?);
    tokio::spawn(tls.clone().follow(CERTIFICATE_EVERY, Arc::new(Notify::new()), metrics.clone()));
    Ok(Some(tls))
}

fn access(place: &Place, config: &Config) -> Result<Access> {
    let operator = token(place, "admin.token", config.admin.token.as_ref())?;
    let reader = token(place, "admin.read_token", config.admin.read_token.as_ref())?;
    if let Some((operator, reader)) = operator.as_ref().zip(reader.as_ref())
        && operator.matches(reader.expose())
    {
        bail!("`admin.token` and `admin.read_token` are the same: readers would be operators");
    }
    Ok(Access::tokens(operator, reader))
}

fn token(place: &Place, key: &'static str, written: Option<&SecretSource>) -> Result<Option<Secret>> {
    let Some(written) = written else { return Ok(None) };
    let source = bundle::source(place, written);
    let found = source.read(config::environment).with_context(|| format!("`{key}`"))?;
    if found.created {
        info!(secret = source.label(), key, "a token for the admin listener was made");
    }
    Ok(Some(found.secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_in_use_is_told_with_its_key() {
        let first = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = first.local_addr().expect("an address");
        let problem = bound("server.listen", address).await.expect_err("it is taken").to_string();
        assert!(problem.contains("`server.listen`") && problem.contains("is in use"), "{problem}");
    }
}
