// SPDX-License-Identifier: Apache-2.0
//! Sets of ports, and what a policy says of a transport by port alone.

use crate::decide::List;
use crate::net::{Address, Hosts, InetAddress, Ports, Transport};
use crate::policy::{AddressRule, Policy};

/// A set of ports, a bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortSet(Vec<u64>);

impl PortSet {
    pub(crate) fn empty() -> Self {
        Self(vec![0; 1024])
    }

    pub(crate) fn all() -> Self {
        Self(vec![u64::MAX; 1024])
    }

    fn insert(&mut self, ports: Ports) {
        for port in ports.first..=ports.last {
            if let Some(word) = self.0.get_mut(usize::from(port) / 64) {
                *word |= 1 << (port % 64);
            }
        }
    }

    fn combine(&self, other: &Self, with: fn(u64, u64) -> u64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| with(*one, *other)).collect())
    }

    fn union(&self, other: &Self) -> Self {
        self.combine(other, |one, other| one | other)
    }

    fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |one, other| one & other)
    }

    fn difference(&self, other: &Self) -> Self {
        self.combine(other, |one, other| one & !other)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(crate) fn is_all(&self) -> bool {
        self.0.iter().all(|word| *word == u64::MAX)
    }

    pub(crate) fn contains(&self, port: u16) -> bool {
        self.0.get(usize::from(port) / 64).is_some_and(|word| word & 1 << (port % 64) != 0)
    }

    /// The ports, ascending, as ranges that do not touch.
    pub(crate) fn ranges(&self) -> Vec<Ports> {
        let mut ranges: Vec<Ports> = Vec::new();
        for port in (0..=u16::MAX).filter(|port| self.contains(*port)) {
            match ranges.last_mut() {
                Some(range) if range.last.checked_add(1) == Some(port) => range.last = port,
                _ => ranges.push(Ports { first: port, last: port }),
            }
        }
        ranges
    }
}

/// What a policy says of a transport: by port, where that settles it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByPort {
    /// Allowed, whatever the address.
    pub(crate) allowed: PortSet,
    /// Allowed to some addresses.
    pub(crate) depends: PortSet,
}

/// What a policy says of a transport, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// All of it is allowed.
    Free,
    /// None of it is.
    Nothing,
    /// The port settles it.
    ByPort,
    /// It depends on the address.
    ByAddress,
}

impl ByPort {
    /// What all the layers of a policy that enforce say.
    pub(crate) fn of(policy: &Policy, list: List, transport: Transport) -> Self {
        let all = Self { allowed: PortSet::all(), depends: PortSet::empty() };
        let layers = policy.layers().filter(|layer| layer.enforces());
        layers.fold(all, |all, layer| all.both(&Self::of_layer(layer, list, transport)))
    }

    fn both(&self, other: &Self) -> Self {
        let possible = |one: &Self| one.allowed.union(&one.depends);
        let allowed = self.allowed.intersection(&other.allowed);
        let depends = possible(self).intersection(&possible(other)).difference(&allowed);
        Self { allowed, depends }
    }

    fn of_layer(layer: &Policy, list: List, transport: Transport) -> Self {
        let network = &layer.network;
        let grants = match list {
            List::NetworkBind => &network.bind,
            _ => &network.connect,
        };
        let (granted, granted_some) = match grants {
            None => (PortSet::all(), PortSet::empty()),
            Some(grants) => ports(grants, transport),
        };
        let (denied, denied_some) = ports(&network.deny, transport);
        let possible = granted.union(&granted_some).difference(&denied);
        let allowed = granted.difference(&denied).difference(&denied_some);
        let depends = possible.difference(&allowed);
        Self { allowed, depends }
    }

    pub(crate) fn settled(&self) -> Settled {
        if !self.depends.is_empty() {
            Settled::ByAddress
        } else if self.allowed.is_all() {
            Settled::Free
        } else if self.allowed.is_empty() {
            Settled::Nothing
        } else {
            Settled::ByPort
        }
    }
}

/// The ports that rules cover for every address, and those that they cover for some.
fn ports(rules: &[AddressRule], transport: Transport) -> (PortSet, PortSet) {
    let (mut every, mut some) = (PortSet::empty(), PortSet::empty());
    for rule in rules {
        let Some(inet) = rule.address.inet() else { continue };
        if !inet.protocol.covers(transport) {
            continue;
        }
        let whole = is_everywhere(inet) && !rule.except.iter().any(|one| touches(one, transport));
        if whole { every.insert(inet.ports) } else { some.insert(inet.ports) }
    }
    (every, some)
}

/// Whether it covers every host of both families.
fn is_everywhere(inet: &InetAddress) -> bool {
    inet.hosts == Hosts::Any
}

fn touches(address: &Address, transport: Transport) -> bool {
    address.inet().is_some_and(|inet| inet.protocol.covers(transport))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Origin;

    fn rules(texts: &[&str]) -> Vec<AddressRule> {
        let origin = || Origin::new("test", 1, 1, "");
        texts.iter().map(|text| AddressRule::new(Address::parse(text).unwrap(), origin())).collect()
    }

    fn check(connect: Option<&[&str]>, deny: &[&str], transport: Transport, expected: Settled) {
        let mut policy = Policy::default();
        policy.network.connect = connect.map(rules);
        policy.network.deny = rules(deny);
        let found = ByPort::of(&policy, List::NetworkConnect, transport).settled();
        assert_eq!(found, expected, "{connect:?} deny {deny:?} {transport:?}");
    }

    #[test]
    fn a_transport_is_settled_by_port_where_no_rule_names_a_host() {
        use Transport::{Tcp, Udp};
        check(None, &[], Tcp, Settled::Free);
        check(Some(&[]), &[], Tcp, Settled::Nothing);
        check(Some(&["*"]), &[], Tcp, Settled::Free);
        check(Some(&["tcp *:443"]), &[], Tcp, Settled::ByPort);
        check(Some(&["tcp *:443"]), &[], Udp, Settled::Nothing);
        check(Some(&["tcp *:443", "tcp *"]), &[], Tcp, Settled::Free);
        check(Some(&["tcp 10.0.0.0/8"]), &[], Tcp, Settled::ByAddress);
        check(Some(&["tcp *", "tcp 10.0.0.0/8"]), &[], Tcp, Settled::Free);
        check(None, &["tcp *:25"], Tcp, Settled::ByPort);
        check(None, &["tcp @metadata"], Tcp, Settled::ByAddress);
        check(None, &["tcp @metadata"], Udp, Settled::Free);
        check(None, &["ip *"], Tcp, Settled::Nothing);
        check(Some(&["tcp *:443"]), &["tcp 10.0.0.1:80"], Tcp, Settled::ByPort);
    }

    #[test]
    fn a_required_policy_narrows() {
        let mut policy = Policy::default();
        policy.network.connect = Some(rules(&["tcp *:1-100"]));
        let mut required = Policy::default();
        required.network.connect = Some(rules(&["tcp *:50-200", "tcp 10.0.0.1:7"]));
        let policy = policy.require(&required);
        let found = ByPort::of(&policy, List::NetworkConnect, Transport::Tcp);
        assert!(found.allowed.contains(50) && found.allowed.contains(100));
        assert!(!found.allowed.contains(49) && !found.allowed.contains(101));
        assert_eq!(found.depends.ranges(), [Ports { first: 7, last: 7 }]);
        assert_eq!(PortSet::all().ranges(), [Ports::ALL]);
    }
}
