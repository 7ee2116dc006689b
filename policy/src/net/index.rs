// SPDX-License-Identifier: Apache-2.0
//! Rules about internet addresses, found by longest-prefix maps.
//!
//! Rules with the same hosts share a group; a group has, for each protocol, the ports cut into
//! segments with the best rule of each. So a look-up costs one walk down the prefixes that the
//! address is in, and a binary search in each group there, however many rules there are. Rules with
//! exceptions are kept beside, by group, and tried one by one until one holds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use super::{Address, Hosts, InetAddress, Ports, Protocol};

/// The protocol of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Neither, such as ICMP: only `ip` rules cover it.
    Other,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Other];
}

impl Protocol {
    /// Whether a rule of this protocol is about that transport.
    #[must_use]
    pub const fn covers(self, transport: Transport) -> bool {
        match self {
            Self::Any => true,
            Self::Tcp => matches!(transport, Transport::Tcp),
            Self::Udp => matches!(transport, Transport::Udp),
        }
    }
}

impl Hosts {
    /// The prefixes that make it up.
    #[must_use]
    pub fn prefixes(&self) -> Vec<IpNet> {
        match self {
            Self::Any => vec![Ipv4Net::default().into(), Ipv6Net::default().into()],
            Self::Net(net) => vec![*net],
            Self::Named(set) => set.prefixes(),
        }
    }

    /// Whether the address, which is not an IPv4-mapped one, is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Net(net) => net.contains(&address),
            Self::Named(set) => set.prefixes().iter().any(|net| net.contains(&address)),
        }
    }
}

impl InetAddress {
    /// All hosts and ports of all protocols.
    pub const EVERYTHING: Self =
        Self { protocol: Protocol::Any, hosts: Hosts::Any, ports: Ports::ALL };

    /// Whether it covers the address, which is not an IPv4-mapped one.
    #[must_use]
    pub fn covers(&self, transport: Transport, address: IpAddr, port: u16) -> bool {
        self.protocol.covers(transport) && self.ports.contains(port) && self.hosts.contains(address)
    }
}

impl Address {
    /// What it covers of the internet.
    #[must_use]
    pub fn inet(&self) -> Option<&InetAddress> {
        match self {
            Self::Everything => Some(&InetAddress::EVERYTHING),
            Self::Inet(inet) => Some(inet),
            Self::Unix(_) => None,
        }
    }
}

/// Rules with the same hosts, for one protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PortTable {
    /// Disjoint, ascending: ports and the least rank of a rule without exceptions there.
    segments: Vec<(Ports, u32)>,
    /// Rules with exceptions, by rank.
    guarded: Vec<u32>,
}

/// What an index needs to know about a rule; its index is its rank.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InetRule {
    pub(crate) address: InetAddress,
    pub(crate) except: Vec<InetAddress>,
}

impl InetRule {
    pub(crate) fn covers(&self, transport: Transport, address: IpAddr, port: u16) -> bool {
        self.address.covers(transport, address, port)
            && !self.except.iter().any(|except| except.covers(transport, address, port))
    }
}

/// An index of one list of rules.
#[derive(Debug, Default)]
pub(crate) struct InetIndex {
    /// By rank; `None` for a rule that is about something else.
    rules: Vec<Option<InetRule>>,
    /// By group and transport.
    tables: Vec<[PortTable; 3]>,
    /// The ranks of a group's rules.
    members: Vec<Vec<u32>>,
    v4: PrefixMap<Ipv4Net, Vec<u32>>,
    v6: PrefixMap<Ipv6Net, Vec<u32>>,
}

impl InetIndex {
    /// An index of rules, given with their ranks.
    pub(crate) fn new(rules: Vec<Option<InetRule>>) -> Self {
        let mut by_hosts: BTreeMap<Hosts, Vec<u32>> = BTreeMap::new();
        for (rank, rule) in (0u32..).zip(&rules) {
            if let Some(rule) = rule {
                by_hosts.entry(rule.address.hosts.clone()).or_default().push(rank);
            }
        }
        let mut index = Self { rules, ..Self::default() };
        for (group, (hosts, ranks)) in (0u32..).zip(by_hosts) {
            for net in hosts.prefixes() {
                match net {
                    IpNet::V4(net) => index.v4.entry(net).or_default().push(group),
                    IpNet::V6(net) => index.v6.entry(net).or_default().push(group),
                }
            }
            let tables = Transport::ALL.map(|transport| index.table(&ranks, transport));
            index.tables.push(tables);
            index.members.push(ranks);
        }
        index
    }

    fn table(&self, ranks: &[u32], transport: Transport) -> PortTable {
        let mut table = PortTable::default();
        let mut plain = Vec::new();
        for &rank in ranks {
            let Some(rule) = self.rule(rank) else { continue };
            if !rule.address.protocol.covers(transport) {
                continue;
            }
            if rule.except.is_empty() {
                plain.push((rule.address.ports, rank));
            } else {
                table.guarded.push(rank);
            }
        }
        table.segments = segments(&plain);
        table
    }

    /// The rules of each group, in the order of groups.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Vec<&InetRule>> {
        self.members.iter().map(|ranks| ranks.iter().filter_map(|rank| self.rule(*rank)).collect())
    }

    fn rule(&self, rank: u32) -> Option<&InetRule> {
        self.rules.get(rank as usize).and_then(Option::as_ref)
    }

    /// The groups whose hosts the address is one of.
    pub(crate) fn groups_of(&self, address: IpAddr) -> Vec<u32> {
        let mut groups: Vec<u32> = match address {
            IpAddr::V4(address) => {
                self.v4.cover_values(&address.into()).flatten().copied().collect()
            }
            IpAddr::V6(address) => {
                self.v6.cover_values(&address.into()).flatten().copied().collect()
            }
        };
        groups.sort_unstable();
        groups
    }

    /// The least rank of a rule that covers the address.
    pub(crate) fn best(&self, transport: Transport, address: IpAddr, port: u16) -> Option<u32> {
        let of_group = |group: &u32| {
            let table = &self.tables.get(*group as usize)?[transport as usize];
            let guarded = self.guarded(table, transport, address, port);
            guarded.into_iter().chain(table.best(port)).min()
        };
        match address {
            IpAddr::V4(host) => {
                self.v4.cover_values(&host.into()).flatten().filter_map(of_group).min()
            }
            IpAddr::V6(host) => {
                self.v6.cover_values(&host.into()).flatten().filter_map(of_group).min()
            }
        }
    }

    fn guarded(
        &self,
        table: &PortTable,
        transport: Transport,
        address: IpAddr,
        port: u16,
    ) -> Option<u32> {
        let plain = table.best(port);
        let better = table.guarded.iter().take_while(|rank| plain.is_none_or(|p| **rank < p));
        let holds =
            |rank: u32| self.rule(rank).is_some_and(|rule| rule.covers(transport, address, port));
        better.copied().find(|rank| holds(*rank))
    }
}

impl PortTable {
    /// The least rank of a rule without exceptions for the port.
    fn best(&self, port: u16) -> Option<u32> {
        let at = self.segments.partition_point(|(ports, _)| ports.last < port);
        self.segments.get(at).filter(|(ports, _)| ports.contains(port)).map(|(_, rank)| *rank)
    }
}

/// Cuts ranges of ports into disjoint ones, each with the least rank there.
fn segments(ranges: &[(Ports, u32)]) -> Vec<(Ports, u32)> {
    // At a port, what begins there and what ended before it.
    let mut events: BTreeMap<u32, (Vec<u32>, Vec<u32>)> = BTreeMap::new();
    for (ports, rank) in ranges {
        events.entry(u32::from(ports.first)).or_default().0.push(*rank);
        events.entry(u32::from(ports.last) + 1).or_default().1.push(*rank);
    }
    let mut active = BTreeSet::new();
    let mut cut: Vec<(Ports, u32)> = Vec::new();
    let mut open: Option<(u16, u32)> = None;
    for (port, (begin, end)) in events {
        active.extend(begin);
        for rank in end {
            active.remove(&rank);
        }
        let least = active.first().copied();
        if open.map(|(_, rank)| rank) == least {
            continue;
        }
        if let Some((first, rank)) = open.take() {
            let last = u16::try_from(port.saturating_sub(1)).unwrap_or(u16::MAX);
            cut.push((Ports { first, last }, rank));
        }
        open = least.and_then(|rank| Some((u16::try_from(port).ok()?, rank)));
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(rules: &[(&str, &[&str])]) -> InetIndex {
        let parse = |text: &str| Address::parse(text).unwrap().inet().unwrap().clone();
        let rule = |(address, except): &(&str, &[&str])| {
            let except = except.iter().map(|text| parse(text)).collect();
            Some(InetRule { address: parse(address), except })
        };
        InetIndex::new(rules.iter().map(rule).collect())
    }

    fn best(index: &InetIndex, transport: Transport, address: &str, port: u16) -> Option<u32> {
        index.best(transport, address.parse().unwrap(), port)
    }

    #[test]
    fn the_least_rank_among_all_covering_prefixes_is_found() {
        let index = index(&[
            ("tcp 10.1.2.3:443", &[]),
            ("tcp 10.1.0.0/16:1-1000", &[]),
            ("ip 10.0.0.0/8", &[]),
            ("tcp *:443", &[]),
            ("udp @private", &[]),
        ]);
        assert_eq!(best(&index, Transport::Tcp, "10.1.2.3", 443), Some(0));
        assert_eq!(best(&index, Transport::Tcp, "10.1.2.3", 444), Some(1));
        assert_eq!(best(&index, Transport::Tcp, "10.1.2.3", 1001), Some(2));
        assert_eq!(best(&index, Transport::Other, "10.1.2.3", 0), Some(2));
        assert_eq!(best(&index, Transport::Tcp, "11.0.0.0", 443), Some(3));
        assert_eq!(best(&index, Transport::Tcp, "2001:db8::1", 443), Some(3));
        assert_eq!(best(&index, Transport::Udp, "fd00::1", 9), Some(4));
        assert_eq!(best(&index, Transport::Udp, "11.0.0.0", 443), None);
    }

    #[test]
    fn a_rule_does_not_cover_its_exceptions() {
        let index = index(&[("tcp 10.0.0.0/8", &["tcp 10.0.0.53:53"]), ("tcp *:53", &[])]);
        assert_eq!(best(&index, Transport::Tcp, "10.0.0.53", 54), Some(0));
        assert_eq!(best(&index, Transport::Tcp, "10.0.0.53", 53), Some(1));
    }

    #[test]
    fn segments_are_cut_where_the_best_rule_changes() {
        let ports = |first, last| Ports { first, last };
        let cut = segments(&[(ports(10, 20), 1), (ports(15, 30), 0), (ports(0, u16::MAX), 2)]);
        let expected =
            [(ports(0, 9), 2), (ports(10, 14), 1), (ports(15, 30), 0), (ports(31, u16::MAX), 2)];
        assert_eq!(cut, expected);
    }
}
