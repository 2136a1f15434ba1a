//! The value `Ip`: an address as the provider sent it, valid or not (real payloads hold `555.555.55.5`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use rhai::{Array, ImmutableString};

use crate::library::{Doc, Library};
use crate::prelude::{Fallible, compared, printed};
use crate::table::Table;

/// An IP address. IPv4 in IPv6 clothes (`::ffff:10.0.0.1`) counts as IPv4.
#[derive(Clone, Debug)]
pub struct Ip {
    text: ImmutableString,
    address: Option<IpAddr>,
}

impl Ip {
    pub fn parse(text: impl Into<ImmutableString>) -> Self {
        let text = text.into();
        let bare = text.trim();
        let bare = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(bare);
        let address = bare.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        Self { text, address }
    }

    /// As it was given.
    pub(crate) fn text(&self) -> &ImmutableString {
        &self.text
    }

    /// Whether the address is in a network such as `10.0.0.0/8`, or is the address itself. False if it is not valid.
    ///
    /// # Errors
    /// `network` is neither a network nor an address.
    pub(crate) fn is_in(&self, network: &str) -> Result<bool, String> {
        let network = parse_network(network)
            .ok_or_else(|| format!("`{network}` is not a network: write it as `10.0.0.0/8` or `2001:db8::/32`"))?;
        Ok(self.address.is_some_and(|address| network.contains(&address)))
    }

    /// Whether the address cannot be reached from the internet: private, shared (CGNAT) and link-local ranges. Loopback is not among them.
    pub(crate) fn is_private(&self) -> bool {
        match self.address {
            Some(IpAddr::V4(v4)) => v4.is_private() || v4.is_link_local() || is_shared(v4),
            Some(IpAddr::V6(v6)) => v6.is_unique_local() || v6.is_unicast_link_local(),
            None => false,
        }
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.address.is_some_and(|address| address.is_loopback())
    }

    fn version(&self) -> i64 {
        match self.address {
            Some(IpAddr::V4(_)) => 4,
            Some(IpAddr::V6(_)) => 6,
            None => 0,
        }
    }

    fn same_as(&self, other: &Self) -> bool {
        if self.address.is_some() { self.address == other.address } else { self.text == other.text }
    }
}

/// RFC 6598, 100.64.0.0/10.
fn is_shared(address: Ipv4Addr) -> bool {
    let octets = address.octets();
    octets[0] == 100 && octets[1] & 0xc0 == 64
}

fn parse_network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => text.parse::<IpAddr>().ok()?.into(),
    };
    match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => Some(mapped(v6.addr(), v6.prefix_len()).unwrap_or(network)),
        _ => Some(network),
    }
}

/// `::ffff:10.0.0.0/104` as `10.0.0.0/8`.
fn mapped(address: Ipv6Addr, prefix: u8) -> Option<IpNet> {
    Ipv4Net::new(address.to_ipv4_mapped()?, prefix - 96).ok().map(IpNet::V4)
}

fn in_any<'a>(ip: &Ip, mut networks: impl Iterator<Item = &'a str>) -> Fallible<bool> {
    // All are read, so that a wrong one is found by the first test and not by the first address that gets that far.
    Ok(networks.try_fold(false, |found, network| ip.is_in(network).map(|inside| found || inside))?)
}

fn texts(list: &Array) -> Fallible<Vec<ImmutableString>> {
    let text = |item: &rhai::Dynamic| {
        item.clone()
            .into_immutable_string()
            .map_err(|kind| format!("a network is a text such as `10.0.0.0/8`, this is {kind}").into())
    };
    list.iter().map(text).collect()
}

pub(super) fn register(library: &mut Library) {
    library.value::<Ip>("Ip", "An IP address, valid or not.");
    library.function(
        Doc::new(
            "ip(text: string) -> Ip",
            "Reads an address. Never fails: ask `.is_valid`.",
            r#"ip("10.1.2.3").is_valid && !ip("555.555.55.5").is_valid"#,
        ),
        |text: ImmutableString| Ip::parse(text),
    );
    library.function(
        Doc::new(
            "Ip.in_cidr(networks: string or array or Table) -> bool",
            "Whether the address is in a network, or in any of a list. What is not a network is an error; an invalid address is in none.",
            r#"ip("10.1.2.3").in_cidr("10.0.0.0/8") && !ip("192.0.2.1").in_cidr(["10.0.0.0/8", "2001:db8::/32"])"#,
        ),
        |ip: &mut Ip, network: &str| in_any(ip, std::iter::once(network)),
    );
    library.overload("in_cidr", |ip: &mut Ip, list: Array| {
        let list = texts(&list)?;
        in_any(ip, list.iter().map(ImmutableString::as_str))
    });
    library.overload("in_cidr", |ip: &mut Ip, table: Arc<Table>| {
        let list = texts(&table.rows()?)?;
        in_any(ip, list.iter().map(ImmutableString::as_str))
    });
    register_parts(library);
    printed::<Ip>(library, |ip| ip.text.clone());
    compared::<Ip>(library, Ip::same_as, |ip, text| ip.same_as(&Ip::parse(text)));
}

fn register_parts(library: &mut Library) {
    library.property(
        Doc::new("Ip.text: string", "As it was given.", r#"ip("555.555.55.5").text == "555.555.55.5""#),
        |ip: &mut Ip| ip.text.clone(),
    );
    library.property(
        Doc::new("Ip.is_valid: bool", "Whether it is an IPv4 or IPv6 address.", r#"ip("2001:db8::1").is_valid"#),
        |ip: &mut Ip| ip.address.is_some(),
    );
    library.property(
        Doc::new(
            "Ip.is_private: bool",
            "Private, shared (100.64.0.0/10) and link-local ranges, and their likes in IPv6; not loopback.",
            r#"ip("192.168.0.1").is_private && ip("fd00::1").is_private && !ip("8.8.8.8").is_private"#,
        ),
        |ip: &mut Ip| ip.is_private(),
    );
    library.property(
        Doc::new(
            "Ip.is_loopback: bool",
            "127.0.0.0/8 and ::1.",
            r#"ip("127.0.0.1").is_loopback && ip("::1").is_loopback"#,
        ),
        |ip: &mut Ip| ip.is_loopback(),
    );
    library.property(
        Doc::new(
            "Ip.version: int",
            "4 or 6; 0 if the address is not valid. IPv4 mapped into IPv6 is 4.",
            r#"ip("::ffff:10.0.0.1").version == 4 && ip("x").version == 0"#,
        ),
        |ip: &mut Ip| ip.version(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_meet_networks_of_both_kinds() {
        let ip = Ip::parse("::ffff:10.1.2.3");
        for network in ["10.0.0.0/8", "10.1.2.3", "::ffff:10.0.0.0/104", "0.0.0.0/0", " 10.1.2.0/24 "] {
            assert_eq!(ip.is_in(network), Ok(true), "{network}");
        }
        for network in ["2001:db8::/32", "11.0.0.0/8"] {
            assert_eq!(ip.is_in(network), Ok(false), "{network}");
        }
        assert_eq!(Ip::parse("[2001:db8::1]").is_in("2001:db8::/32"), Ok(true));
    }

    #[test]
    fn a_wrong_network_is_an_error_even_behind_a_match() {
        for network in ["10.0.0.0/33", "", "example.com", "10.0.0"] {
            assert!(Ip::parse("10.0.0.1").is_in(network).expect_err(network).contains(&format!("`{network}`")));
        }
        assert!(in_any(&Ip::parse("10.0.0.1"), ["10.0.0.0/8", "10.0.0.0/99"].into_iter()).is_err());
    }

    #[test]
    fn what_is_no_address_is_in_no_network() {
        for text in ["555.555.55.5", "", "10.0.0.1:80", "010.0.0.1", "localhost"] {
            let ip = Ip::parse(text);
            assert_eq!((ip.is_in("0.0.0.0/0"), ip.is_private(), ip.version()), (Ok(false), false, 0), "{text}");
        }
    }

    #[test]
    fn private_ranges_end_where_they_should() {
        for text in ["10.0.0.1", "172.31.255.255", "169.254.1.1", "100.64.0.1", "100.127.255.255", "fe80::1", "fc00::1"]
        {
            assert!(Ip::parse(text).is_private(), "{text}");
        }
        for text in ["172.32.0.1", "100.128.0.1", "127.0.0.1", "2001:db8::1", "1.1.1.1"] {
            assert!(!Ip::parse(text).is_private(), "{text}");
        }
    }
}
