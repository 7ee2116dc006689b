// SPDX-License-Identifier: Apache-2.0
//! What a program does, for people: a listing by architecture and call, its cost, and the answer
//! to one call with the rule that decided it.

use super::action::Action;
use super::arch::Arch;
use super::compile::{Compiled, compile};
use super::condition::Condition;
use super::error::Error;
use super::generate::{Decisions, Token, generate};
use super::interpret::{is_constant_allow, run};
use super::lower::HOT;
use super::program::Program;
use super::reference::{SeccompData, verdict};
use super::rules::{Input, Rules};
use super::syscall::Syscall;
use super::tree::{Node, NodeId};
use std::collections::BTreeMap;
use std::fmt::Write;

const WIDTH: usize = 98;

/// The listing: architecture, call, conditions, answer; then what the program costs.
///
/// # Errors
///
/// As [`compile`].
pub fn report(input: &Input<'_>) -> Result<String, Vec<Error>> {
    let compiled = compile(input)?;
    let rules = Rules::new(*input)?;
    let decisions = generate(&rules).map_err(|error| vec![error])?;
    let mut text = String::new();
    for warning in &compiled.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    for token in &decisions.tokens {
        for arch in &token.archs {
            architecture(&mut text, &rules, &decisions, token, *arch);
        }
    }
    let _ = writeln!(text, "other architectures\n  {}\n", rules.unlisted());
    text.push_str(&costs(&compiled.program, input.native));
    Ok(text)
}

/// What happens to one call, and by which rule.
///
/// # Errors
///
/// As [`compile`]; the architecture has no such call.
pub fn explain(
    input: &Input<'_>,
    arch: Arch,
    syscall: Syscall,
    args: [u64; 6],
) -> Result<(Action, String), Vec<Error>> {
    let wrong = |problem: String| vec![Error::spec(arch.name(), problem)];
    if !input.native.reachable().contains(&arch) {
        return Err(wrong(format!("a kernel of {} does not run it", input.native.name())));
    }
    let Some(nr) = syscall.number(arch) else {
        return Err(wrong(format!("has no system call {syscall}")));
    };
    let Compiled { program, .. } = compile(input)?;
    let rules = Rules::new(*input)?;
    let data = SeccompData { nr, arch: arch.token(), args, ..SeccompData::default() };
    let verdict = verdict(&rules, &data);
    let outcome = run(&program, &data, input.native).map_err(|error| vec![error])?;
    let cached = if is_constant_allow(&program, data.arch, nr) {
        "; the kernel answers by itself"
    } else {
        ""
    };
    let text = format!(
        "{syscall} on {}: {}, {} of {} instructions{cached}\n",
        arch.name(),
        verdict.describe(&rules),
        outcome.executed,
        program.len(),
    );
    Ok((outcome.action, text))
}

fn architecture(
    text: &mut String,
    rules: &Rules<'_>,
    decisions: &Decisions,
    token: &Token,
    arch: Arch,
) {
    let mut simple: BTreeMap<Action, Vec<&str>> = BTreeMap::new();
    let mut complex: BTreeMap<NodeId, Vec<&str>> = BTreeMap::new();
    for (nr, call) in rules.numbers(arch) {
        let node = node_of(token, *nr);
        match decisions.forest.get(node) {
            Node::Answer(action) => simple.entry(action).or_default().push(call.name()),
            Node::Test(_) => complex.entry(node).or_default().push(call.name()),
        }
    }
    let _ = writeln!(text, "{}", arch.name());
    for (action, mut names) in simple.into_iter().rev() {
        names.sort_unstable();
        let _ = writeln!(text, "  {action}: {} calls", names.len());
        wrap(text, &names, "    ");
    }
    for (node, names) in complex {
        wrap(text, &names, "  ");
        decision(text, decisions, node, 4, &mut 40);
    }
    let above = rules.numbers(arch).last().map_or(0, |(nr, _)| nr.saturating_add(1));
    if let Node::Answer(action) = decisions.forest.get(node_of(token, above)) {
        let _ = writeln!(text, "  numbers that no kernel has: {action}");
    }
    text.push('\n');
}

fn node_of(token: &Token, nr: u32) -> NodeId {
    let after = token.ranges.partition_point(|(start, _)| *start <= nr);
    token.ranges[after.max(1) - 1].1
}

fn wrap(text: &mut String, names: &[&str], indent: &str) {
    let mut line = indent.to_owned();
    for name in names {
        if line.len() + 1 + name.len() > WIDTH && line.trim() != "" {
            let _ = writeln!(text, "{}", line.trim_end());
            line = indent.to_owned();
        }
        line.push_str(name);
        line.push(' ');
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

/// A decision as a list of conditions; `lines` is what is left to print.
fn decision(
    text: &mut String,
    decisions: &Decisions,
    mut node: NodeId,
    indent: usize,
    lines: &mut usize,
) {
    loop {
        if *lines == 0 {
            let _ = writeln!(text, "{:indent$}…", "");
            return;
        }
        *lines -= 1;
        match decisions.forest.get(node) {
            Node::Answer(action) => {
                let _ = writeln!(text, "{:indent$}otherwise {action}", "");
                return;
            }
            Node::Test(test) => {
                let condition = Condition { index: test.index, operator: test.operator };
                match decisions.forest.get(test.yes) {
                    Node::Answer(action) => {
                        let _ = writeln!(text, "{:indent$}{condition}: {action}", "");
                    }
                    Node::Test(_) => {
                        let _ = writeln!(text, "{:indent$}{condition}:", "");
                        decision(text, decisions, test.yes, indent + 2, lines);
                    }
                }
                node = test.no;
            }
        }
    }
}

/// Instructions of the program, and those executed for common calls.
fn costs(program: &Program, native: Arch) -> String {
    let mut text = format!("{} instructions\n", program.len());
    for name in HOT {
        let number = Syscall::from_name(name).and_then(|call| call.number(native));
        let Some(nr) = number else { continue };
        let data = SeccompData { nr, arch: native.token(), ..SeccompData::default() };
        let Ok(outcome) = run(program, &data, native) else { continue };
        let cached =
            if is_constant_allow(program, data.arch, nr) { ", known to the kernel" } else { "" };
        let _ = writeln!(
            text,
            "  {name:16} {:3} executed, {}{cached}",
            outcome.executed, outcome.action
        );
    }
    text
}
