// SPDX-License-Identifier: Apache-2.0
//! One program from everything that has a say, checked before it is returned.

use super::action::Action;
use super::assemble::assemble;
use super::error::{Error, Warning};
use super::generate::{Decisions, generate};
use super::lower::lower;
use super::program::{Program, code};
use super::rules::{Input, Rules};
use super::spec::FilterFlags;
use super::verify::verify;
use serde::{Deserialize, Serialize};

/// A program and how to load it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiled {
    /// What to load.
    pub program: Program,
    /// The flags argument of seccomp(2).
    pub flags: FilterFlags,
    /// Some call is answered by the holder of the listener.
    pub notifies: bool,
    /// What the author of the specification should know.
    pub warnings: Vec<Warning>,
}

/// Compiles, and checks the result against the reference meaning.
///
/// # Errors
///
/// Rules that contradict each other or are too many; a result that is not what the rules mean.
pub fn compile(input: &Input<'_>) -> Result<Compiled, Vec<Error>> {
    let rules = Rules::new(*input)?;
    let decisions = generate(&rules).map_err(|error| vec![error])?;
    let program = build(&rules, &decisions).map_err(|error| vec![error])?;
    verify(&program, &rules).map_err(|error| vec![error])?;
    let notify = Action::Notify.encode();
    let notifies = program.instructions().iter().any(|i| i.code == code::RETURN && i.k == notify);
    let mut warnings = input.spec.map(|spec| spec.warnings.clone()).unwrap_or_default();
    warnings.extend(rules.warnings());
    let flags = flags(input, notifies, &mut warnings);
    Ok(Compiled { program, flags, notifies, warnings })
}

/// The program alone, unchecked.
pub(super) fn build(rules: &Rules<'_>, decisions: &Decisions) -> Result<Program, Error> {
    let (steps, root) = lower(decisions);
    assemble(&steps, root, rules.input.native.endian())
}

fn flags(input: &Input<'_>, notifies: bool, warnings: &mut Vec<Warning>) -> FilterFlags {
    let mut flags = input.spec.map_or(FilterFlags::NONE, |spec| spec.flags);
    if notifies {
        if flags.contains(FilterFlags::TSYNC) {
            // KERNEL(5.7): EINVAL together. Other threads end at execve anyway.
            let text = "SECCOMP_FILTER_FLAG_TSYNC is left out, because a listener is needed";
            warnings.push(Warning::new("linux.seccomp.flags", text));
            flags = flags.without(FilterFlags::TSYNC);
        }
        flags = flags | FilterFlags::NEW_LISTENER;
        if !input.mediated.is_empty() {
            flags = flags | FilterFlags::WAIT_KILLABLE_RECV;
        }
    } else if flags.contains(FilterFlags::WAIT_KILLABLE_RECV) {
        // KERNEL(5.19): EINVAL without a listener.
        let text = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is left out: nothing notifies";
        warnings.push(Warning::new("linux.seccomp.flags", text));
        flags = flags.without(FilterFlags::WAIT_KILLABLE_RECV);
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use serde_json::json;

    pub(crate) fn parsed(value: &serde_json::Value) -> Seccomp {
        parse(value).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    /// What `name` with `args` gets on x86-64 under `value`.
    fn answer(value: &serde_json::Value, name: &str, args: &[u64]) -> Action {
        let spec = parsed(value);
        let input =
            Input { spec: Some(&spec), restrictions: &[], mediated: &[], native: Arch::X86_64 };
        let compiled = compile(&input).unwrap_or_else(|errors| panic!("{errors:?}"));
        let nr = Syscall::from_name(name).unwrap().number(Arch::X86_64).unwrap();
        let mut data = SeccompData { nr, arch: Arch::X86_64.token(), ..Default::default() };
        data.args[..args.len()].copy_from_slice(args);
        run(&compiled.program, &data, Arch::X86_64).unwrap().action
    }

    #[test]
    fn an_allowlist_allows_what_it_names_and_gives_the_rest_the_default() {
        let spec = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["read", "mseal"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 12, "op": "SCMP_CMP_LT"}]},
        ]});
        assert_eq!(answer(&spec, "read", &[]), Action::Allow);
        assert_eq!(answer(&spec, "write", &[]), Action::Errno(1));
        assert_eq!(answer(&spec, "listns", &[]), Action::Errno(38));
        assert_eq!(answer(&spec, "socket", &[11]), Action::Allow);
        assert_eq!(answer(&spec, "socket", &[12]), Action::Errno(1));
        assert_eq!(answer(&spec, "socket", &[1 << 32 | 2]), Action::Allow);
        assert_eq!(answer(&spec, "socket", &[1 << 32 | 38]), Action::Errno(1));
    }
}
