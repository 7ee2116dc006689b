// SPDX-License-Identifier: Apache-2.0
//! Differences about addresses of the internet.
//!
//! The ends of all prefixes cut the addresses into intervals within which every rule covers all or
//! nothing, and the ends of all ranges of ports cut the ports. One address and one port of each is
//! compared. Where both policies have the same rules, they are not compared again, and ports only
//! where a rule that one of them lacks has a say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::decide::{
    Decider, Endpoint, LayerIndex, List, NetworkAction, NetworkOperation, Operation, Transport,
};
use crate::net::{InetAddress, InetRule};
use crate::path::TooComplex;

use super::{Found, Section};

/// How much is compared before it is given up; a unit costs about a microsecond.
const MOST: usize = 4_000_000;

/// A group of rules with the same hosts in a list of a layer: equal groups have equal numbers,
/// whichever policy they are in.
type GroupId = usize;

/// The rules of both policies.
struct Rules<'a> {
    sides: [Vec<Lists<'a>>; 2],
    /// The rules of each group.
    groups: Vec<Vec<&'a InetRule>>,
}

/// A list of a layer, with the number of each of its groups.
struct Lists<'a> {
    layer: &'a LayerIndex,
    list: List,
    groups: Vec<GroupId>,
}

pub(super) fn compare(deciders: &[Decider; 2], found: &mut Found) -> Result<(), TooComplex> {
    let rules = Rules::new(deciders);
    let presence = deciders.each_ref().map(|decider| {
        decider.indexes().map(|(_, layer)| layer.network_presence()).collect::<Vec<_>>()
    });
    let mut comparison =
        Comparison { deciders, found, left: MOST, alike: presence[0] == presence[1] };
    let mut seen = BTreeSet::new();
    for address in rules.starts() {
        let here = [0, 1].map(|side: usize| rules.groups_of(side, address));
        comparison.spend(1 + here[0].len() + here[1].len())?;
        let guarded = here.iter().flatten().any(|group| rules.is_guarded(*group));
        let same = comparison.alike && here[0] == here[1];
        if same || (!seen.insert(here.clone()) && !guarded) {
            continue;
        }
        comparison.compare_ports(&rules, address, &here)?;
    }
    Ok(())
}

impl<'a> Rules<'a> {
    fn new(deciders: &'a [Decider; 2]) -> Self {
        let mut known: BTreeMap<(usize, List, Vec<&InetRule>), GroupId> = BTreeMap::new();
        let mut groups = Vec::new();
        let sides = deciders.each_ref().map(|decider| {
            let mut lists = Vec::new();
            for (depth, (_, layer)) in decider.indexes().enumerate() {
                for list in [List::NetworkConnect, List::NetworkBind, List::NetworkDeny] {
                    let of_list = layer.inet(list).groups().map(|mut rules: Vec<&InetRule>| {
                        rules.sort();
                        rules.dedup();
                        *known.entry((depth, list, rules.clone())).or_insert_with(|| {
                            groups.push(rules);
                            groups.len() - 1
                        })
                    });
                    lists.push(Lists { layer, list, groups: of_list.collect() });
                }
            }
            lists
        });
        Self { sides, groups }
    }

    fn of_group(&self, group: GroupId) -> &[&'a InetRule] {
        self.groups.get(group).map(Vec::as_slice).unwrap_or_default()
    }

    fn is_guarded(&self, group: GroupId) -> bool {
        self.of_group(group).iter().any(|rule| !rule.except.is_empty())
    }

    /// The groups of a policy that the address is in.
    fn groups_of(&self, side: usize, address: IpAddr) -> BTreeSet<GroupId> {
        let of_list = |lists: &Lists<'a>| {
            let own = lists.layer.inet(lists.list).groups_of(address);
            own.into_iter()
                .filter_map(|group| lists.groups.get(group as usize).copied())
                .collect::<Vec<_>>()
        };
        self.sides[side].iter().flat_map(of_list).collect()
    }

    /// An address of each interval.
    fn starts(&self) -> BTreeSet<IpAddr> {
        // The unspecified addresses are loopback to some operations, and mapped ones IPv4: those
        // after them stand for what is around them.
        let mut starts: BTreeSet<IpAddr> = [
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv4Addr::from_bits(1).into(),
            Ipv6Addr::UNSPECIFIED.into(),
            Ipv6Addr::from_bits(1).into(),
            Ipv6Addr::from_bits(2).into(),
            Ipv6Addr::from_bits(1 << 48).into(),
        ]
        .into();
        for rule in self.groups.iter().flatten() {
            for address in std::iter::once(&rule.address).chain(&rule.except) {
                for net in address.hosts.prefixes() {
                    starts.insert(net.network());
                    starts.extend(after(net));
                }
            }
        }
        starts.retain(|address| address.to_canonical() == *address);
        starts
    }
}

/// The first address behind a prefix.
fn after(net: IpNet) -> Option<IpAddr> {
    match net.broadcast() {
        IpAddr::V4(last) => {
            last.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into())
        }
        IpAddr::V6(last) => {
            last.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into())
        }
    }
}

struct Comparison<'a> {
    deciders: &'a [Decider; 2],
    found: &'a mut Found,
    left: usize,
    /// Whether both policies have the same lists.
    alike: bool,
}

impl Comparison<'_> {
    fn spend(&mut self, work: usize) -> Result<(), TooComplex> {
        self.left = self.left.checked_sub(work).ok_or(TooComplex)?;
        Ok(())
    }

    fn compare_ports(
        &mut self,
        rules: &Rules<'_>,
        address: IpAddr,
        here: &[BTreeSet<GroupId>; 2],
    ) -> Result<(), TooComplex> {
        let all = here[0].union(&here[1]).flat_map(|group| rules.of_group(*group));
        let all: Vec<&InetAddress> = all.flat_map(|rule| addresses(rule)).collect();
        let own = here[0].symmetric_difference(&here[1]).flat_map(|group| rules.of_group(*group));
        let own: Vec<&InetAddress> = own.map(|rule| &rule.address).collect();
        self.spend(all.len() + own.len())?;
        let ports = self.ports(&all, &own);
        for transport in Transport::ALL {
            let of_transport = |address: &&InetAddress| address.protocol.covers(transport);
            if self.alike && !own.iter().any(of_transport) {
                continue;
            }
            for &port in &ports {
                self.spend(4)?;
                self.compare_one(&Endpoint::Inet { transport, address, port });
                if transport == Transport::Other {
                    break;
                }
            }
        }
        Ok(())
    }

    /// One port of each range, of those where a rule of only one policy has a say.
    fn ports(&self, all: &[&InetAddress], own: &[&InetAddress]) -> BTreeSet<u16> {
        let mut ports = BTreeSet::from([0]);
        for address in all {
            ports.insert(address.ports.first);
            ports.extend(address.ports.last.checked_add(1));
        }
        if !self.alike {
            return ports;
        }
        let mut matter = BTreeSet::new();
        for address in own {
            matter.insert(address.ports.first);
            matter.extend(ports.range(address.ports.first..=address.ports.last));
        }
        matter
    }

    fn compare_one(&mut self, endpoint: &Endpoint) {
        let [connect, bind] = [NetworkAction::Connect, NetworkAction::Bind].map(|action| {
            Operation::Network(NetworkOperation { action, endpoint: endpoint.clone() })
        });
        self.found.compare(Section::Network, "connect", self.deciders, &connect);
        self.found.compare(Section::Network, "bind", self.deciders, &bind);
    }
}

/// What a rule covers, and what it does not.
fn addresses(rule: &InetRule) -> impl Iterator<Item = &InetAddress> {
    std::iter::once(&rule.address).chain(&rule.except)
}
