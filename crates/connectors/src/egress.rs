//! Where a connector may connect to: the host that its settings name, and of its addresses only those that everybody can
//! reach, unless it says `allow_private = true`.
//!
//! Addresses are judged after the name was looked up and are the ones that are connected to: there is no second look-up in
//! between that could give another answer.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use url::{Host, Url};

use crate::Trouble;
use crate::egress::path::check_path;

pub(crate) mod path;
#[cfg(test)]
mod tests;

/// How a name becomes addresses.
type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// The rule of one connector.
#[derive(Clone)]
pub(crate) struct Egress {
    allow_private: bool,
    lookup: Arc<Lookup>,
}

/// Why there is no address to connect to.
#[derive(Debug)]
pub(crate) enum NoAddress {
    /// The name leads to nothing.
    Unknown(String),
    /// It leads only to addresses that are refused.
    Refused,
}

impl fmt::Display for NoAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(problem) => write!(formatter, "its name cannot be looked up: {problem}"),
            Self::Refused => formatter.write_str(
                "its address is private, local or reserved: `allow_private = true` allows that for this connector",
            ),
        }
    }
}

impl std::error::Error for NoAddress {}

impl From<NoAddress> for Trouble {
    fn from(error: NoAddress) -> Self {
        match error {
            NoAddress::Refused => Self::refused(error.to_string()),
            NoAddress::Unknown(_) => Self::not_delivered(error.to_string()),
        }
    }
}

impl Egress {
    /// With the look-ups of the system.
    pub(crate) fn new(allow_private: bool) -> Self {
        let system = |host: &str| Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect());
        Self::with_lookup(allow_private, system)
    }

    /// With look-ups of its own.
    pub(crate) fn with_lookup(
        allow_private: bool,
        lookup: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self { allow_private, lookup: Arc::new(lookup) }
    }

    /// Judges a host that is an address itself; names are judged when they are looked up.
    ///
    /// # Errors
    /// It may not be connected to.
    pub(crate) fn check_literal(&self, host: Host<&str>) -> Result<(), NoAddress> {
        let address = match host {
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
            Host::Domain(_) => return Ok(()),
        };
        if self.allow_private || is_public(address) { Ok(()) } else { Err(NoAddress::Refused) }
    }

    /// Reads a host of the settings: a name, or an address that may be connected to.
    ///
    /// # Errors
    /// It is none; for the one who wrote it.
    pub(crate) fn host(&self, written: &str) -> Result<Host, String> {
        let host = Host::parse(written).map_err(|_| "is not the name of a host".to_owned())?;
        let borrowed = match &host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        };
        self.check_literal(borrowed).map_err(|error| error.to_string())?;
        Ok(host)
    }

    /// The addresses of a host that [`Egress::host`] has read; never none.
    ///
    /// # Errors
    /// There is none that may be connected to.
    pub(crate) async fn addresses_of(&self, host: &Host) -> Result<Vec<IpAddr>, NoAddress> {
        match host {
            Host::Ipv4(address) => Ok(vec![(*address).into()]),
            Host::Ipv6(address) => Ok(vec![(*address).into()]),
            Host::Domain(name) => self.addresses(name).await,
        }
    }

    /// The addresses of a host that may be connected to; never none.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NoAddress> {
        let (lookup, name) = (self.lookup.clone(), host.to_owned());
        let found = tokio::task::spawn_blocking(move || lookup(&name)).await;
        let found = found.map_err(io::Error::other).and_then(|found| found);
        let found = found.map_err(|error| NoAddress::Unknown(error.to_string()))?;
        let may = |address: &&IpAddr| self.allow_private || is_public(**address);
        let good: Vec<IpAddr> = found.iter().filter(may).copied().collect();
        match (good.is_empty(), found.first()) {
            (false, _) => Ok(good),
            (true, Some(_)) => Err(NoAddress::Refused),
            (true, None) => Err(NoAddress::Unknown("it has no address".to_owned())),
        }
    }
}

impl reqwest::dns::Resolve for Egress {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let egress = self.clone();
        Box::pin(async move {
            let addresses = egress.addresses(name.as_str()).await?;
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as reqwest::dns::Addrs)
        })
    }
}

/// Whether everybody can reach this address, as far as its number tells.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let reserved = match (a, b, c) {
        (0 | 10 | 127, _, _) => true,
        // Shared by the customers of a provider; some clouds keep their metadata there.
        (100, 64..=127, _) => true,
        // Link-local, and the metadata of most clouds.
        (169, 254, _) => true,
        (172, 16..=31, _) => true,
        (192, 168, _) => true,
        // Of protocols, of examples, of old relays, of benchmarks.
        (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (192, 88, 99) | (198, 18..=19, _) => true,
        // Multicast and what is kept for the future, broadcast included.
        (224.., _, _) => true,
        _ => false,
    };
    // What Azure tells its machines comes from here.
    !reserved && address != Ipv4Addr::new(168, 63, 129, 16)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // A translator of the network (NAT64) reaches what the last part says, and 6to4 what the second does.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => v4(high, low),
        // Teredo, benchmarks, ORCHID and others of protocols; examples.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // All that is given out is in here. Mapped and compatible addresses are not, nor are unique-local, link-local and
        // multicast ones.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// The address for a path that a script gives.
///
/// # Errors
/// It would lead elsewhere.
pub(crate) fn join(base: &Url, path: &str) -> Result<Url, String> {
    check_path(path)?;
    if path.is_empty() {
        return Ok(base.clone());
    }
    let root = base.as_str().trim_end_matches('/');
    let elsewhere = || format!("the path {path:?} leads out of `base_url`");
    let joined = Url::parse(&format!("{root}{path}")).map_err(|_| elsewhere())?;
    let below = joined.path().starts_with(base.path().trim_end_matches('/'));
    let same = joined.origin() == base.origin() && joined.username().is_empty() && joined.password().is_none();
    if same && below { Ok(joined) } else { Err(elsewhere()) }
}

/// An address from the settings that requests may go to.
///
/// # Errors
/// It is none, or has parts that do not belong there; for the one who wrote it, without the address itself.
pub(crate) fn target(written: &str, egress: &Egress) -> Result<Url, String> {
    let url = Url::parse(written.trim()).map_err(|error| format!("is not an address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with `https://`".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or password".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must not have a `#`".to_owned());
    }
    let host = url.host().ok_or("has no host")?;
    egress.check_literal(host).map_err(|error| error.to_string())?;
    Ok(url)
}

/// The same for an address that gets a secret: in the clear only where private targets are allowed.
///
/// # Errors
/// It is none, or would show the secret to others; for the one who wrote it, without the address itself.
pub(crate) fn target_of_secret(written: &str, egress: &Egress) -> Result<Url, String> {
    let url = target(written, egress)?;
    if url.scheme() == "http" && !egress.allow_private {
        return Err(
            "sends a secret in the clear: use https, or `allow_private = true` in a network of your own".to_owned()
        );
    }
    Ok(url)
}
