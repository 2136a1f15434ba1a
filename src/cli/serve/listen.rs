//! The two listeners: their sockets, certificate and tokens.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tracing::info;

use crate::admin::access::Access;
use crate::cli::bundle;
use crate::cli::serve::ADMIN_GRACE;
use crate::cli::serve::files;
use crate::cli::serve::sockets::{Bound, Inherited, Spare};
use crate::server::Settings;
use crate::server::tls::{Tls, TlsFiles};
use hookgate_engine::config::Config;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_model::environment;
use hookgate_model::secret::{Secret, SecretSource};

pub(super) struct Listeners {
    pub(super) public: Listener,
    pub(super) settings: Settings,
    pub(super) admin: Listener,
    pub(super) admin_settings: Settings,
    pub(super) access: Access,
    /// For the next program.
    pub(super) spare: Arc<Spare>,
}

/// A socket, and whether somebody else has it, too.
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) inherited: bool,
}

/// How often certificate files are looked at.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(5);

impl Listeners {
    /// Takes the sockets that were handed over, and binds those that were not.
    ///
    /// # Errors
    /// An address that is not free or not ours, a certificate or token that cannot be used.
    pub(super) fn bind(
        place: &Place,
        config: &Config,
        metrics: &Arc<Metrics>,
        mut inherited: Inherited,
    ) -> Result<Self> {
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
        let public = inherited.public(config.server.listen)?;
        let admin = inherited.admin(config.admin.listen)?;
        // Of the address in the configuration the check has seen to it.
        if config.admin.token.is_none() && !admin.listener.local_addr()?.ip().is_loopback() {
            bail!("`admin.token` is missing: the socket `admin` that was handed over is open to other machines");
        }
        Ok(Self {
            access: access(place, config)?,
            spare: Arc::new(Spare::of(&public.listener, &admin.listener)?),
            public: Listener::of(public)?,
            admin: Listener::of(admin)?,
            settings,
            admin_settings,
        })
    }
}

impl Listener {
    fn of(bound: Bound) -> Result<Self> {
        Ok(Self { socket: TcpListener::from_std(bound.listener)?, inherited: bound.inherited })
    }
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
    let found = source.read(environment::variable).with_context(|| format!("`{key}`"))?;
    if found.created {
        info!(secret = source.label(), key, "a token for the admin listener was made");
    }
    Ok(Some(found.secret))
}
