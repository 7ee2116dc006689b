// SPDX-License-Identifier: Apache-2.0
//! `[network]`: which addresses.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Origin;
use crate::net::{Address, UnixAddress};

/// The section `[network]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// `connect`: connecting, and sending datagrams. `None`: nothing is restricted.
    pub connect: Option<Vec<AddressRule>>,
    /// `bind`: taking a local address.
    pub bind: Option<Vec<AddressRule>>,
    /// `deny`: neither (EACCES).
    pub deny: Vec<AddressRule>,
}

impl Network {
    /// Whether rules tell the paths of UNIX sockets apart.
    #[must_use]
    pub fn names_sockets(&self) -> bool {
        let lists = [self.connect.as_deref(), self.bind.as_deref(), Some(&self.deny)];
        lists.into_iter().flatten().flatten().any(AddressRule::names_sockets)
    }
}

/// Addresses that a rule names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AddressRule {
    /// What it covers.
    pub address: Address,
    /// What it nevertheless does not cover; this matters to no other rule.
    pub except: Vec<Address>,
    /// Why.
    pub reason: Option<Arc<str>>,
    /// Where it is written.
    pub origin: Origin,
}

impl AddressRule {
    /// Whether it names paths of UNIX sockets.
    #[must_use]
    pub fn names_sockets(&self) -> bool {
        let is_path = |address: &Address| matches!(address, Address::Unix(UnixAddress::Path(_)));
        is_path(&self.address) || self.except.iter().any(is_path)
    }

    /// A rule without exceptions and without a reason.
    #[must_use]
    pub fn new(address: Address, origin: Origin) -> Self {
        Self { address, except: Vec::new(), reason: None, origin }
    }
}
