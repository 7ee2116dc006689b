// SPDX-License-Identifier: Apache-2.0
//! Odd rules for addresses.

use ipnet::IpNet;

use super::super::resolve::Map;
use super::super::rules::Located;
use super::{duplicate, idle_except, own, pairs, under_deny, without_grant};
use crate::diagnostics::Report;
use crate::net::{Address, Hosts, InetAddress, Protocol, UnixAddress};
use crate::path::{PatternSet, overlap, uncovered};
use crate::policy::{AddressRule, Network};

/// More comparisons than this are not made.
const MOST: usize = 4_000_000;

pub(super) fn lint(network: &Network, map: &Map, report: &mut Report) {
    let lists = [(&network.connect, &map.connect), (&network.bind, &map.bind)];
    for (grants, places) in lists {
        let Some(grants) = grants else { continue };
        repeated(grants, places, report);
        exceptions(grants, places, report);
        under_denies(grants, places, network, map, report);
    }
    repeated(&network.deny, &map.network_deny, report);
    exceptions(&network.deny, &map.network_deny, report);
    if let (Some(connect), Some(bind)) = (&network.connect, &network.bind) {
        if network.deny.len().saturating_mul(connect.len() + bind.len()) > MOST {
            return;
        }
        for (deny, place) in pairs(&network.deny, &map.network_deny).filter(|(_, p)| own(p.rule)) {
            let mut granted = connect.iter().chain(bind);
            if !granted.any(|grant| overlaps(&deny.address, &grant.address)) {
                without_grant(report, place, &format!("`{}`", deny.address));
            }
        }
    }
}

fn under_denies(
    grants: &[AddressRule],
    places: &[Located],
    network: &Network,
    map: &Map,
    report: &mut Report,
) {
    if grants.len().saturating_mul(network.deny.len()) > MOST {
        return;
    }
    for (grant, place) in pairs(grants, places).filter(|(_, place)| own(place.rule)) {
        let denied = |deny: &AddressRule| {
            covers(&deny.address, &grant.address)
                && !deny.except.iter().any(|except| overlaps(except, &grant.address))
        };
        let mut denies = pairs(&network.deny, &map.network_deny);
        if let Some((_, deny)) = denies.find(|(deny, _)| denied(deny)) {
            under_deny(report, place, Some(deny), &format!("`{}`", grant.address));
        }
    }
}

/// Equal rules stand together, because lists are sorted.
fn repeated(rules: &[AddressRule], places: &[Located], report: &mut Report) {
    for (pair, at) in rules.windows(2).zip(places.windows(2)) {
        if let ([a, b], [first, second]) = (pair, at)
            && (&a.address, &a.except) == (&b.address, &b.except)
        {
            duplicate(report, second, first, &a.address.to_string());
        }
    }
}

fn exceptions(rules: &[AddressRule], places: &[Located], report: &mut Report) {
    for (rule, place) in pairs(rules, places) {
        for (except, span) in rule.except.iter().zip(&place.except) {
            if !overlaps(&rule.address, except) {
                idle_except(report, *span);
            }
        }
    }
}

/// Whether all that `inner` names is certainly named by `outer`.
fn covers(outer: &Address, inner: &Address) -> bool {
    match (outer, inner) {
        (Address::Everything, _) => true,
        (Address::Inet(outer), Address::Inet(inner)) => {
            (outer.protocol == Protocol::Any || outer.protocol == inner.protocol)
                && outer.ports.first <= inner.ports.first
                && inner.ports.last <= outer.ports.last
                && hosts_cover(outer, inner)
        }
        (Address::Unix(UnixAddress::Any), Address::Unix(_)) => true,
        (Address::Unix(UnixAddress::Path(outer)), Address::Unix(UnixAddress::Path(inner))) => {
            let mut set = PatternSet::default();
            set.insert(outer);
            matches!(uncovered(inner, &set), Ok(None))
        }
        (Address::Unix(outer), Address::Unix(inner)) => outer == inner,
        _ => false,
    }
}

fn hosts_cover(outer: &InetAddress, inner: &InetAddress) -> bool {
    match (&outer.hosts, &inner.hosts) {
        (Hosts::Any, _) => true,
        (_, Hosts::Any) => false,
        (outer, inner) if outer == inner => true,
        (outer, inner) => {
            let outer = prefixes(outer);
            prefixes(inner).iter().all(|net| outer.iter().any(|other| other.contains(net)))
        }
    }
}

/// Whether the two may have something in common; certain only if it says no.
fn overlaps(a: &Address, b: &Address) -> bool {
    match (a, b) {
        (Address::Everything, _) | (_, Address::Everything) => true,
        (Address::Inet(a), Address::Inet(b)) => {
            (a.protocol == Protocol::Any || b.protocol == Protocol::Any || a.protocol == b.protocol)
                && a.ports.first <= b.ports.last
                && b.ports.first <= a.ports.last
                && hosts_overlap(&a.hosts, &b.hosts)
        }
        (Address::Unix(a), Address::Unix(b)) => unix_overlap(a, b),
        _ => false,
    }
}

fn unix_overlap(a: &UnixAddress, b: &UnixAddress) -> bool {
    match (a, b) {
        (UnixAddress::Path(a), UnixAddress::Path(b)) => {
            let mut set = PatternSet::default();
            set.insert(a);
            !matches!(overlap(b, &set), Ok(None))
        }
        (UnixAddress::Path(_), UnixAddress::Abstract(_))
        | (UnixAddress::Abstract(_), UnixAddress::Path(_)) => false,
        (UnixAddress::Any, _) | (_, UnixAddress::Any) => true,
        (UnixAddress::Abstract(_), UnixAddress::Abstract(_)) => true,
    }
}

fn hosts_overlap(a: &Hosts, b: &Hosts) -> bool {
    if let (Hosts::Net(a), Hosts::Net(b)) = (a, b) {
        return a.contains(b) || b.contains(a);
    }
    if matches!(a, Hosts::Any) || matches!(b, Hosts::Any) || a == b {
        return true;
    }
    let b = prefixes(b);
    prefixes(a).iter().any(|a| b.iter().any(|b| a.contains(b) || b.contains(a)))
}

fn prefixes(hosts: &Hosts) -> Vec<IpNet> {
    match hosts {
        Hosts::Any => Vec::new(),
        Hosts::Net(net) => vec![*net],
        Hosts::Named(set) => set.prefixes(),
    }
}
