// SPDX-License-Identifier: Apache-2.0
//! Decisions about addresses.
//!
//! Section 4, and where it is done:
//!
//! * "a deny wins over every grant": [`NetworkIndex::deciding`];
//! * "IPv4-mapped IPv6 is IPv4; connecting to the unspecified address is loopback":
//!   [`real_address`], before any rule is looked at;
//! * "`"*"` in `connect` or `bind` grants everything": a rule about every host of every protocol,
//!   about every path, every abstract name, and sockets without a name;
//! * "names, not bytes before the first NUL, are compared": abstract names are bytes;
//! * `connect` governs sending datagrams too; a deny is about connecting, sending and binding.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::{Address, InetIndex, InetRule, UnixAddress};
use crate::path::{AbsPath, Covering, Matcher, NamePattern, NameSet, PatternId, PatternSet};
use crate::policy::{AccessSet, AddressRule, Errno, Network};

use super::decision::{Decision, List, Rule};
use super::entries::{Entries, Entry};
use super::operation::{Endpoint, NetworkAction};
use super::site::{Asking, Site};

/// `[network]`, prepared for decisions.
#[derive(Debug)]
pub(crate) struct NetworkIndex {
    /// The rules by rank: list and index in it.
    ranked: Vec<(List, u32)>,
    pub(crate) connect: InetIndex,
    pub(crate) bind: InetIndex,
    pub(crate) deny: InetIndex,
    pub(crate) paths: (PatternSet, Entries),
    /// The patterns of `paths`.
    sockets: Matcher,
    pub(crate) names: (NameSet, Entries),
    /// Rules about sockets without a name.
    unnamed: Vec<(List, u32)>,
    pub(crate) connect_present: Presence,
    pub(crate) bind_present: Presence,
    /// Whether rules tell paths apart.
    pub(crate) named: Named,
}

/// Whether rules tell the paths of sockets apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Apart,
    AllAlike,
}

/// Whether a list of grants is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Absent,
    Present,
}

impl Presence {
    fn of<T>(list: Option<&T>) -> Self {
        if list.is_some() { Self::Present } else { Self::Absent }
    }
}

/// What decides about an address; ranks of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deciding {
    Unrestricted,
    Granted(u32),
    NotGranted(List),
    Denied { rule: u32, grant: Option<u32> },
}

impl Deciding {
    pub(crate) const fn allows(self) -> bool {
        matches!(self, Self::Unrestricted | Self::Granted(_))
    }
}

impl NetworkIndex {
    /// Prepares the rules, with the paths of UNIX sockets as they are at the site.
    pub(crate) fn new(network: &Network, site: &mut dyn Site) -> Self {
        let ranked = rank(network);
        let inet = |list: List| {
            let of_list = |(own, _, rule): &(List, u32, &AddressRule)| {
                (*own == list).then(|| inet_rule(rule)).flatten()
            };
            InetIndex::new(ranked.iter().map(of_list).collect())
        };
        let paths = paths(&ranked, site);
        Self {
            connect: inet(List::NetworkConnect),
            bind: inet(List::NetworkBind),
            deny: inet(List::NetworkDeny),
            sockets: Matcher::new(&paths.0),
            paths,
            names: names(&ranked),
            unnamed: unnamed(&ranked),
            ranked: ranked.iter().map(|(list, index, _)| (*list, *index)).collect(),
            connect_present: Presence::of(network.connect.as_ref()),
            bind_present: Presence::of(network.bind.as_ref()),
            named: if network.names_sockets() { Named::Apart } else { Named::AllAlike },
        }
    }

    pub(crate) fn decide(
        &self,
        network: &Network,
        action: NetworkAction,
        endpoint: &Endpoint,
    ) -> Decision {
        let cite = |rank: u32| self.cite(network, rank);
        let decision = match self.deciding(action, endpoint) {
            Deciding::Unrestricted => return Decision::unrestricted(),
            Deciding::NotGranted(list) => return Decision::not_granted(list, Errno::EACCES),
            Deciding::Granted(rank) => cite(rank).map(Decision::allowed_by),
            Deciding::Denied { rule, grant } => cite(rule).map(|rule| {
                Decision::denied_by(rule, Errno::EACCES).with_next_best(grant.and_then(cite))
            }),
        };
        // INVARIANT: ranks are of this network's rules; were one not, nothing is allowed.
        decision.unwrap_or_else(|| Decision::not_granted(governing(action), Errno::EACCES))
    }

    pub(crate) fn deciding(&self, action: NetworkAction, endpoint: &Endpoint) -> Deciding {
        let list = governing(action);
        let (deny, grant) = match endpoint {
            Endpoint::Inet { transport, address, port } => {
                let address = real_address(*address, action);
                let grants = match list {
                    List::NetworkBind => &self.bind,
                    _ => &self.connect,
                };
                let best = |index: &InetIndex| index.best(*transport, address, *port);
                (best(&self.deny), best(grants))
            }
            Endpoint::UnixPath(path) => {
                return self.deciding_path(self.covering(path).patterns(), action);
            }
            Endpoint::UnixAbstract(name) => {
                let matching = self.names.0.matching(name);
                best_of(&self.names.1, &matching, list)
            }
            Endpoint::UnixUnnamed => (self.unnamed(List::NetworkDeny), self.unnamed(list)),
        };
        self.combine(list, deny, grant)
    }

    /// What decides about a socket's path that these patterns cover.
    pub(crate) fn deciding_path(&self, covering: &[PatternId], action: NetworkAction) -> Deciding {
        let list = governing(action);
        let (deny, grant) = best_of(&self.paths.1, covering, list);
        self.combine(list, deny, grant)
    }

    /// The patterns that cover a socket's path.
    pub(crate) fn covering(&self, path: &AbsPath) -> Covering {
        self.sockets.covering(path)
    }

    /// "A deny wins over every grant"; an absent list restricts nothing.
    pub(crate) fn combine(&self, list: List, deny: Option<u32>, grant: Option<u32>) -> Deciding {
        let present = match list {
            List::NetworkBind => self.bind_present,
            _ => self.connect_present,
        };
        match (deny, present, grant) {
            (Some(rule), _, grant) => Deciding::Denied { rule, grant },
            (None, Presence::Absent, _) => Deciding::Unrestricted,
            (None, Presence::Present, Some(grant)) => Deciding::Granted(grant),
            (None, Presence::Present, None) => Deciding::NotGranted(list),
        }
    }

    fn unnamed(&self, list: List) -> Option<u32> {
        self.unnamed.iter().filter(|(own, _)| *own == list).map(|(_, rank)| *rank).min()
    }

    /// The rule of a rank, to be cited.
    pub(crate) fn cite(&self, network: &Network, rank: u32) -> Option<Rule> {
        let (list, index) = *self.ranked.get(rank as usize)?;
        let rules = match list {
            List::NetworkConnect => network.connect.as_ref()?,
            List::NetworkBind => network.bind.as_ref()?,
            _ => &network.deny,
        };
        let rule = rules.get(index as usize)?;
        Some(Rule { list, origin: rule.origin.clone(), reason: rule.reason.clone() })
    }
}

/// The list that an action falls under.
pub(crate) const fn governing(action: NetworkAction) -> List {
    match action {
        NetworkAction::Connect | NetworkAction::Send => List::NetworkConnect,
        NetworkAction::Bind => List::NetworkBind,
    }
}

/// The address that an operation is really about.
fn real_address(address: IpAddr, action: NetworkAction) -> IpAddr {
    let address = address.to_canonical();
    match (action, address) {
        (NetworkAction::Bind, _) => address,
        (_, IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Ipv4Addr::LOCALHOST.into(),
        (_, IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Ipv6Addr::LOCALHOST.into(),
        _ => address,
    }
}

/// The best deny and the best grant of the list, where these patterns cover.
pub(crate) fn best_of(
    entries: &Entries,
    covering: &[PatternId],
    list: List,
) -> (Option<u32>, Option<u32>) {
    let best = |list: List| {
        let own = entries.in_force(covering).filter(|entry| entry.list == list);
        own.map(|entry| entry.rank).min()
    };
    (best(List::NetworkDeny), best(list))
}

type Ranked<'a> = (List, u32, &'a AddressRule);

/// All rules in the canonical order: the longer prefix, the fewer ports, the longer text first.
fn rank(network: &Network) -> Vec<Ranked<'_>> {
    let connect = network.connect.as_deref().unwrap_or_default();
    let bind = network.bind.as_deref().unwrap_or_default();
    let lists = [
        (List::NetworkConnect, connect),
        (List::NetworkBind, bind),
        (List::NetworkDeny, &network.deny[..]),
    ];
    let mut ranked: Vec<Ranked<'_>> = lists
        .into_iter()
        .flat_map(|(list, rules)| (0u32..).zip(rules).map(move |(i, rule)| (list, i, rule)))
        .collect();
    ranked.sort_by_cached_key(|(list, _, rule)| (breadth(&rule.address), *rule, *list));
    ranked
}

/// How much an address covers, roughly.
fn breadth(address: &Address) -> (u8, u16, std::cmp::Reverse<usize>) {
    let (bits, ports, text) = match address {
        Address::Everything => (u8::MAX, u16::MAX, 0),
        Address::Inet(inet) => {
            let bits = match &inet.hosts {
                crate::net::Hosts::Any => u8::MAX - 1,
                crate::net::Hosts::Named(_) => u8::MAX - 2,
                crate::net::Hosts::Net(net) => net.max_prefix_len() - net.prefix_len(),
            };
            (bits, inet.ports.last - inet.ports.first, 0)
        }
        Address::Unix(UnixAddress::Any) => (u8::MAX - 1, 0, 0),
        Address::Unix(UnixAddress::Path(pattern)) => (0, 0, pattern.text().len()),
        Address::Unix(UnixAddress::Abstract(name)) => (0, 0, name.text().len()),
    };
    (bits, ports, std::cmp::Reverse(text))
}

/// What a rule says about the internet; `None` if its exceptions leave nothing, or it says nothing.
fn inet_rule(rule: &AddressRule) -> Option<InetRule> {
    let except: Vec<_> = rule.except.iter().filter_map(Address::inet).cloned().collect();
    let address = rule.address.inet()?.clone();
    (!except.contains(&crate::net::InetAddress::EVERYTHING)).then_some(InetRule { address, except })
}

fn paths(ranked: &[Ranked<'_>], site: &mut dyn Site) -> (PatternSet, Entries) {
    let mut set = PatternSet::default();
    let mut entries = Vec::new();
    for (rank, (list, index, rule)) in (0u32..).zip(ranked) {
        let (list, index, access) = (*list, *index, AccessSet::ALL);
        let asking = Asking { list, origin: &rule.origin, presence: None };
        let mut place = |address: &Address| match address {
            Address::Everything | Address::Unix(UnixAddress::Any) => vec![set.insert_at(b"/", &[])],
            Address::Unix(UnixAddress::Path(pattern)) => {
                let placed = site.place(pattern, asking);
                placed.into_iter().map(|one| set.insert_at(&one.prefix, one.tail)).collect()
            }
            Address::Unix(UnixAddress::Abstract(_)) | Address::Inet(_) => Vec::new(),
        };
        let patterns = place(&rule.address);
        let except: Box<[PatternId]> = rule.except.iter().flat_map(place).collect();
        entries.extend(patterns.into_iter().map(|pattern| {
            let except = except.clone();
            Entry { list, access, rank, index, pattern, except }
        }));
    }
    let len = set.len();
    (set, Entries::new(entries, len))
}

fn names(ranked: &[Ranked<'_>]) -> (NameSet, Entries) {
    let mut set = NameSet::default();
    let every = NamePattern::every();
    let pattern = |address: &Address| -> Option<NamePattern> {
        match address {
            Address::Everything | Address::Unix(UnixAddress::Any) => Some(every.clone()),
            Address::Unix(UnixAddress::Abstract(name)) => Some(name.clone()),
            Address::Unix(UnixAddress::Path(_)) | Address::Inet(_) => None,
        }
    };
    let mut entries = Vec::new();
    for (rank, (list, index, rule)) in (0u32..).zip(ranked) {
        let Some(own) = pattern(&rule.address) else { continue };
        let (list, index, access) = (*list, *index, AccessSet::ALL);
        let except = rule.except.iter().filter_map(&pattern).map(|own| set.insert(&own)).collect();
        entries.push(Entry { list, access, rank, index, pattern: set.insert(&own), except });
    }
    let len = set.len();
    (set, Entries::new(entries, len))
}

/// Rules about sockets without a name: those about every socket or every abstract name, since an
/// abstract name is what the kernel chooses.
fn unnamed(ranked: &[Ranked<'_>]) -> Vec<(List, u32)> {
    let every_name = |address: &Address| match address {
        Address::Everything | Address::Unix(UnixAddress::Any) => true,
        Address::Unix(UnixAddress::Abstract(name)) => name.is_every(),
        Address::Unix(UnixAddress::Path(_)) | Address::Inet(_) => false,
    };
    let applies =
        |rule: &AddressRule| every_name(&rule.address) && !rule.except.iter().any(every_name);
    (0u32..)
        .zip(ranked)
        .filter(|(_, (_, _, rule))| applies(rule))
        .map(|(rank, (list, _, _))| (*list, rank))
        .collect()
}
