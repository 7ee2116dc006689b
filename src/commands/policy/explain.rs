// SPDX-License-Identifier: Apache-2.0
//! `brig policy explain FILE OPERATION…`

use std::io::{self, Write};
use std::process::ExitCode;

use brig_policy::decide::{Decision, Operation, decide};
use brig_policy::diagnostics::nearest;
use brig_policy::explain::explain;
use brig_policy::plan::{
    self,
    files::{Assumed, Bound},
};
use brig_policy::policy::Policy;

use super::{Profile, resolved};
use crate::profiles::Overrides;
use crate::runtime::target;

/// What the caller gave is not a profile or not an operation.
const WRONG: u8 = 2;

#[derive(Debug, clap::Args)]
pub struct Explain {
    #[command(flatten)]
    profile: Profile,
    /// For example: read /etc/shadow, connect tcp 192.0.2.1:443, syscall mount
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    operation: Vec<String>,
}

pub fn run(command: &Explain, overrides: &Overrides) -> io::Result<ExitCode> {
    let text = command.operation.join(" ");
    let operation = match Operation::parse(&text) {
        Ok(operation) => operation,
        Err(error) => {
            let wrong = text.get(error.offset..error.offset + error.len).unwrap_or("");
            let near = nearest(wrong, error.kind.candidates().iter().copied());
            let hint = near.map_or(String::new(), |near| format!("; did you mean \"{near}\"?"));
            writeln!(io::stderr(), "brig: malformed operation \"{text}\": {error}{hint}")?;
            return Ok(ExitCode::from(WRONG));
        }
    };
    let Some(resolved) = resolved(&command.profile.file, overrides)? else {
        return Ok(ExitCode::from(WRONG));
    };
    let decision = decide(&resolved.policy, &operation);
    writeln!(io::stdout(), "{}", explain(&operation, &decision))?;
    if let Some(enforcing) = enforcing(&resolved.policy, &decision) {
        writeln!(io::stdout(), "enforced by: {enforcing}")?;
    }
    Ok(if decision.allows() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What enforces the decision on this host; `None`: nothing has to, or the host is no target.
fn enforcing(policy: &Policy, decision: &Decision) -> Option<String> {
    let target = target::this_host().ok()?;
    let plan = plan::compile(policy, &target, &mut Assumed, Bound::default()).ok()?;
    let names: Vec<String> = plan.enforcing(decision).iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
