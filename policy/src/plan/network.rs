// SPDX-License-Identifier: Apache-2.0
//! `[network]`: what seccomp and Landlock enforce of it, and what is left to the supervisor.
//!
//! A socket is let be made only if some rule can use it: family, type and protocol are registers of
//! socket(2). TCP by port is Landlock's, for every address alike. What depends on an address, on a
//! UNIX socket's name, or on a datagram's port is memory, and the supervisor's.
//!
//! Where TCP is restricted, what is TCP on the wire and not in Landlock's eyes is refused: MPTCP,
//! SMC, and data sent with the connection (TCP Fast Open). Where anything is, io_uring is refused,
//! which makes and connects sockets without a system call of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::emulation::Hosts;
use super::mediated::Calls;
use super::ports::{ByPort, Settled};
use crate::decide::List;
use crate::net::{Address, Ports, Transport, UnixAddress};
use crate::policy::{AddressRule, Network, Origin, Policy};
use crate::seccomp::{Answer, Condition, Match, Operator, Restriction, Selects, Syscall};

const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const AF_NETLINK: u64 = 16;
const AF_SMC: u64 = 43;
const STREAM: u64 = 1;
const DGRAM: u64 = 2;
/// Every other type of socket: raw, RDM, sequenced packets, DCCP, packet.
const OTHER_TYPES: [u64; 5] = [3, 4, 5, 6, 10];
/// The flags `SOCK_NONBLOCK` and `SOCK_CLOEXEC` are outside.
const TYPE_MASK: u64 = 0xf;
const IPPROTO_TCP: u64 = 6;
const IPPROTO_UDP: u64 = 17;
/// `IPPROTO_SMC` and `IPPROTO_MPTCP`.
const TCP_IN_DISGUISE: [u64; 2] = [256, 262];
const MSG_FASTOPEN: u64 = 0x2000_0000;

const EACCES: u16 = 13;
const ENOSYS: u16 = 38;
const EPROTONOSUPPORT: u16 = 93;
const EOPNOTSUPP: u16 = 95;
const EAFNOSUPPORT: u16 = 97;

/// What Landlock is told about TCP ports; an absent list is not handled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpPorts {
    /// `LANDLOCK_ACCESS_NET_CONNECT_TCP`: the ports that may be connected to.
    pub connect: Option<Vec<Ports>>,
    /// `LANDLOCK_ACCESS_NET_BIND_TCP`: the ports that may be bound.
    pub bind: Option<Vec<Ports>>,
}

impl TcpPorts {
    /// Whether Landlock has nothing to do with the network.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.connect.is_none() && self.bind.is_none()
    }

    /// How many rules that takes: one for each port.
    #[must_use]
    pub fn rules(&self) -> usize {
        let allowed = |list: &Option<Vec<Ports>>, port| {
            list.iter().flatten().any(|ports: &Ports| ports.contains(port))
        };
        (0..=u16::MAX)
            .filter(|port| allowed(&self.connect, *port) || allowed(&self.bind, *port))
            .count()
    }
}

/// What `[network]` becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compiled {
    pub(crate) ports: TcpPorts,
    pub(crate) restrictions: Vec<Restriction>,
    pub(crate) hosts: Hosts,
}

/// What the policy says of UNIX sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unix {
    Free,
    Nothing,
    ByName,
}

/// What the policy says of one action.
#[derive(Debug)]
struct Action {
    list: List,
    tcp: ByPort,
    udp: Settled,
    other: Settled,
    unix: Unix,
}

impl Action {
    fn of(policy: &Policy, list: List) -> Self {
        let by_port = |transport| ByPort::of(policy, list, transport);
        Self {
            list,
            tcp: by_port(Transport::Tcp),
            udp: by_port(Transport::Udp).settled(),
            other: by_port(Transport::Other).settled(),
            unix: unix(policy, list),
        }
    }

    fn tcp(&self) -> Settled {
        self.tcp.settled()
    }

    fn is_nothing(&self) -> bool {
        self.unix == Unix::Nothing
            && [self.tcp(), self.udp, self.other].iter().all(|one| *one == Settled::Nothing)
    }

    fn is_free(&self) -> bool {
        self.unix == Unix::Free
            && [self.tcp(), self.udp, self.other].iter().all(|one| *one == Settled::Free)
    }
}

fn unix(policy: &Policy, list: List) -> Unix {
    let mut all = Unix::Free;
    for layer in policy.layers().filter(|layer| layer.enforces()) {
        let one = unix_of_layer(&layer.network, list);
        all = match (all, one) {
            (Unix::Nothing, _) | (_, Unix::Nothing) => Unix::Nothing,
            (Unix::Free, one) => one,
            (Unix::ByName, _) => Unix::ByName,
        };
    }
    all
}

fn unix_of_layer(network: &Network, list: List) -> Unix {
    let grants = match list {
        List::NetworkBind => &network.bind,
        _ => &network.connect,
    };
    let covers_all = |rule: &AddressRule| {
        let every = matches!(rule.address, Address::Everything | Address::Unix(UnixAddress::Any));
        every && !rule.except.iter().any(is_unix)
    };
    let about = |rules: &[AddressRule]| rules.iter().any(|rule| is_unix(&rule.address));
    let granted = match grants {
        None => Unix::Free,
        Some(grants) if grants.iter().any(covers_all) => Unix::Free,
        Some(grants) if about(grants) => Unix::ByName,
        Some(_) => Unix::Nothing,
    };
    match granted {
        Unix::Nothing => Unix::Nothing,
        _ if network.deny.iter().any(covers_all) => Unix::Nothing,
        _ if about(&network.deny) => Unix::ByName,
        granted => granted,
    }
}

fn is_unix(address: &Address) -> bool {
    matches!(address, Address::Everything | Address::Unix(_))
}

/// Compiles the `[network]` of all layers.
pub(crate) fn compile(policy: &Policy, by_port: ByLandlock, calls: &mut Calls) -> Compiled {
    let connect = Action::of(policy, List::NetworkConnect);
    let bind = Action::of(policy, List::NetworkBind);
    let mut compiler = Compiler { policy, by_port, connect, bind, compiled: Compiled::default() };
    if !(compiler.connect.is_free() && compiler.bind.is_free()) {
        compiler.sockets();
        compiler.fast_open();
        compiler.refuse("io_uring_setup", Vec::new(), ENOSYS, "it makes sockets by itself");
        compiler.bind();
        compiler.tcp_ports();
        compiler.listen(calls);
        compiler.by_address(calls);
    }
    compiler.compiled
}

/// Whether the kernel's Landlock has rights for TCP ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByLandlock {
    /// It has.
    Ports,
    /// It has none.
    Nothing,
}

struct Compiler<'a> {
    policy: &'a Policy,
    by_port: ByLandlock,
    connect: Action,
    bind: Action,
    compiled: Compiled,
}

impl Compiler<'_> {
    fn actions(&self) -> [&Action; 2] {
        [&self.connect, &self.bind]
    }

    /// Whether a list is there, which then names what sockets there may be.
    fn lists(&self) -> bool {
        let layers = self.policy.layers().filter(|layer| layer.enforces());
        layers.map(|one| &one.network).any(|one| one.connect.is_some() || one.bind.is_some())
    }

    fn usable(&self, of: impl Fn(&Action) -> Settled) -> bool {
        self.actions().iter().any(|action| of(action) != Settled::Nothing)
    }

    fn tcp_is_restricted(&self) -> bool {
        self.actions().iter().any(|action| action.tcp() != Settled::Free)
    }

    fn refuse(&mut self, call: &str, matches: Vec<Vec<Condition>>, errno: u16, why: &str) {
        let Some(syscall) = Syscall::from_name(call) else { return };
        let matches = if matches.is_empty() { vec![Vec::new()] } else { matches };
        let matches = matches.into_iter().map(|conditions| Match { syscall, conditions }).collect();
        self.compiled.restrictions.push(Restriction {
            selects: Selects::These(matches),
            answer: Answer::Errno(errno),
            label: format!("[network]: {why}"),
        });
    }

    /// Families, types and protocols that no rule can use.
    fn sockets(&mut self) {
        if self.lists() {
            let known = [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK];
            let others: Vec<Condition> = known.map(|family| not(0, family)).into();
            let why = "no rule can use another family";
            self.refuse("socket", vec![others], EAFNOSUPPORT, why);
            self.refuse("socketpair", vec![vec![not(0, AF_UNIX)]], EAFNOSUPPORT, why);
            let route = vec![vec![is(0, AF_NETLINK), not(2, 0)]];
            self.refuse("socket", route, EPROTONOSUPPORT, "netlink is route only");
        }
        if self.actions().iter().all(|action| action.unix == Unix::Nothing) {
            let why = "no rule can use a UNIX socket";
            self.refuse("socket", vec![vec![is(0, AF_UNIX)]], EACCES, why);
        }
        self.inet_sockets();
    }

    fn inet_sockets(&mut self) {
        let tcp = self.usable(Action::tcp);
        let udp = self.usable(|action| action.udp);
        let other = self.usable(|action| action.other);
        if !tcp && !udp && !other {
            let why = "no rule can use an internet socket";
            let families = vec![vec![is(0, AF_INET)], vec![is(0, AF_INET6)]];
            self.refuse("socket", families, EACCES, why);
            return;
        }
        let mut refused = Vec::new();
        let mut of_no_use = Vec::new();
        for family in [AF_INET, AF_INET6] {
            let stream = |rest: Vec<Condition>| conditions(family, STREAM, rest);
            let dgram = |rest: Vec<Condition>| conditions(family, DGRAM, rest);
            if !other {
                of_no_use.extend(OTHER_TYPES.map(|kind| conditions(family, kind, Vec::new())));
                of_no_use.push(stream(vec![not(2, 0), not(2, IPPROTO_TCP)]));
                of_no_use.push(dgram(vec![not(2, 0), not(2, IPPROTO_UDP)]));
            } else if self.tcp_is_restricted() {
                of_no_use.extend(TCP_IN_DISGUISE.map(|protocol| stream(vec![is(2, protocol)])));
            }
            if !tcp {
                refused.extend([0, IPPROTO_TCP].map(|protocol| stream(vec![is(2, protocol)])));
            }
            if !udp {
                refused.extend([0, IPPROTO_UDP].map(|protocol| dgram(vec![is(2, protocol)])));
            }
        }
        if !of_no_use.is_empty() {
            let why = "no rule can use another protocol";
            self.refuse("socket", of_no_use, EPROTONOSUPPORT, why);
        }
        if !refused.is_empty() {
            self.refuse("socket", refused, EACCES, "no rule can use this protocol");
        }
        if self.tcp_is_restricted() && !self.lists() {
            let why = "TCP by another name";
            self.refuse("socket", vec![vec![is(0, AF_SMC)]], EAFNOSUPPORT, why);
        }
    }

    /// Data that connects.
    fn fast_open(&mut self) {
        if self.connect.tcp() == Settled::Free || !self.usable(Action::tcp) {
            return;
        }
        for (call, index) in [("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)] {
            let operator = Operator::MaskedEqual { mask: MSG_FASTOPEN, value: MSG_FASTOPEN };
            let flag = vec![vec![Condition { index, operator }]];
            self.refuse(call, flag, EOPNOTSUPP, "TCP Fast Open connects without connect");
        }
    }

    /// bind(2) where nothing may be bound at all. Netlink's is refused with it.
    fn bind(&mut self) {
        let sockets = self.usable(|one| one.udp) || self.usable(|one| one.other);
        if self.bind.is_nothing() && (sockets || self.usable_unix()) {
            self.refuse("bind", Vec::new(), EACCES, "no rule lets anything be bound");
        }
    }

    fn tcp_ports(&mut self) {
        if self.usable(Action::tcp) {
            self.compiled.ports.connect = self.for_landlock(&self.connect.tcp);
            self.compiled.ports.bind = self.for_landlock(&self.bind.tcp);
        }
    }

    /// listen(2) on a socket without an address takes one, of every interface and any port.
    fn listen(&mut self, calls: &mut Calls) {
        let tcp = self.bind.tcp();
        let any = self.bind.tcp.allowed.contains(0) || self.any_address_may_be_bound();
        if tcp == Settled::Free || any || !self.usable(Action::tcp) {
            return;
        }
        if self.bind.is_nothing() {
            self.refuse("listen", Vec::new(), EACCES, "no rule lets anything be bound");
        } else {
            let rules = self.rules(List::NetworkBind, What::Tcp);
            calls.add("listen", &[], "listen(2) without bind(2) takes any port", &rules);
        }
    }

    /// Whether nothing keeps a socket from taking any port of every interface: no list, and no deny
    /// of the unspecified address.
    fn any_address_may_be_bound(&self) -> bool {
        let unspecified = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let denies_it = |rule: &AddressRule| {
            rule.address.inet().is_some_and(|inet| {
                inet.protocol.covers(Transport::Tcp)
                    && unspecified.iter().any(|address| inet.hosts.contains(*address))
            })
        };
        let mut layers = self.policy.layers().filter(|layer| layer.enforces());
        layers
            .all(|layer| layer.network.bind.is_none() && !layer.network.deny.iter().any(denies_it))
    }

    /// What depends on more than registers and TCP ports.
    fn by_address(&mut self, calls: &mut Calls) {
        let mut hosts = Hosts::ByKernel;
        let mut names = false;
        for (action, call) in [(&self.connect, "connect"), (&self.bind, "bind")] {
            if call == "bind" && action.is_nothing() {
                continue;
            }
            for (what, why) in self.not_by_kernel(action) {
                let rules = self.rules(action.list, what);
                calls.add(call, &[], why, &rules);
                names |= what == What::Unix;
                if call == "connect" && what != What::Unix {
                    hosts = Hosts::Mediated;
                }
                if call == "connect" && what != What::Tcp {
                    let why = "datagrams name their receiver";
                    // without an address nothing is named
                    calls.add("sendto", &[not(4, 0)], why, &rules);
                    calls.add("sendmsg", &[], why, &rules);
                    calls.add("sendmmsg", &[], why, &rules);
                }
            }
        }
        self.compiled.hosts = hosts;
        if names {
            self.socket_names(calls);
        }
    }

    /// Who could rename or link a socket whose name rules speak of would have it decided about by
    /// another one. The kernel tells sockets and other files apart for nobody.
    fn socket_names(&mut self, calls: &mut Calls) {
        let layers = self.policy.layers().filter(|layer| layer.enforces());
        let networks = layers.map(|layer| &layer.network);
        let mut rules: Vec<Origin> = networks
            .flat_map(|one| one.connect.iter().chain(&one.bind).flatten().chain(&one.deny))
            .filter(|rule| rule.names_sockets())
            .map(|rule| rule.origin.clone())
            .collect();
        if rules.is_empty() {
            return;
        }
        rules.sort();
        rules.dedup();
        calls.add_names("sockets are told apart by their names", &rules);
    }

    /// Of which sockets the kernel cannot decide an action by itself, and why.
    fn not_by_kernel(&self, action: &Action) -> Vec<(What, &'static str)> {
        let tcp = self.for_landlock(&action.tcp).is_none() && action.tcp() != Settled::Free;
        let udp = self.usable(|one| one.udp) && action.udp != Settled::Free;
        let other = self.usable(|one| one.other) && action.other != Settled::Free;
        let unix = self.usable_unix() && action.unix != Unix::Free;
        let reasons = [
            (tcp, self.why_not_landlock()),
            (udp, "Landlock has no right for UDP"),
            (other, "Landlock has no right for other protocols than TCP"),
            (unix, "Landlock has no right for UNIX sockets"),
        ];
        let all = What::ALL.into_iter().zip(reasons);
        all.filter(|(_, (applies, _))| *applies).map(|(what, (_, why))| (what, why)).collect()
    }

    /// The ports for Landlock; `None`: it has nothing to do with them. A port takes a rule; all
    /// of them some tenths of a second, at each start.
    fn for_landlock(&self, tcp: &ByPort) -> Option<Vec<Ports>> {
        match (self.by_port, tcp.settled()) {
            (ByLandlock::Ports, Settled::Nothing | Settled::ByPort) => Some(tcp.allowed.ranges()),
            _ => None,
        }
    }

    fn why_not_landlock(&self) -> &'static str {
        match self.by_port {
            ByLandlock::Nothing => "this kernel's Landlock has no right for TCP",
            ByLandlock::Ports => "Landlock's rights for TCP are by port, not by host",
        }
    }

    fn usable_unix(&self) -> bool {
        self.actions().iter().any(|action| action.unix != Unix::Nothing)
    }

    /// The rules about an action of a kind of socket, in all layers; where none is about it, all
    /// of them: it is what they leave out.
    fn rules(&self, list: List, what: What) -> Vec<Origin> {
        let layers = self.policy.layers().filter(|layer| layer.enforces());
        let networks = layers.map(|layer| &layer.network);
        let rules: Vec<&AddressRule> = networks
            .flat_map(|network| {
                let grants = match list {
                    List::NetworkBind => &network.bind,
                    _ => &network.connect,
                };
                grants.iter().flatten().chain(&network.deny)
            })
            .collect();
        let about: Vec<&AddressRule> =
            rules.iter().filter(|rule| what.is_about(&rule.address)).copied().collect();
        let rules = if about.is_empty() { rules } else { about };
        let mut places: Vec<Origin> = rules.into_iter().map(|rule| rule.origin.clone()).collect();
        places.sort();
        places.dedup();
        places
    }
}

/// What a rule can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Tcp,
    Udp,
    Other,
    Unix,
}

impl What {
    const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Other, Self::Unix];

    fn is_about(self, address: &Address) -> bool {
        let transport = match self {
            Self::Tcp => Transport::Tcp,
            Self::Udp => Transport::Udp,
            Self::Other => Transport::Other,
            Self::Unix => return is_unix(address),
        };
        address.inet().is_some_and(|inet| inet.protocol.covers(transport))
    }
}

fn is(index: u8, value: u64) -> Condition {
    Condition { index, operator: Operator::Equal(value) }
}

fn not(index: u8, value: u64) -> Condition {
    Condition { index, operator: Operator::NotEqual(value) }
}

fn conditions(family: u64, kind: u64, rest: Vec<Condition>) -> Vec<Condition> {
    let operator = Operator::MaskedEqual { mask: TYPE_MASK, value: kind };
    let mut all = vec![is(0, family), Condition { index: 1, operator }];
    all.extend(rest);
    all
}
