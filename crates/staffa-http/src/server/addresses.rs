//! How many connections each address holds, so that no client takes the places of all others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The part of an IPv6 address that belongs to one client: networks are given out whole.
const IPV6_NETWORK: u128 = !0 << 64;

/// The connections that there are now, by address.
#[derive(Debug)]
pub(super) struct Addresses {
    max: usize,
    entries: Mutex<HashMap<IpAddr, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    held: usize,
    /// The log was told, so that a flood of connections is not one of lines.
    is_told: bool,
}

impl Addresses {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            entries: Mutex::default(),
        })
    }

    /// Takes a place for a connection of an address, if that holds fewer than it may.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Share> {
        let client = client(address);
        let mut entries = self.entries();
        let entry = entries.entry(client).or_default();
        if entry.held >= self.max {
            if !std::mem::replace(&mut entry.is_told, true) {
                let max = self.max;
                tracing::warn!(%client, max, "connections beyond the limit of an address are closed");
            }
            return None;
        }
        entry.held += 1;
        Some(Share {
            addresses: Arc::clone(self),
            client,
        })
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<IpAddr, Entry>> {
        // Each change is complete before the lock is given up, even by a panic.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for one connection, until dropped.
#[derive(Debug)]
pub(super) struct Share {
    addresses: Arc<Addresses>,
    client: IpAddr,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut entries = self.addresses.entries();
        if let Some(entry) = entries.get_mut(&self.client) {
            entry.held -= 1;
            if entry.held == 0 {
                entries.remove(&self.client);
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or a network of IPv6.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & IPV6_NETWORK).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Addresses, Share};

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check_same(one: &str, other: &str, expected: bool) {
        let addresses = Addresses::new(1);
        let _held = addresses.take(address(one)).unwrap();
        assert_eq!(addresses.take(address(other)).is_none(), expected);
    }

    #[test]
    fn networks_of_ipv6_are_one_client() {
        check_same("192.0.2.1", "192.0.2.1", true);
        check_same("192.0.2.1", "192.0.2.2", false);
        check_same("192.0.2.1", "::ffff:192.0.2.1", true);
        check_same("2001:db8::1", "2001:db8::ffff:0:0:1", true);
        check_same("2001:db8::1", "2001:db8:0:1::1", false);
    }

    #[test]
    fn places_are_given_back() {
        let addresses = Addresses::new(2);
        let take = || addresses.take(address("192.0.2.1"));
        let held: Vec<Share> = [take(), take()].map(Option::unwrap).into();
        assert!(take().is_none());
        drop(held);
        assert!(addresses.entries().is_empty());
        assert!(take().is_some());
    }
}
