// SPDX-License-Identifier: Apache-2.0
//! The named sets of addresses.
//!
//! From the RFCs and IANA's registries of special-purpose addresses (IPv4 and IPv6, as of 2025),
//! and, for `@metadata`, from the clouds' documentation.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A named set of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamedSet {
    /// The host itself: RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3.
    Loopback,
    /// Addresses of private networks: RFC 1918, RFC 4193, shared space of carriers and clusters
    /// (RFC 6598), and what site-local was (RFC 3879).
    Private,
    /// One link: RFC 3927, RFC 4291 section 2.5.6.
    LinkLocal,
    /// Where clouds hand out a machine's credentials.
    Metadata,
    /// Groups: RFC 5771, RFC 4291 section 2.7.
    Multicast,
    /// Unicast addresses that IANA's registries hold to be globally reachable; none that another
    /// set has, and none that tunnels to another address (6to4, Teredo).
    Public,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6(address: u128, length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(address), length))
}

/// An IPv6 address from its first four groups.
const fn high(a: u16, b: u16, c: u16, d: u16) -> u128 {
    ((a as u128) << 112) | ((b as u128) << 96) | ((c as u128) << 80) | ((d as u128) << 64)
}

const LOOPBACK: &[IpNet] = &[v4(127, 0, 0, 0, 8), v6(1, 128)];

const PRIVATE: &[IpNet] = &[
    v4(10, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
    v4(100, 64, 0, 0, 10),
    v6(high(0xfc00, 0, 0, 0), 7),
    v6(high(0xfec0, 0, 0, 0), 10),
];

const LINK_LOCAL: &[IpNet] = &[v4(169, 254, 0, 0, 16), v6(high(0xfe80, 0, 0, 0), 10)];

const METADATA: &[IpNet] = &[
    v4(169, 254, 169, 254, 32), // AWS, Azure, GCP, OpenStack, …
    v6(high(0xfd00, 0x0ec2, 0, 0) | 0x254, 128), // AWS over IPv6
    v6(high(0xfd20, 0x00ce, 0, 0) | 0x254, 128), // GCP over IPv6
    v4(169, 254, 170, 2, 32),   // AWS ECS tasks
    v4(169, 254, 170, 23, 32),  // AWS EKS pod identity
    v6(high(0xfd00, 0x0ec2, 0, 0) | 0x23, 128), // the same over IPv6
    v4(168, 63, 129, 16, 32),   // Azure's platform address
    v4(100, 100, 100, 200, 32), // Alibaba
    v4(192, 0, 0, 192, 32),     // Oracle (classic)
    v4(169, 254, 42, 42, 32),   // Scaleway
    v6(high(0xfd00, 0x0042, 0, 0) | 0x42, 128), // the same over IPv6
];

const MULTICAST: &[IpNet] = &[v4(224, 0, 0, 0, 4), v6(high(0xff00, 0, 0, 0), 8)];

/// What is globally reachable, before [`NOT_PUBLIC`] is taken out: all of IPv4, IPv6's global
/// unicast (RFC 4291 section 2.4 as assigned: 2000::/3), NAT64's well-known prefix (RFC 6052).
const PUBLIC_SPACE: &[IpNet] =
    &[v4(0, 0, 0, 0, 0), v6(high(0x2000, 0, 0, 0), 3), v6(high(0x0064, 0xff9b, 0, 0), 96)];

/// Special-purpose blocks whose "globally reachable" is not "true".
const NOT_PUBLIC: &[IpNet] = &[
    v4(0, 0, 0, 0, 8),                 // "this network", RFC 791
    v4(192, 0, 0, 0, 24),              // IETF protocol assignments, RFC 6890
    v4(192, 0, 2, 0, 24),              // documentation, RFC 5737
    v4(192, 88, 99, 0, 24),            // 6to4 relays, deprecated by RFC 7526
    v4(198, 18, 0, 0, 15),             // benchmarking, RFC 2544
    v4(198, 51, 100, 0, 24),           // documentation, RFC 5737
    v4(203, 0, 113, 0, 24),            // documentation, RFC 5737
    v4(240, 0, 0, 0, 4),               // reserved and limited broadcast, RFC 1112, RFC 919
    v6(high(0x2001, 0, 0, 0), 23),     // IETF protocol assignments (Teredo too), RFC 2928
    v6(high(0x2001, 0xdb8, 0, 0), 32), // documentation, RFC 3849
    v6(high(0x2002, 0, 0, 0), 16),     // 6to4, RFC 3056
    v6(high(0x3fff, 0, 0, 0), 20),     // documentation, RFC 9637
];

/// Blocks inside [`NOT_PUBLIC`] that the registries hold to be globally reachable all the same.
const PUBLIC_AGAIN: &[IpNet] = &[
    v4(192, 0, 0, 9, 32),               // Port Control Protocol anycast, RFC 7723
    v4(192, 0, 0, 10, 32),              // TURN anycast, RFC 8155
    v6(high(0x2001, 1, 0, 0) | 1, 128), // Port Control Protocol anycast, RFC 7723
    v6(high(0x2001, 1, 0, 0) | 2, 128), // TURN anycast, RFC 8155
    v6(high(0x2001, 1, 0, 0) | 3, 128), // DNS-SD service registration anycast, RFC 9665
    v6(high(0x2001, 3, 0, 0), 32),      // AMT, RFC 7450
    v6(high(0x2001, 4, 0x112, 0), 48),  // AS112-v6, RFC 7535
    v6(high(0x2001, 0x20, 0, 0), 28),   // ORCHIDv2, RFC 7343
    v6(high(0x2001, 0x30, 0, 0), 28),   // drone remote identification, RFC 9374
];

impl NamedSet {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Loopback,
        Self::Private,
        Self::LinkLocal,
        Self::Metadata,
        Self::Multicast,
        Self::Public,
    ];

    /// Their names.
    pub const NAMES: [&'static str; 6] =
        ["@loopback", "@private", "@link-local", "@metadata", "@multicast", "@public"];

    /// The set of this name, with its `@`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == name)
    }

    /// Its name, with its `@`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The prefixes that make it up; they do not overlap.
    #[must_use]
    pub fn prefixes(self) -> Vec<IpNet> {
        match self {
            Self::Loopback => LOOPBACK.to_vec(),
            Self::Private => PRIVATE.to_vec(),
            Self::LinkLocal => LINK_LOCAL.to_vec(),
            Self::Metadata => METADATA.to_vec(),
            Self::Multicast => MULTICAST.to_vec(),
            Self::Public => public(),
        }
    }
}

fn public() -> Vec<IpNet> {
    let others = [LOOPBACK, PRIVATE, LINK_LOCAL, METADATA, MULTICAST, NOT_PUBLIC];
    let mut rest = PUBLIC_SPACE.to_vec();
    for taken in others.into_iter().flatten() {
        rest = rest.into_iter().flat_map(|net| without(net, *taken)).collect();
    }
    rest.extend_from_slice(PUBLIC_AGAIN);
    rest.sort();
    rest
}

/// The prefixes of what is in `net` and not in `taken`: at most one for each bit of an address.
fn without(net: IpNet, taken: IpNet) -> Vec<IpNet> {
    if taken.contains(&net) {
        return Vec::new();
    }
    if !net.contains(&taken) {
        return vec![net];
    }
    let Ok(halves) = net.subnets(net.prefix_len() + 1) else { return Vec::new() };
    halves.flat_map(|half| without(half, taken)).collect()
}

impl fmt::Display for NamedSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    /// Which sets an address is in.
    fn check(address: &str, expected: &[NamedSet]) {
        let address: IpAddr = address.parse().unwrap();
        let sets: Vec<_> = NamedSet::ALL
            .into_iter()
            .filter(|set| set.prefixes().iter().any(|net| net.contains(&address)))
            .collect();
        assert_eq!(sets, expected, "{address}");
    }

    #[test]
    fn the_sets_are_what_the_rfcs_say_at_their_edges() {
        use NamedSet::{LinkLocal, Loopback, Metadata, Multicast, Private, Public};
        check("126.255.255.255", &[Public]);
        check("127.0.0.0", &[Loopback]);
        check("127.255.255.255", &[Loopback]);
        check("128.0.0.0", &[Public]);
        check("::1", &[Loopback]);
        check("::2", &[]);
        check("9.255.255.255", &[Public]);
        check("10.0.0.0", &[Private]);
        check("10.255.255.255", &[Private]);
        check("11.0.0.0", &[Public]);
        check("172.15.255.255", &[Public]);
        check("172.16.0.0", &[Private]);
        check("172.31.255.255", &[Private]);
        check("172.32.0.0", &[Public]);
        check("192.167.255.255", &[Public]);
        check("192.168.0.0", &[Private]);
        check("192.169.0.0", &[Public]);
        check("100.63.255.255", &[Public]);
        check("100.64.0.0", &[Private]);
        check("100.127.255.255", &[Private]);
        check("100.128.0.0", &[Public]);
        check("fbff:ffff::", &[]);
        check("fc00::", &[Private]);
        check("fdff:ffff::", &[Private]);
        check("fe00::", &[]);
        check("fe80::", &[LinkLocal]);
        check("febf:ffff::", &[LinkLocal]);
        check("fec0::", &[Private]);
        check("169.253.255.255", &[Public]);
        check("169.254.0.0", &[LinkLocal]);
        check("169.255.0.0", &[Public]);
        check("223.255.255.255", &[Public]);
        check("224.0.0.0", &[Multicast]);
        check("239.255.255.255", &[Multicast]);
        check("240.0.0.0", &[]);
        check("255.255.255.255", &[]);
        check("ff02::1", &[Multicast]);
        check("0.0.0.0", &[]);
        check("::", &[]);
        check("169.254.169.254", &[LinkLocal, Metadata]);
        check("fd00:ec2::254", &[Private, Metadata]);
        check("168.63.129.16", &[Metadata]);
    }

    /// IANA's registries: a block and whether it is globally reachable. Where they say "N/A" (6to4,
    /// Teredo) what is reached is another address, so it counts as not.
    const REGISTRY: &[(&str, bool)] = &[
        ("0.0.0.0/8", false),
        ("10.0.0.0/8", false),
        ("100.64.0.0/10", false),
        ("127.0.0.0/8", false),
        ("169.254.0.0/16", false),
        ("172.16.0.0/12", false),
        ("192.0.0.0/29", false),
        ("192.0.0.8/32", false),
        ("192.0.0.9/32", true),
        ("192.0.0.10/32", true),
        ("192.0.0.170/32", false),
        ("192.0.0.171/32", false),
        ("192.0.2.0/24", false),
        ("192.31.196.0/24", true),
        ("192.52.193.0/24", true),
        ("192.88.99.0/24", false),
        ("192.168.0.0/16", false),
        ("192.175.48.0/24", true),
        ("198.18.0.0/15", false),
        ("198.51.100.0/24", false),
        ("203.0.113.0/24", false),
        ("240.0.0.0/4", false),
        ("255.255.255.255/32", false),
        ("::1/128", false),
        ("::/128", false),
        ("::ffff:0:0/96", false),
        ("64:ff9b::/96", true),
        ("64:ff9b:1::/48", false),
        ("100::/64", false),
        ("100:0:0:1::/64", false),
        ("2001::/32", false),
        ("2001:1::1/128", true),
        ("2001:1::2/128", true),
        ("2001:1::3/128", true),
        ("2001:2::/48", false),
        ("2001:3::/32", true),
        ("2001:4:112::/48", true),
        ("2001:10::/28", false),
        ("2001:20::/28", true),
        ("2001:30::/28", true),
        ("2001:db8::/32", false),
        ("2002::/16", false),
        ("2620:4f:8000::/48", true),
        ("3fff::/20", false),
        ("5f00::/16", false),
        ("fc00::/7", false),
        ("fe80::/10", false),
    ];

    #[test]
    fn public_is_what_ianas_registries_hold_to_be_globally_reachable() {
        let public = NamedSet::Public.prefixes();
        for (block, reachable) in REGISTRY {
            let block: IpNet = block.parse().unwrap();
            for address in [block.network(), block.broadcast()] {
                let found = public.iter().any(|net| net.contains(&address));
                assert_eq!(found, *reachable, "{address} of {block}");
            }
        }
        for ordinary in ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "2a00:1450::1", "2400::"] {
            check(ordinary, &[NamedSet::Public]);
        }
    }

    #[test]
    fn the_prefixes_of_a_set_do_not_overlap() {
        for set in NamedSet::ALL {
            let prefixes = set.prefixes();
            for (index, one) in prefixes.iter().enumerate() {
                assert!(!prefixes[..index].iter().any(|o| o.contains(one) || one.contains(o)));
                assert_eq!(one.trunc(), *one, "{set}");
            }
        }
    }
}
