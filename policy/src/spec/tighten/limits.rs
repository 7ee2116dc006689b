// SPDX-License-Identifier: Apache-2.0
//! Limits of the container's cgroup: the smaller of the specification's and the policy's.
//!
//! "No limit" is written 0 or -1, or not at all. `max_memory` is memory and swap together, since
//! what a program cannot keep in memory it would otherwise keep in swap. The files of cgroup v2 that
//! a specification may write by name (`linux.resources.unified`) are written after the limits and
//! would lift them: those that are about the same thing are taken out, and their values count as if
//! they were given where the specification has a place for them.

use oci_spec::runtime::{LinuxMemory, LinuxPids, LinuxResources, Spec};

use super::{Notes, value};
use crate::policy::Policy;
use crate::target::Limits;

/// Applies one layer.
pub(super) fn apply(spec: &mut Spec, layer: &Policy, able: Limits, notes: &mut Notes) {
    let wanted = Wanted::by(layer);
    let mut linux = spec.linux().clone().unwrap_or_default();
    let mut resources = linux.resources().clone().unwrap_or_default();
    let before = notes.changes.len();
    match &wanted.processes {
        Some((_, rule)) if !able.processes => notes.unenforced(rule, unable("pids")),
        Some((limit, rule)) => processes(&mut resources, *limit, rule, notes),
        None => {}
    }
    match &wanted.memory {
        Some((_, rule)) if !able.memory => notes.unenforced(rule, unable("memory")),
        Some((limit, rule)) => memory(&mut resources, *limit, rule, notes),
        None => {}
    }
    if notes.changes.len() > before {
        linux.set_resources(Some(resources));
        spec.set_linux(Some(linux));
    }
}

/// Checks new limits of a container against one layer, and has those that are given stand
/// together: with memory its swap.
pub(super) fn update(resources: &mut LinuxResources, layer: &Policy, notes: &mut Notes) {
    let wanted = Wanted::by(layer);
    if let Some((limit, rule)) = &wanted.processes {
        let typed = resources.pids().as_ref().map(|pids| bound(pids.limit()));
        let given = [typed, named(resources, "pids.max")];
        for _ in given.into_iter().flatten().filter(|given| given.is_none_or(|it| it > *limit)) {
            notes.unenforced(rule, format!("more than {limit} processes are asked for"));
        }
    }
    if let Some((limit, rule)) = &wanted.memory {
        let written = resources.memory().unwrap_or_default();
        // 0 leaves the limit as it is
        let typed = |limit: Option<i64>| limit.filter(|limit| *limit != 0).map(bound);
        let files = ["memory.max", "memory.swap.max"].map(|name| named(resources, name));
        let given = [typed(written.limit()), typed(written.swap()), files[0], files[1]];
        for _ in given.into_iter().flatten().filter(|given| given.is_none_or(|it| it > *limit)) {
            notes.unenforced(rule, format!("more than {limit} bytes are asked for"));
        }
        if given.iter().any(Option::is_some) && notes.unenforced.is_empty() {
            memory(resources, *limit, rule, notes);
        }
    }
}

/// What a file of cgroup v2 is to say: nothing, no limit, or a limit.
fn named(resources: &LinuxResources, name: &str) -> Option<Option<i64>> {
    match take(&mut resources.clone(), name) {
        File::Absent => None,
        File::Unlimited => Some(None),
        File::Amount(amount) => Some(Some(amount)),
    }
}

/// What a layer limits, each with its rule.
struct Wanted {
    processes: Option<(i64, String)>,
    memory: Option<(i64, String)>,
}

impl Wanted {
    fn by(layer: &Policy) -> Self {
        let signed = |(limit, rule): (u64, String)| {
            // 0 would be "no limit"
            (i64::try_from(limit).unwrap_or(i64::MAX).max(1), rule)
        };
        let process = &layer.process;
        Wanted {
            processes: value("max_processes", process.max_processes.as_ref()).map(signed),
            memory: value("max_memory", process.max_memory.as_ref()).map(signed),
        }
    }
}

fn unable(controller: &str) -> String {
    format!(
        "the container gets no cgroup with the controller {controller} here: leave the limit out, \
         or delegate one"
    )
}

fn processes(resources: &mut LinuxResources, limit: i64, rule: &str, notes: &mut Notes) {
    let typed = resources.pids().as_ref().and_then(|pids| bound(pids.limit()));
    let file = take(resources, "pids.max");
    let tightest = [typed, file.bound(), Some(limit)].into_iter().flatten().min().unwrap_or(limit);
    if typed != Some(tightest) {
        let mut pids = LinuxPids::default();
        pids.set_limit(tightest);
        resources.set_pids(Some(pids));
        notes.changed("linux.resources.pids.limit", tightest.to_string(), rule);
    } else if file != File::Absent {
        notes.changed("linux.resources.unified", "without pids.max", rule);
    }
}

fn memory(resources: &mut LinuxResources, limit: i64, rule: &str, notes: &mut Notes) {
    let written = *resources.memory();
    let typed = written.and_then(|memory| bound(memory.limit()?));
    let typed_swap = written.and_then(|memory| bound(memory.swap()?));
    let (file, swap_file) = (take(resources, "memory.max"), take(resources, "memory.swap.max"));
    // the kernel wants memory to be at most memory and swap together
    let all = [typed, file.bound(), typed_swap, Some(limit)];
    let tightest = all.into_iter().flatten().min().unwrap_or(limit);
    let swap_alone = swap_file.amount().map(|swap| tightest.saturating_add(swap));
    let swaps = [typed_swap, swap_alone, Some(limit)];
    let swap = swaps.into_iter().flatten().min().unwrap_or(limit).max(tightest);
    let mut memory: LinuxMemory = written.unwrap_or_default();
    if typed != Some(tightest) {
        memory.set_limit(Some(tightest));
        notes.changed("linux.resources.memory.limit", tightest.to_string(), rule);
    }
    if typed_swap != Some(swap) {
        memory.set_swap(Some(swap));
        notes.changed("linux.resources.memory.swap", swap.to_string(), rule);
    }
    resources.set_memory(Some(memory));
    for (file, name) in [(file, "memory.max"), (swap_file, "memory.swap.max")] {
        if file != File::Absent {
            notes.changed("linux.resources.unified", format!("without {name}"), rule);
        }
    }
}

fn bound(limit: i64) -> Option<i64> {
    (limit > 0).then_some(limit)
}

/// What a specification has a file of cgroup v2 say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum File {
    /// Nothing.
    Absent,
    /// `max`.
    Unlimited,
    /// A number.
    Amount(i64),
}

impl File {
    /// A limit that is a bound whatever it is: nothing runs within 0.
    fn bound(self) -> Option<i64> {
        self.amount().map(|amount| amount.max(1))
    }

    fn amount(self) -> Option<i64> {
        match self {
            File::Amount(amount) => Some(amount),
            File::Absent | File::Unlimited => None,
        }
    }
}

fn take(resources: &mut LinuxResources, name: &str) -> File {
    let Some(mut unified) = resources.unified().clone() else { return File::Absent };
    let Some(text) = unified.remove(name) else { return File::Absent };
    resources.set_unified(Some(unified));
    match text.trim() {
        "max" => File::Unlimited,
        // what the kernel would not read as a number would have failed; nothing is the least
        number => File::Amount(amount(number).unwrap_or(0)),
    }
}

/// A number as the kernel's memparse() takes it.
fn amount(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "t" | "T" => 40,
        "p" | "P" => 50,
        "e" | "E" => 60,
        _ => return None,
    };
    // a leading zero makes it another number
    let number: i64 = number.parse().ok().filter(|_| number == "0" || !number.starts_with('0'))?;
    Some(number.checked_mul(1 << shift).unwrap_or(i64::MAX))
}
