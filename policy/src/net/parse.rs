// SPDX-License-Identifier: Apache-2.0
//! From the text of an address rule to an [`Address`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::error::{AddressError, AddressErrorKind as Kind};
use super::{Address, Hosts, InetAddress, NamedSet, Ports, Protocol, UnixAddress};
use crate::path::{NamePattern, Pattern, PatternError};

/// Longer than the longest pattern with its protocol.
const MAX_TEXT: usize = 8200;

/// A part of the rule's text that knows where it stands.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Part<'a> {
    fn error(self, kind: Kind) -> AddressError {
        AddressError { offset: self.offset, len: self.text.len(), kind }
    }

    fn tail(self, at: usize) -> Self {
        Self { text: &self.text[at..], offset: self.offset + at }
    }

    fn head(self, at: usize) -> Self {
        Self { text: &self.text[..at], offset: self.offset }
    }

    /// Splits at the first `separator`, which belongs to neither part.
    fn split(self, separator: char) -> (Self, Option<Self>) {
        match self.text.find(separator) {
            None => (self, None),
            Some(at) => (self.head(at), Some(self.tail(at + separator.len_utf8()))),
        }
    }
}

pub(super) fn address(text: &str) -> Result<Address, AddressError> {
    let whole = Part { text, offset: 0 };
    if text.len() > MAX_TEXT {
        return Err(whole.error(Kind::TooLong));
    }
    match text {
        "" => return Err(whole.error(Kind::Empty)),
        "*" => return Ok(Address::Everything),
        _ => {}
    }
    let (protocol, rest) = whole.split(' ');
    let known = match protocol.text {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        "ip" => Some(Protocol::Any),
        "unix" => None,
        _ => return Err(protocol.error(Kind::UnknownProtocol)),
    };
    let rest = rest.filter(|rest| !rest.text.is_empty());
    let rest =
        rest.ok_or(AddressError { offset: text.len(), len: 0, kind: Kind::MissingAddress })?;
    match known {
        None => unix(rest).map(Address::Unix),
        Some(protocol) => inet(protocol, rest).map(Address::Inet),
    }
}

fn unix(part: Part<'_>) -> Result<UnixAddress, AddressError> {
    let shift = |skipped: usize| {
        move |error: PatternError| AddressError {
            offset: part.offset + skipped + error.offset,
            len: error.len,
            kind: Kind::Pattern(error.kind),
        }
    };
    match part.text.strip_prefix('@') {
        Some(name) => NamePattern::parse(name).map(UnixAddress::Abstract).map_err(shift(1)),
        None if part.text == "*" => Ok(UnixAddress::Any),
        None => Pattern::parse(part.text).map(UnixAddress::Path).map_err(shift(0)),
    }
}

fn inet(protocol: Protocol, part: Part<'_>) -> Result<InetAddress, AddressError> {
    let (hosts, ports) = if part.text.starts_with('[') { bracketed(part)? } else { bare(part)? };
    let ports = match ports {
        None => Ports::ALL,
        Some(part) if protocol == Protocol::Any => return Err(part.error(Kind::PortOfAnyProtocol)),
        Some(part) => range(part)?,
    };
    Ok(InetAddress { protocol, hosts, ports })
}

/// `[ADDRESS]` or `[ADDRESS/LENGTH]`, and perhaps a port.
fn bracketed(part: Part<'_>) -> Result<(Hosts, Option<Part<'_>>), AddressError> {
    let Some(end) = part.text.find(']') else {
        return Err(part.head(1).error(Kind::UnclosedBracket));
    };
    let inside = part.tail(1).head(end - 1);
    let after = part.tail(end + 1);
    let ports = match after.text.strip_prefix(':') {
        Some(_) => Some(after.tail(1)),
        None if after.text.is_empty() => None,
        None => return Err(after.error(Kind::Trailing)),
    };
    let (address, length) = inside.split('/');
    if address.text.contains('%') {
        return Err(address.error(Kind::Zone));
    }
    let Ok(parsed) = Ipv6Addr::from_str(address.text) else {
        let ipv4 = Ipv4Addr::from_str(address.text).is_ok();
        return Err(address.error(if ipv4 { Kind::NotIpv6 } else { Kind::NotAnAddress }));
    };
    let length = prefix_length(length, 128)?;
    let net = Ipv6Net::new(parsed, length).map_err(|_| inside.error(Kind::NotAnAddress))?;
    if net.network() != parsed {
        return Err(inside.error(Kind::HostBits { network: net.trunc().to_string() }));
    }
    Ok((Hosts::Net(unmap(net)), ports))
}

/// "IPv4-mapped IPv6 is IPv4", prefixes of mapped addresses too.
fn unmap(net: Ipv6Net) -> IpNet {
    match net.addr().to_canonical() {
        IpAddr::V4(address) if net.prefix_len() >= 96 => {
            match Ipv4Net::new(address, net.prefix_len() - 96) {
                Ok(mapped) => IpNet::V4(mapped),
                Err(_) => IpNet::V6(net),
            }
        }
        _ => IpNet::V6(net),
    }
}

/// `*`, `@name`, `ADDRESS` or `ADDRESS/LENGTH`, and perhaps a port.
fn bare(part: Part<'_>) -> Result<(Hosts, Option<Part<'_>>), AddressError> {
    if part.text.bytes().filter(|byte| *byte == b':').count() > 1 {
        let address = part.text.split(['/', '%']).next().unwrap_or_default();
        let ipv6 = Ipv6Addr::from_str(address).is_ok();
        return Err(part.error(if ipv6 { Kind::NeedsBrackets } else { Kind::NotAnAddress }));
    }
    let (hosts, ports) = part.split(':');
    if hosts.text == "*" {
        return Ok((Hosts::Any, ports));
    }
    if hosts.text.starts_with('@') {
        let set = NamedSet::from_name(hosts.text).ok_or_else(|| hosts.error(Kind::UnknownSet))?;
        return Ok((Hosts::Named(set), ports));
    }
    let (address, length) = hosts.split('/');
    let Ok(parsed) = Ipv4Addr::from_str(address.text) else {
        return Err(address.error(Kind::NotAnAddress));
    };
    let length = prefix_length(length, 32)?;
    let net = Ipv4Net::new(parsed, length).map_err(|_| hosts.error(Kind::NotAnAddress))?;
    if net.network() != parsed {
        return Err(hosts.error(Kind::HostBits { network: net.trunc().to_string() }));
    }
    Ok((Hosts::Net(IpNet::V4(net)), ports))
}

fn prefix_length(part: Option<Part<'_>>, max: u8) -> Result<u8, AddressError> {
    let Some(part) = part else { return Ok(max) };
    match number(part.text) {
        Some(length) if length <= u32::from(max) => Ok(u8::try_from(length).unwrap_or(max)),
        _ => Err(part.error(Kind::BadPrefixLength { max })),
    }
}

fn range(part: Part<'_>) -> Result<Ports, AddressError> {
    let (first, last) = part.split('-');
    let ports = Ports { first: port(first)?, last: port(last.unwrap_or(first))? };
    if ports.first > ports.last { Err(part.error(Kind::BackwardPorts)) } else { Ok(ports) }
}

fn port(part: Part<'_>) -> Result<u16, AddressError> {
    let number = number(part.text).and_then(|number| u16::try_from(number).ok());
    number.ok_or_else(|| part.error(Kind::BadPort))
}

/// Digits only: neither a sign nor an underscore, nor leading zeros, which read as octal elsewhere.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if plain && !leading_zero { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(text: &str) {
        reads(text, text);
    }

    fn reads(text: &str, printed: &str) {
        assert_eq!(
            address(text).map(|address| address.to_string()),
            Ok(printed.to_owned()),
            "{text}"
        );
    }

    fn fails(text: &str, offset: usize, len: usize, kind: Kind) {
        assert_eq!(address(text), Err(AddressError { offset, len, kind }), "{text}");
    }

    #[test]
    fn the_rules_of_the_design_parse_and_print() {
        for text in [
            "tcp 10.0.0.0/8:5432",
            "tcp [2001:db8::/32]:443",
            "udp 10.0.0.2:53",
            "unix /run/postgresql/*",
            "tcp *:8080",
            "unix @app-*",
            "tcp @metadata",
            "ip *",
            "*",
            "unix *",
            "udp *:1024-65535",
            "tcp [fe80::1]",
            "tcp 0.0.0.0/0:0",
        ] {
            same(text);
        }
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        reads("tcp [::ffff:169.254.169.254]:80", "tcp 169.254.169.254:80");
        reads("tcp [::ffff:a9fe:a9fe]", "tcp 169.254.169.254");
        reads("tcp [::ffff:10.0.0.0/104]", "tcp 10.0.0.0/8");
        same("tcp [::/0]");
    }

    #[test]
    fn spellings_that_name_the_same_are_the_same() {
        reads("tcp 1.2.3.4/32:80-80", "tcp 1.2.3.4:80");
        reads("tcp [2001:DB8:0::/32]", "tcp [2001:db8::/32]");
        reads("tcp *:0-65535", "tcp *");
    }

    #[test]
    fn errors_point_at_what_is_wrong() {
        fails("", 0, 0, Kind::Empty);
        fails("tpc 1.2.3.4", 0, 3, Kind::UnknownProtocol);
        fails("1.2.3.4:80", 0, 10, Kind::UnknownProtocol);
        fails("tcp", 3, 0, Kind::MissingAddress);
        fails("tcp ", 4, 0, Kind::MissingAddress);
        fails("tcp @metdata:80", 4, 8, Kind::UnknownSet);
        fails("tcp example.org:80", 4, 11, Kind::NotAnAddress);
        fails("tcp 0xA9FEA9FE", 4, 10, Kind::NotAnAddress);
        fails("tcp 010.0.0.1", 4, 9, Kind::NotAnAddress);
        fails("tcp  1.2.3.4", 4, 8, Kind::NotAnAddress);
        fails("tcp 2001:db8::1:443", 4, 15, Kind::NeedsBrackets);
        fails("tcp [2001:db8::1", 4, 1, Kind::UnclosedBracket);
        fails("tcp [1.2.3.4]", 5, 7, Kind::NotIpv6);
        fails("tcp [::1]x", 9, 1, Kind::Trailing);
        fails("tcp [fe80::1%eth0]", 5, 12, Kind::Zone);
        fails("tcp 10.0.0.0/33", 13, 2, Kind::BadPrefixLength { max: 32 });
        fails("tcp [::/129]", 8, 3, Kind::BadPrefixLength { max: 128 });
        fails("tcp 10.0.0.1/8", 4, 10, Kind::HostBits { network: "10.0.0.0/8".into() });
        fails("tcp *:65536", 6, 5, Kind::BadPort);
        fails("tcp *:http", 6, 4, Kind::BadPort);
        fails("tcp *:+80", 6, 3, Kind::BadPort);
        fails("tcp *:", 6, 0, Kind::BadPort);
        fails("tcp *:9-8", 6, 3, Kind::BackwardPorts);
        fails("ip *:80", 5, 2, Kind::PortOfAnyProtocol);
        fails("unix run", 5, 1, Kind::Pattern(crate::path::PatternErrorKind::NotAbsolute));
        fails("unix @a[", 7, 1, Kind::Pattern(crate::path::PatternErrorKind::UnclosedClass));
    }

    #[test]
    fn unknown_words_come_with_the_words_that_are_known() {
        assert_eq!(Kind::UnknownProtocol.candidates(), ["tcp", "udp", "ip", "unix"]);
        assert!(Kind::UnknownSet.candidates().contains(&"@metadata"));
    }
}
