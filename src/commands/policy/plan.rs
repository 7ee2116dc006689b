// SPDX-License-Identifier: Apache-2.0
//! `brig policy plan FILE`: what enforces each rule here, and what that costs.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use brig_policy::plan::files::{Assumed, Bound, Tree};
use brig_policy::plan::{self, Counts, MediatedCall};
use brig_policy::policy::Policy;
use brig_policy::seccomp::{self, Input, Mediated, Program, Restriction, Seccomp};
use brig_policy::spec::{Change, Host, UserNamespace, tighten};
use brig_policy::target::Target;
use rustix::fs::{Mode, OFlags, open};
use serde_json::json;

use super::{Profile, resolved, seccomp::machine};
use crate::profiles::Overrides;
use crate::runtime::cgroup::in_user_namespace;
use crate::runtime::create::Bundle;
use crate::runtime::domain::RealTree;
use crate::runtime::target;

/// The profile, or what is made from it, is wrong.
const WRONG: u8 = 2;

/// Print what enforces each rule of a profile on this host, and what is mediated
#[derive(Debug, clap::Args)]
pub struct Plan {
    #[command(flatten)]
    profile: Profile,
    /// For this bundle: its specification and its root filesystem
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// Print JSON
    #[arg(long, conflicts_with = "seccomp")]
    json: bool,
    /// List the seccomp program: architecture, call, conditions, action
    #[arg(long)]
    seccomp: bool,
    /// Print its instructions instead
    #[arg(long, requires = "seccomp")]
    disassemble: bool,
    /// Capabilities of the container, for brig's default profile beneath it ("none": none)
    #[arg(long, value_name = "CAP", value_delimiter = ',')]
    capability: Vec<String>,
}

pub fn run(command: &Plan, overrides: &Overrides) -> anyhow::Result<ExitCode> {
    let Some(resolved) = resolved(&command.profile.file, overrides)? else {
        return Ok(ExitCode::from(WRONG));
    };
    let target = target::this_host()?;
    let bundle = command.bundle.as_deref().map(Bundle::load).transpose()?;
    match make(command, &resolved.policy, &target, bundle.as_ref())? {
        Ok(made) => {
            write!(io::stdout(), "{}", show(command, &made, &target)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(errors) => {
            for error in errors {
                writeln!(io::stderr(), "{}: {error}", command.profile.file.display())?;
            }
            Ok(ExitCode::from(WRONG))
        }
    }
}

/// Everything that is shown.
struct Made {
    plan: plan::Plan,
    changes: Vec<Change>,
    counts: Counts,
    program: Program,
    report: String,
}

fn make(
    command: &Plan,
    policy: &Policy,
    target: &Target,
    bundle: Option<&Bundle>,
) -> anyhow::Result<Result<Made, Vec<String>>> {
    let strings =
        |errors: &[plan::files::PlaceError]| errors.iter().map(ToString::to_string).collect();
    let plan = match compile(policy, target, bundle)? {
        Ok(plan) => plan,
        Err(errors) => return Ok(Err(strings(&errors))),
    };
    let (changes, mut restrictions, masks) = match bundle {
        None => (Vec::new(), Vec::new(), literal_masks(policy)),
        Some(bundle) => {
            let namespace =
                if in_user_namespace() { UserNamespace::Nested } else { UserNamespace::Initial };
            let host = Host { target, user_namespace: namespace };
            let tightened = tighten(&bundle.loaded.spec, policy, host);
            let linux = tightened.spec.linux().clone().unwrap_or_default();
            let masks = linux.masked_paths().as_ref().map_or(0, Vec::len);
            (tightened.changes, tightened.restrictions, masks)
        }
    };
    restrictions.extend(seccomp::restrictions(policy));
    restrictions.extend(plan.restrictions.iter().cloned());
    let written = bundle.and_then(|bundle| bundle.loaded.seccomp.as_ref());
    let of_errors = |errors: Vec<seccomp::Error>| errors.iter().map(ToString::to_string).collect();
    let spec = match written {
        Some(written) => seccomp::parse(written),
        None => seccomp::default_profile(&machine(None, &command.capability)?),
    };
    let made = spec.and_then(|spec| program(&spec, restrictions, &plan, target));
    Ok(made.map_err(of_errors).map(|(program, report)| {
        let counts = Counts {
            landlock_rules: landlock_rules(&plan),
            seccomp_instructions: program.len(),
            masks: masks + plan.settled.masks.len(),
            mounts: plan.settled.mounts.remounts.len(),
        };
        Made { plan, changes, counts, program, report }
    }))
}

type Compiled = Result<plan::Plan, Vec<plan::files::PlaceError>>;

/// For a bundle, with its files; what its mounts bring is not there yet.
fn compile(policy: &Policy, target: &Target, bundle: Option<&Bundle>) -> anyhow::Result<Compiled> {
    let compile = |tree: &mut dyn Tree| plan::compile(policy, target, tree, Bound::default());
    let Some(bundle) = bundle else { return Ok(compile(&mut Assumed)) };
    let root = bundle.loaded.spec.root().as_ref().map_or(Path::new("rootfs"), |root| root.path());
    let root = bundle.path.join(root);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = open(&root, flags, Mode::empty())
        .with_context(|| format!("root.path: open {}", root.display()))?;
    Ok(compile(&mut RealTree::new(opened.as_fd())))
}

fn program(
    spec: &Seccomp,
    mut restrictions: Vec<Restriction>,
    plan: &plan::Plan,
    target: &Target,
) -> Result<(Program, String), Vec<seccomp::Error>> {
    let mediated: Vec<Mediated> = plan.mediated.iter().map(MediatedCall::mediated).collect();
    if !mediated.is_empty() {
        restrictions.extend(Restriction::while_mediated());
    }
    let input = Input {
        spec: Some(spec),
        restrictions: &restrictions,
        mediated: &mediated,
        native: target.arch,
    };
    Ok((seccomp::compile(&input)?.program, seccomp::report(&input)?))
}

fn literal_masks(policy: &Policy) -> usize {
    let masks = policy.layers().flat_map(|layer| &layer.files.mask);
    masks.filter(|rule| rule.pattern.literal().is_some()).count()
}

fn landlock_rules(plan: &plan::Plan) -> usize {
    plan.settled.rules().count() + plan.ports.rules()
}

fn show(command: &Plan, made: &Made, target: &Target) -> anyhow::Result<String> {
    let Made { plan, changes, counts, program, report } = made;
    if command.disassemble {
        return Ok(seccomp::disassemble(program, target.arch));
    }
    if command.seccomp {
        return Ok(report.clone());
    }
    if command.json {
        let value =
            json!({ "target": target, "plan": plan, "counts": counts, "specification": changes });
        return Ok(serde_json::to_string_pretty(&value)? + "\n");
    }
    let mut text = plan::render(plan, counts);
    if !changes.is_empty() {
        text.push_str("\nthe specification becomes:\n");
    }
    for change in changes {
        text.push_str(&format!("  {change}\n"));
    }
    Ok(text)
}
