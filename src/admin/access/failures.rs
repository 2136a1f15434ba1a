//! How often an address may show a wrong token: ten times, and then once a second.
//!
//! Addresses are kept in memory and bounded in number; when there are more, the rest share one allowance. Sessions are not
//! counted: nobody guesses 256 bits.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Wrong tokens in a row before waiting begins.
const BURST: f64 = 10.0;

/// What comes back of the allowance each second.
const PER_SECOND: f64 = 1.0;

/// Addresses that are told apart.
const MOST: usize = 1_024;

#[derive(Default)]
pub(super) struct Failures(Mutex<HashMap<Option<IpAddr>, Allowance>>);

struct Allowance {
    left: f64,
    since: Instant,
}

impl Allowance {
    fn now(&self) -> f64 {
        (self.left + self.since.elapsed().as_secs_f64() * PER_SECOND).min(BURST)
    }
}

impl Failures {
    pub(super) fn may_try(&self, peer: Option<IpAddr>) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = peer.map(network);
        let key = if known.contains_key(&peer) || known.len() < MOST { peer } else { None };
        known.get(&key).is_none_or(|allowance| allowance.now() >= 1.0)
    }

    pub(super) fn wrong(&self, peer: Option<IpAddr>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = peer.map(network);
        if known.len() >= MOST {
            known.retain(|_, allowance| allowance.now() < BURST);
        }
        let key = if known.contains_key(&peer) || known.len() < MOST { peer } else { None };
        let allowance = known.entry(key).or_insert_with(|| Allowance { left: BURST, since: Instant::now() });
        *allowance = Allowance { left: (allowance.now() - 1.0).max(0.0), since: Instant::now() };
    }
}

/// Who has an address of IPv6 has 2^64 of them.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn ten_wrong_tokens_close_the_door_for_their_address_alone() {
        let failures = Failures::default();
        for _ in 0..10 {
            assert!(failures.may_try(from("192.0.2.1")));
            failures.wrong(from("192.0.2.1"));
        }
        assert!(!failures.may_try(from("192.0.2.1")));
        assert!(!failures.may_try(from("::ffff:192.0.2.1")), "the same address");
        assert!(failures.may_try(from("192.0.2.2")));
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let failures = Failures::default();
        (1..=10).for_each(|host| failures.wrong(from(&format!("2001:db8:1:2::{host}"))));
        assert!(!failures.may_try(from("2001:db8:1:2::ff")));
        assert!(failures.may_try(from("2001:db8:1:3::1")));
    }

    #[test]
    fn many_addresses_take_no_more_memory() {
        let failures = Failures::default();
        for number in 0..3_000_u32 {
            failures.wrong(Some(IpAddr::V4(number.into())));
        }
        assert!(failures.0.lock().unwrap().len() <= MOST + 1);
        assert!(!failures.may_try(from("198.51.100.1")), "those that are not told apart wait together");
    }
}
