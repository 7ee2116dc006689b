// SPDX-License-Identifier: Apache-2.0
//! The typed rule set: what the specification, the policy and the mediated set say together.
//!
//! Both readings of it, the reference meaning ([`super::reference`]) and the generator
//! ([`super::generate`]), take their facts from here; how facts combine into an answer each of
//! them says for itself, so that one checks the other.

use super::action::{Action, ENOSYS, EPERM};
use super::arch::{Arch, X32_BIT};
use super::condition::{Condition, Operator};
use super::error::{Error, Warning};
use super::multiplexer::Multiplexer;
use super::spec::{Entry, FilterFlags, Index, Seccomp};
use super::syscall::Syscall;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A call, and conditions on its registers that must all hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The call.
    pub syscall: Syscall,
    /// All must hold; none: always.
    pub conditions: Vec<Condition>,
}

/// What a restriction is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selects {
    /// Calls that any of these matches (`deny`, `kill`).
    These(Vec<Match>),
    /// Calls that none of these matches (`allow`).
    AllBut(Vec<Match>),
}

/// What a restriction answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// This errno.
    Errno(u16),
    /// The process is killed.
    Kill,
    /// Allowed and logged: a denial in audit mode.
    Log,
}

impl Answer {
    /// As the program's answer.
    pub fn action(self) -> Action {
        match self {
            Self::Errno(errno) => Action::Errno(errno),
            Self::Kill => Action::KillProcess,
            Self::Log => Action::Log,
        }
    }
}

/// A rule of the profile's `[syscalls]`, or one that the plan needs. It can only tighten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restriction {
    /// Which calls.
    pub selects: Selects,
    /// What they get, unless the specification is stricter.
    pub answer: Answer,
    /// Where the rule stands, for people.
    pub label: String,
}

impl Restriction {
    /// What must hold while anything is mediated: the workload can neither install a listener of
    /// its own, which would answer in the supervisor's place, nor stall the supervisor's reads of
    /// its memory with userfaultfd(2) or with the device that makes the same descriptors, nor do by
    /// io_uring(7) what it would be mediated for.
    pub fn while_mediated() -> Vec<Self> {
        let mask = FilterFlags::NEW_LISTENER.bits().into();
        let condition = |index, operator| Condition { index, operator };
        let own_listener = vec![
            condition(0, Operator::Equal(1)), // SECCOMP_SET_MODE_FILTER
            condition(1, Operator::MaskedEqual { mask, value: mask }),
        ];
        let device = vec![condition(1, Operator::Equal(0xAA00))]; // USERFAULTFD_IOC_NEW
        let rules = [
            ("seccomp", own_listener, EBUSY, "one listener: the supervisor's"),
            ("userfaultfd", Vec::new(), EPERM, "userfaultfd would stall the supervisor"),
            ("ioctl", device, EPERM, "userfaultfd would stall the supervisor"),
            ("io_uring_setup", Vec::new(), ENOSYS, "io_uring does without mediated calls"),
        ];
        let restriction = |(name, conditions, errno, label): (&str, Vec<_>, u16, &str)| {
            let syscall = Syscall::from_name(name)?;
            let selects = Selects::These(vec![Match { syscall, conditions }]);
            Some(Self { selects, answer: Answer::Errno(errno), label: label.to_owned() })
        };
        rules.into_iter().filter_map(restriction).collect()
    }
}

/// What the kernel answers to a second listener.
const EBUSY: u16 = 16;

/// A call that the supervisor answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mediated {
    /// The call.
    pub syscall: Syscall,
    /// All must hold; none: always.
    pub conditions: Vec<Condition>,
    /// The rule that needs it, for people.
    pub label: String,
}

/// Everything that one program is made from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// `linux.seccomp`; `None`: it allows everything on every architecture.
    pub spec: Option<&'a Seccomp>,
    /// The policy's rules.
    pub restrictions: &'a [Restriction],
    /// What the plan mediates.
    pub mediated: &'a [Mediated],
    /// The architecture of the machine.
    pub native: Arch,
}

/// An [`Input`], indexed.
#[derive(Debug)]
pub struct Rules<'a> {
    pub(super) input: Input<'a>,
    pub(super) listed: Vec<Arch>,
    index: Index,
    numbers: BTreeMap<Arch, Vec<(u32, Syscall)>>,
    newest: BTreeMap<Arch, u32>,
    restricted: BTreeMap<Syscall, Vec<usize>>,
    allow_lists: Vec<AllowList>,
    /// The specification answers `clone` by its registers; `clone3` has them in memory.
    pub(super) spec_restricts_clone: bool,
    /// The policy does, or the supervisor answers it.
    pub(super) policy_restricts_clone: bool,
}

/// A [`Selects::AllBut`].
#[derive(Debug)]
struct AllowList {
    restriction: usize,
    newest: BTreeMap<Arch, u32>,
}

impl<'a> Rules<'a> {
    /// Indexes `input`.
    ///
    /// # Errors
    ///
    /// Two parties that want the listener; a denial whose condition can never hold.
    pub fn new(input: Input<'a>) -> Result<Self, Vec<Error>> {
        let mut rules = Self {
            listed: listed(&input),
            index: input.spec.map(Seccomp::index).unwrap_or_default(),
            numbers: BTreeMap::new(),
            newest: BTreeMap::new(),
            restricted: BTreeMap::new(),
            allow_lists: Vec::new(),
            spec_restricts_clone: false,
            policy_restricts_clone: false,
            input,
        };
        for arch in rules.listed.clone() {
            let mut numbers: Vec<_> =
                Syscall::all().filter_map(|call| Some((call.number(arch)?, call))).collect();
            numbers.sort_unstable();
            rules.numbers.insert(arch, numbers);
            rules.newest.extend(newest(arch, rules.index.keys()).map(|number| (arch, number)));
        }
        rules.index_restrictions();
        if let Some(clone) = Syscall::from_name("clone") {
            rules.spec_restricts_clone = rules.spec_depends_on_registers(clone);
            rules.policy_restricts_clone = rules.policy_depends_on_registers(clone);
        }
        let errors = rules.errors();
        if errors.is_empty() { Ok(rules) } else { Err(errors) }
    }

    /// The architecture of the machine.
    pub fn native(&self) -> Arch {
        self.input.native
    }

    fn index_restrictions(&mut self) {
        for (number, restriction) in self.input.restrictions.iter().enumerate() {
            match &restriction.selects {
                Selects::These(matches) => {
                    for found in matches {
                        let list = self.restricted.entry(found.syscall).or_default();
                        if list.last() != Some(&number) {
                            list.push(number);
                        }
                    }
                }
                Selects::AllBut(matches) => {
                    let named: BTreeSet<Syscall> = matches.iter().map(|m| m.syscall).collect();
                    let newest = self
                        .listed
                        .iter()
                        .filter_map(|arch| Some((*arch, newest(*arch, named.iter())?)))
                        .collect();
                    self.allow_lists.push(AllowList { restriction: number, newest });
                }
            }
        }
    }

    /// What no entry names, where it is not newer than the specification.
    pub(super) fn default_action(&self) -> Action {
        self.input.spec.map_or(Action::Allow, |spec| spec.default_action)
    }

    /// Calls that the specification cannot know of get ENOSYS: unless it kills, or lets through,
    /// what it does not know.
    pub(super) fn newer_get_enosys(&self) -> bool {
        matches!(self.default_action(), Action::Errno(_) | Action::Trap | Action::Notify)
    }

    /// `nr` is above every call that the specification names on `arch`.
    pub(super) fn is_newer(&self, arch: Arch, nr: u32) -> bool {
        self.newer_get_enosys()
            && self.newest.get(&arch).is_some_and(|newest| nr > *newest && ordinary(arch, nr))
    }

    /// The answer to a call that no entry names.
    pub(super) fn unnamed(&self, arch: Arch, nr: u32) -> Action {
        if self.is_newer(arch, nr) { Action::Errno(ENOSYS) } else { self.default_action() }
    }

    /// The answer to calls of an architecture that the specification does not list: never looser
    /// than a kill where the default is no denial.
    pub(super) fn unlisted(&self) -> Action {
        let default = self.default_action();
        if default.denies() { default } else { Action::KillProcess }
    }

    /// Where the answers of [`Rules::unnamed`] and of allow lists change on `arch`.
    pub(super) fn boundaries(&self, arch: Arch) -> BTreeSet<u32> {
        let lists = self.allow_lists.iter().filter_map(|list| list.newest.get(&arch));
        let mut cuts: BTreeSet<u32> =
            self.newest.get(&arch).into_iter().chain(lists).copied().collect();
        cuts = cuts.into_iter().map(|newest| newest.saturating_add(1)).collect();
        match arch {
            Arch::Arm => cuts.extend([ARM_PRIVATE, ARM_PRIVATE_END]),
            Arch::X32 => cuts.extend([X32_BIT | 512, X32_BIT | 548]),
            _ => {}
        }
        cuts
    }

    /// The calls of `arch` with their numbers, in the order of the numbers.
    pub(super) fn numbers(&self, arch: Arch) -> &[(u32, Syscall)] {
        self.numbers.get(&arch).map_or(&[], Vec::as_slice)
    }

    /// The names of a number, each with the number.
    pub(super) fn calls(&self, arch: Arch, nr: u32) -> &[(u32, Syscall)] {
        let numbers = self.numbers(arch);
        let start = numbers.partition_point(|(number, _)| *number < nr);
        let named = numbers[start..].iter().take_while(|(number, _)| *number == nr).count();
        &numbers[start..start + named]
    }

    /// Entries that name `call`, in the order of the specification, with their positions.
    pub(super) fn entries(&self, call: Syscall) -> impl Iterator<Item = (usize, &'a Entry)> + '_ {
        let entries = self.input.spec.map_or(&[][..], |spec| spec.syscalls.as_slice());
        let numbers = self.index.get(&call).map_or(&[][..], Vec::as_slice);
        numbers.iter().map(move |number| (*number, &entries[*number]))
    }

    /// Some entry names `call`.
    pub(super) fn is_named(&self, call: Syscall) -> bool {
        self.index.contains_key(&call)
    }

    /// How the conditions of an entry combine. All must hold; but where an argument stands in two
    /// conditions, runc takes every condition for a rule of its own. The reading that permits less
    /// holds: any condition suffices for an entry that is no looser than the default.
    pub(super) fn any_suffices(&self, entry: &Entry) -> bool {
        entry.repeats_an_argument() && entry.action.severity() >= self.default_action().severity()
    }

    /// The strictest that entries can say of `call` when its arguments cannot be seen.
    pub(super) fn blind(&self, call: Syscall) -> Option<Action> {
        let always = self.entries(call).any(|(_, entry)| entry.conditions.is_empty());
        let default = (!always).then(|| self.default_action());
        let said = self.entries(call).map(|(_, entry)| entry.action);
        self.is_named(call).then(|| said.chain(default).reduce(Action::or_stricter)).flatten()
    }

    /// The [`Selects::These`] restrictions that name `call`.
    pub(super) fn restrictions_of(&self, call: Syscall) -> &[usize] {
        self.restricted.get(&call).map_or(&[], Vec::as_slice)
    }

    /// The [`Selects::AllBut`] restrictions.
    pub(super) fn allow_lists(&self) -> impl Iterator<Item = usize> + '_ {
        self.allow_lists.iter().map(|list| list.restriction)
    }

    /// What restriction `number` answers to `nr`: an allow list answers ENOSYS to what is newer
    /// than itself, for the same reason as the specification.
    pub(super) fn answer(&self, number: usize, arch: Arch, nr: u32) -> Action {
        let action = self.input.restrictions[number].answer.action();
        let newer = self.allow_lists.iter().any(|list| {
            let above = |newest: &u32| nr > *newest && ordinary(arch, nr);
            list.restriction == number && list.newest.get(&arch).is_some_and(above)
        });
        if newer && matches!(action, Action::Errno(_)) { Action::Errno(ENOSYS) } else { action }
    }

    /// The restrictions that may be about a call of these names: those that name one of them, and
    /// those that name what they are not about. In order, each once.
    pub(super) fn about(&self, names: impl Iterator<Item = Syscall>) -> Vec<usize> {
        let naming = names.filter_map(|name| self.restricted.get(&name)).flatten().copied();
        let lists = self.allow_lists.iter().map(|list| list.restriction);
        let mut positions: Vec<usize> = naming.chain(lists).collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }

    /// Something is said of `call` in particular.
    pub(super) fn is_treated(&self, call: Syscall) -> bool {
        let in_list = |restriction: &Restriction| match &restriction.selects {
            Selects::AllBut(matches) => matches.iter().any(|found| found.syscall == call),
            Selects::These(_) => false,
        };
        self.is_named(call)
            || self.restricted.contains_key(&call)
            || self.input.mediated.iter().any(|mediated| mediated.syscall == call)
            || self.input.restrictions.iter().any(in_list)
    }

    /// Entries answer `call` differently, depending on its registers.
    fn spec_depends_on_registers(&self, call: Syscall) -> bool {
        let always = self.entries(call).filter(|(_, entry)| entry.conditions.is_empty());
        let floor = always.map(|(_, entry)| entry.action).reduce(Action::or_stricter);
        let conditional = self.entries(call).filter(|(_, entry)| !entry.conditions.is_empty());
        conditional.into_iter().any(|(_, entry)| match floor {
            Some(floor) => entry.action.severity() > floor.severity(),
            None => entry.action != self.default_action(),
        })
    }

    fn policy_depends_on_registers(&self, call: Syscall) -> bool {
        let conditional = |m: &Match| m.syscall == call && !m.conditions.is_empty();
        let restricts = |restriction: &Restriction| match &restriction.selects {
            Selects::These(matches) => matches.iter().any(conditional),
            Selects::AllBut(matches) => {
                let always = matches.iter().any(|m| m.syscall == call && m.conditions.is_empty());
                !always && matches.iter().any(conditional)
            }
        };
        self.input.restrictions.iter().any(restricts)
            || self.input.mediated.iter().any(|mediated| mediated.syscall == call)
    }

    fn errors(&self) -> Vec<Error> {
        let mut errors = Vec::new();
        let entries = self.input.spec.map_or(&[][..], |spec| spec.syscalls.as_slice());
        let notifying: Vec<String> = entries
            .iter()
            .filter(|entry| entry.action == Action::Notify)
            .map(|entry| entry.place.clone())
            .collect();
        if !notifying.is_empty() && !self.input.mediated.is_empty() {
            let labels: BTreeSet<String> =
                self.input.mediated.iter().map(|mediated| mediated.label.clone()).collect();
            // what is only taken note of has no rule of its own
            let rules = labels.into_iter().filter(|label| !label.is_empty()).collect();
            errors.push(Error::TwoListeners { entries: notifying, rules });
        }
        for entry in entries.iter().filter(|entry| !entry.action.permits()) {
            self.never_true(entry, |place, problem| errors.push(Error::spec(place, problem)));
        }
        errors
    }

    /// What the specification says and does not mean.
    pub fn warnings(&self) -> Vec<Warning> {
        let Some(spec) = self.input.spec else { return Vec::new() };
        let mut warnings = Vec::new();
        for entry in &spec.syscalls {
            if entry.action.permits() {
                self.never_true(entry, |place, text| warnings.push(Warning::new(place, text)));
            }
            if entry.repeats_an_argument() {
                let reading = if self.any_suffices(entry) {
                    "any of its conditions suffices, as in runc"
                } else {
                    "all its conditions must hold (runc: any)"
                };
                let text = format!("an argument stands in several conditions; {reading}");
                warnings.push(Warning::new(format_args!("{}.args", entry.place), text));
            }
        }
        self.warn_of_overrides(&mut warnings);
        self.warn_of_clone3(&mut warnings);
        let unreachable = spec.architectures.iter().filter(|arch| !self.listed.contains(arch));
        for arch in unreachable {
            let text = format!("{} cannot occur on {}", arch.oci_name(), self.input.native.name());
            warnings.push(Warning::new("linux.seccomp.architectures", text));
        }
        warnings
    }

    /// Where runc lets an unconditional entry hide stricter ones.
    fn warn_of_overrides(&self, warnings: &mut Vec<Warning>) {
        for call in self.index.keys() {
            let always = self.entries(*call).find(|(_, entry)| entry.conditions.is_empty());
            let Some((position, always)) = always else { continue };
            let stricter = self.entries(*call).find(|(other, entry)| {
                *other != position && entry.action.severity() > always.action.severity()
            });
            if let Some((_, stricter)) = stricter {
                let text =
                    format!("{call}: {} is stricter and holds (not in runc)", stricter.place);
                warnings.push(Warning::new(&always.place, text));
            }
        }
    }

    fn warn_of_clone3(&self, warnings: &mut Vec<Warning>) {
        let clone3 = Syscall::from_name("clone3");
        let permitting =
            clone3.and_then(|call| self.entries(call).find(|(_, entry)| entry.action.permits()));
        if let Some((_, entry)) =
            permitting.filter(|_| self.spec_restricts_clone || self.policy_restricts_clone)
        {
            let text = "clone3 gets ENOSYS, because clone depends on flags that clone3 hides";
            warnings.push(Warning::new(&entry.place, text));
        }
    }

    /// Says which conditions of `entry` no argument of the kernel's type can meet.
    fn never_true(&self, entry: &Entry, mut say: impl FnMut(String, String)) {
        for (number, condition) in entry.conditions.iter().enumerate() {
            let unfit = entry.syscalls.iter().find(|call| {
                let width = call.width(self.input.native, condition.index);
                condition.operator.constant(width) == Some(false)
                    && condition.operator.is_out_of_range(width)
            });
            if let Some(call) = unfit {
                let place = format!("{}.args[{number}].value", entry.place);
                let problem =
                    format!("the argument of {call} is not that wide, so the rule never matches");
                say(place, problem);
            }
        }
    }

    /// The multiplexer that `nr` is on `arch`.
    pub(super) fn multiplexer(&self, arch: Arch, nr: u32) -> Option<Multiplexer> {
        self.calls(arch, nr).iter().find_map(|(_, call)| Multiplexer::of(*call))
    }
}

const ARM_PRIVATE: u32 = 0xF0000;
const ARM_PRIVATE_END: u32 = 0x10_0000;

/// Numbers that grow with the kernel's versions: not the block of ARM's private calls, nor the
/// block 512 to 547 of x32.
fn ordinary(arch: Arch, nr: u32) -> bool {
    match arch {
        Arch::Arm => !(ARM_PRIVATE..ARM_PRIVATE_END).contains(&nr),
        Arch::X32 => !(X32_BIT | 512..X32_BIT | 548).contains(&nr),
        _ => true,
    }
}

fn newest<'c>(arch: Arch, calls: impl Iterator<Item = &'c Syscall>) -> Option<u32> {
    calls.filter_map(|call| call.number(arch)).filter(|nr| ordinary(arch, *nr)).max()
}

/// The architectures that rules are compiled for: those of the specification that this kernel can
/// report, and always the native one; without a specification all that it can report.
fn listed(input: &Input<'_>) -> Vec<Arch> {
    let reachable = input.native.reachable();
    let listed = |arch: &&Arch| match input.spec {
        None => true,
        Some(spec) => **arch == reachable[0] || spec.architectures.contains(*arch),
    };
    reachable.iter().filter(listed).copied().collect()
}
