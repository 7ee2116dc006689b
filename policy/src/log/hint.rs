// SPDX-License-Identifier: Apache-2.0
//! What a profile would have to say for an operation to be allowed.

use crate::decide::{
    Basis, Decision, Endpoint, FileOperation, List, NetworkOperation, Operation, Rule,
};
use crate::path::escape;

use super::text::printable;

/// A hint is to be copied into a profile: half of a longer one would mean something else.
const LONGEST: usize = 1024;

/// The line of a profile that would allow a denied operation; for one that a rule denies, what that
/// rule would have to except. `None` where no line of this kind would.
#[must_use]
pub fn hint(operation: &Operation, decision: &Decision) -> Option<String> {
    if decision.allows() {
        return None;
    }
    let part = decision.part.as_deref().and_then(|part| Operation::parse(part).ok());
    let name = name(part.as_ref().unwrap_or(operation))?;
    let hint = match &decision.basis {
        Basis::NotGranted(list) => format!("{list} = [{name}]"),
        Basis::Rule(rule) => format!("except = [{name}] in {}", cited(rule)?),
        Basis::Unrestricted | Basis::TooComplex | Basis::Default(_) => return None,
    };
    (hint.len() <= LONGEST).then_some(hint)
}

/// Where the rule is that something could be excepted from.
fn cited(rule: &Rule) -> Option<String> {
    match rule.list {
        List::FilesDeny | List::NetworkDeny => {
            Some(printable(rule.origin.to_string().as_bytes(), LONGEST))
        }
        _ => None,
    }
}

/// What an operation is about, as a rule names it.
fn name(operation: &Operation) -> Option<String> {
    match operation {
        Operation::File(FileOperation::Access(_, path)) => Some(quoted("", path.as_bytes())),
        Operation::Network(NetworkOperation { endpoint, .. }) => match endpoint {
            Endpoint::Inet { .. } => Some(format!("\"{endpoint}\"")),
            Endpoint::UnixPath(path) => Some(quoted("unix ", path.as_bytes())),
            Endpoint::UnixAbstract(name) => Some(quoted("unix @", name)),
            Endpoint::UnixUnnamed => None,
        },
        // their parts are what is denied
        Operation::File(_) | Operation::Syscall(_) | Operation::Process(_) => None,
    }
}

/// A TOML string of the pattern that matches exactly these bytes.
fn quoted(before: &str, bytes: &[u8]) -> String {
    // what a pattern means by `\xHH` is what is escaped so
    let pattern = printable(escape(bytes).as_bytes(), usize::MAX).replace("${", "$${");
    match pattern.contains(['\\', '"']) {
        false => format!("\"{before}{pattern}\""),
        true if !pattern.contains('\'') => format!("'{before}{pattern}'"),
        true => {
            let escaped = pattern.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{before}{escaped}\"")
        }
    }
}
