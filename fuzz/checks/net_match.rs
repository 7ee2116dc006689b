// SPDX-License-Identifier: Apache-2.0
//! Any bytes, read as lines: address rules, and in the last line an operation. What the index
//! decides is what trying each rule by hand decides, for the same rules as grants, as denies, and
//! with each other as exceptions.
//!
//! Bytes that begin with an odd one choose words of vocabularies, so that most inputs are rules.
#![allow(dead_code, clippy::expect_used, clippy::panic)] // panics are its findings

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use brig_policy::decide::{Decider, Endpoint, NetworkAction, Operation, Transport};
use brig_policy::net::{Address, Hosts, NamedSet, Protocol, UnixAddress};
use brig_policy::policy::{AddressRule, Origin, Policy};

/// What rules are made of: a rule takes three bytes.
const PROTOCOLS: [&str; 4] = ["tcp", "udp", "ip", "unix"];
const HOSTS: [&str; 26] = [
    "*",
    "10.0.0.0/8",
    "10.0.0.1",
    "10.0.0.0/9",
    "0.0.0.0/0",
    "127.0.0.1",
    "0.0.0.0",
    "[::]",
    "[::1]",
    "[::/0]",
    "[2001:db8::/32]",
    "[::ffff:10.0.0.1]",
    "[fd00:ec2::254]",
    "169.254.169.254",
    "@loopback",
    "@private",
    "@link-local",
    "@metadata",
    "@multicast",
    "@public",
    "@a",
    "@a*",
    "/a",
    "/a/*",
    "/**/b",
    "/a/b",
];
const PORTS: [&str; 8] = ["", "", ":80", ":80-90", ":81", ":0", ":65535", ":1-65535"];
/// What operations are made of.
const VERBS: [&str; 4] = ["connect", "connect", "bind", "send"];
const TARGETS: [&str; 16] = [
    "tcp 10.0.0.1:80",
    "tcp 0.0.0.0:80",
    "tcp [::]:81",
    "tcp [::ffff:10.0.0.1]:80",
    "udp 127.0.0.1:53",
    "udp 169.254.169.254:80",
    "tcp [fd00:ec2::254]:80",
    "ip 9.9.9.9",
    "tcp 224.0.0.1:1",
    "tcp [fe80::1]:90",
    "unix",
    "unix @a",
    r"unix @a\x00",
    "unix /a/b",
    "unix /a",
    "tcp [2001:db8::1]:0",
];

fn word(words: &'static [&'static str], byte: Option<&u8>) -> &'static str {
    words[byte.map_or(0, |byte| usize::from(*byte)) % words.len()]
}

/// Rules and an operation that the bytes choose.
fn chosen(bytes: &[u8]) -> String {
    let mut lines = Vec::new();
    let (operation, rules) = bytes.split_at(bytes.len().min(2));
    for rule in rules.chunks(3) {
        let [protocol, host] = [word(&PROTOCOLS, rule.first()), word(&HOSTS, rule.get(1))];
        lines.push(format!("{protocol} {host}{}", word(&PORTS, rule.get(2))));
    }
    let verb = word(&VERBS, operation.first());
    lines.push(format!("{verb} {}", word(&TARGETS, operation.get(1))));
    lines.join("\n")
}

/// Whether the input had an operation and a rule.
pub fn check(data: &[u8]) -> bool {
    let Some((first, rest)) = data.split_first() else { return false };
    let text = match first & 1 {
        0 => String::from_utf8_lossy(rest).into_owned(),
        _ => chosen(rest),
    };
    let mut lines: Vec<&str> = text.split('\n').collect();
    let Some(Ok(Operation::Network(operation))) = lines.pop().map(Operation::parse) else {
        return false;
    };
    let rules: Vec<Address> =
        lines.into_iter().take(40).filter_map(|line| Address::parse(line).ok()).collect();
    for rule in &rules {
        assert_eq!(Address::parse(&rule.to_string()).as_ref(), Ok(rule), "printing loses nothing");
    }
    let (action, endpoint) = (operation.action, &operation.endpoint);
    let covered: Option<Vec<bool>> =
        rules.iter().map(|rule| covers(rule, action, endpoint)).collect();
    let Some(covered) = covered else { return false };
    let decide = |policy: Policy| {
        Decider::new(Arc::new(policy)).decide(&Operation::Network(operation.clone())).allows()
    };
    let plain: Vec<AddressRule> =
        (0u32..).zip(&rules).map(|(line, rule)| address_rule(line, rule, &[])).collect();
    let any = covered.contains(&true);
    assert_eq!(decide(denying(plain.clone())), !any, "denies: {rules:?} {operation}");
    assert_eq!(decide(granting(plain, action)), any, "grants: {rules:?} {operation}");
    if let (Some(first), Some(own)) = (rules.first(), covered.first()) {
        let guarded = address_rule(0, first, &rules[1..]);
        let expected = *own && !covered[1..].contains(&true);
        assert_eq!(decide(denying(vec![guarded])), !expected, "except: {rules:?} {operation}");
    }
    !rules.is_empty()
}

fn address_rule(line: u32, address: &Address, except: &[Address]) -> AddressRule {
    let mut rule = AddressRule::new(address.clone(), Origin::new("fuzz", line, 1, ""));
    rule.except = except.to_vec();
    rule
}

fn denying(rules: Vec<AddressRule>) -> Policy {
    let mut policy = Policy::default();
    policy.network.deny = rules;
    policy
}

fn granting(rules: Vec<AddressRule>, action: NetworkAction) -> Policy {
    let mut policy = Policy::default();
    match action {
        NetworkAction::Bind => policy.network.bind = Some(rules),
        NetworkAction::Connect | NetworkAction::Send => policy.network.connect = Some(rules),
    }
    policy
}

/// Whether the rule covers the address, by hand; `None` if that is too much to try.
fn covers(rule: &Address, action: NetworkAction, endpoint: &Endpoint) -> Option<bool> {
    Some(match (rule, endpoint) {
        (Address::Everything, _) => true,
        (Address::Inet(rule), Endpoint::Inet { transport, address, port }) => {
            let protocol = match rule.protocol {
                Protocol::Any => true,
                Protocol::Tcp => *transport == Transport::Tcp,
                Protocol::Udp => *transport == Transport::Udp,
            };
            let ports = (rule.ports.first..=rule.ports.last).contains(port);
            protocol && ports && has(&rule.hosts, real(*address, action))
        }
        (Address::Unix(UnixAddress::Any), Endpoint::Inet { .. }) => false,
        (Address::Unix(UnixAddress::Any), _) => true,
        (Address::Unix(UnixAddress::Path(pattern)), Endpoint::UnixPath(path)) => {
            super::path_match::covers(pattern.text(), path.as_bytes())?
        }
        (Address::Unix(UnixAddress::Abstract(name)), Endpoint::UnixAbstract(own)) => {
            match name.text() {
                "*" => true,
                "a*" => own.starts_with(b"a"),
                "a" => **own == *b"a",
                _ => return None,
            }
        }
        (Address::Unix(UnixAddress::Abstract(name)), Endpoint::UnixUnnamed) => match name.text() {
            "*" => true,
            "a*" | "a" => false,
            _ => return None,
        },
        _ => false,
    })
}

fn real(address: IpAddr, action: NetworkAction) -> IpAddr {
    let address = match address {
        IpAddr::V6(address) => match address.octets() {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, a, b, c, d] => {
                Ipv4Addr::new(a, b, c, d).into()
            }
            _ => IpAddr::V6(address),
        },
        address => address,
    };
    match (address, action) {
        (_, NetworkAction::Bind) => address,
        (IpAddr::V4(v4), _) if v4.octets() == [0; 4] => Ipv4Addr::new(127, 0, 0, 1).into(),
        (IpAddr::V6(v6), _) if v6.octets() == [0; 16] => Ipv6Addr::from_bits(1).into(),
        _ => address,
    }
}

fn has(hosts: &Hosts, address: IpAddr) -> bool {
    match hosts {
        Hosts::Any => true,
        Hosts::Net(net) => in_prefix(net.network(), net.prefix_len(), address),
        Hosts::Named(NamedSet::Loopback) => address.is_loopback(),
        Hosts::Named(NamedSet::Multicast) => address.is_multicast(),
        Hosts::Named(NamedSet::LinkLocal) => match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        },
        Hosts::Named(set) => {
            let prefixes = set.prefixes();
            prefixes.iter().any(|net| in_prefix(net.network(), net.prefix_len(), address))
        }
    }
}

/// Bit by bit.
fn in_prefix(network: IpAddr, length: u8, address: IpAddr) -> bool {
    let bits = |address: IpAddr| -> Vec<bool> {
        let bytes = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect()
    };
    let (network, address) = (bits(network), bits(address));
    let length = usize::from(length);
    network.len() == address.len() && network[..length] == address[..length]
}
