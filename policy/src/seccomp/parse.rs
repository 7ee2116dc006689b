// SPDX-License-Identifier: Apache-2.0
//! From the JSON of `linux.seccomp` to [`Seccomp`]: every error at once, each naming its entry.
//!
//! It reads the raw value rather than a typed binding of the specification, because a binding
//! stops at the first wrong value and cannot say where it stood. What the specification tells
//! runtimes to ignore (unknown properties) is ignored; nothing else is.

use super::action::{Action, EPERM, MAX_ERRNO};
use super::arch::Arch;
use super::condition::{Condition, Operator};
use super::error::{Error, Warning};
use super::spec::{Entry, FilterFlags, Seccomp};
use super::syscall::Syscall;
use serde_json::{Map, Value};

/// Entries and names beyond these cannot fit a program, whatever they say.
const MAX_ENTRIES: usize = 4096;
const MAX_NAMES: usize = 4096;
/// Conditions beyond this say the same thing more than once.
const MAX_CONDITIONS: usize = 256;
/// Errors beyond this are noise.
const MAX_ERRORS: usize = 100;

/// Parses the value of `linux.seccomp`.
///
/// # Errors
///
/// Everything that is wrong with it (at most a hundred errors).
pub fn parse(value: &Value) -> Result<Seccomp, Vec<Error>> {
    parse_at("linux.seccomp", value)
}

/// The same for a value that stands elsewhere, e.g. a file of its own.
pub(super) fn parse_at(place: &str, value: &Value) -> Result<Seccomp, Vec<Error>> {
    let mut parser = Parser::default();
    let parsed = parser.seccomp(place, value);
    match parsed {
        Some(mut seccomp) if parser.errors.is_empty() => {
            seccomp.warnings = parser.warnings;
            Ok(seccomp)
        }
        _ => Err(parser.errors),
    }
}

#[derive(Default)]
pub(super) struct Parser {
    pub(super) errors: Vec<Error>,
    pub(super) warnings: Vec<Warning>,
}

/// What stands at `key`; `null` is absent, as Go's decoder has it.
pub(super) fn field<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl Parser {
    pub(super) fn error(&mut self, place: &str, problem: impl std::fmt::Display) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(Error::spec(place, problem));
        }
    }

    fn warn(&mut self, place: &str, message: impl std::fmt::Display) {
        self.warnings.push(Warning::new(place, message));
    }

    fn seccomp(&mut self, place: &str, value: &Value) -> Option<Seccomp> {
        let object = self.object(place, value)?;
        if object.contains_key("archMap") {
            let message = "is of Docker's format, which only `brig policy seccomp` reads; ignored";
            self.warn(&format!("{place}.archMap"), message);
        }
        let default_errno_ret =
            self.errno(&format!("{place}.defaultErrnoRet"), field(object, "defaultErrnoRet"));
        let default_place = format!("{place}.defaultAction");
        let default = self.action(&default_place, object, "defaultAction", default_errno_ret);
        if default == Some(Action::Notify) {
            self.error(&default_place, "SCMP_ACT_NOTIFY cannot be the default action");
        }
        let syscalls = self.entries(&format!("{place}.syscalls"), field(object, "syscalls"));
        let seccomp = Seccomp {
            default_action: default?,
            default_errno_ret,
            architectures: self.architectures(place, object),
            flags: self.flags(place, object),
            listener_path: self.text(place, object, "listenerPath"),
            listener_metadata: self.text(place, object, "listenerMetadata"),
            syscalls,
            warnings: Vec::new(),
        };
        self.listener(place, &seccomp);
        Some(seccomp)
    }

    /// A rule that notifies needs somebody to be notified.
    fn listener(&mut self, place: &str, seccomp: &Seccomp) {
        let notifies = seccomp.syscalls.iter().find(|entry| entry.action == Action::Notify);
        match (notifies, &seccomp.listener_path) {
            (Some(entry), None) => {
                let problem = format!("is missing, but {} has SCMP_ACT_NOTIFY", entry.place);
                self.error(&format!("{place}.listenerPath"), problem);
            }
            (None, Some(_)) => {
                self.warn(&format!("{place}.listenerPath"), "nothing has SCMP_ACT_NOTIFY");
            }
            _ => {}
        }
    }

    pub(super) fn object<'a>(
        &mut self,
        place: &str,
        value: &'a Value,
    ) -> Option<&'a Map<String, Value>> {
        let object = value.as_object();
        if object.is_none() {
            self.error(place, format_args!("is {}, not an object", kind(value)));
        }
        object
    }

    pub(super) fn list<'a>(&mut self, place: &str, value: Option<&'a Value>) -> &'a [Value] {
        match value {
            None => &[],
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.error(place, format_args!("is {}, not a list", kind(other)));
                &[]
            }
        }
    }

    pub(super) fn string<'a>(&mut self, place: &str, value: &'a Value) -> Option<&'a str> {
        let text = value.as_str();
        if text.is_none() {
            self.error(place, format_args!("is {}, not a string", kind(value)));
        }
        text
    }

    fn text(&mut self, place: &str, object: &Map<String, Value>, key: &str) -> Option<String> {
        let place = format!("{place}.{key}");
        let text = self.string(&place, field(object, key)?)?;
        if text.contains('\0') {
            self.error(&place, "contains a NUL");
        }
        Some(text.to_owned()).filter(|text| !text.is_empty())
    }

    fn number(&mut self, place: &str, value: &Value, max: u64) -> Option<u64> {
        let number = value.as_u64().filter(|number| *number <= max);
        if number.is_none() {
            let problem = match value {
                Value::Number(number) => format!("{number} is out of range (0 to {max})"),
                other => format!("is {}, not a whole number (0 to {max})", kind(other)),
            };
            self.error(place, problem);
        }
        number
    }

    fn errno(&mut self, place: &str, value: Option<&Value>) -> Option<u16> {
        let number = self.number(place, value?, MAX_ERRNO.into())?;
        u16::try_from(number).ok()
    }

    fn action(
        &mut self,
        place: &str,
        object: &Map<String, Value>,
        key: &str,
        errno: Option<u16>,
    ) -> Option<Action> {
        let Some(value) = field(object, key) else {
            self.error(place, "is missing");
            return None;
        };
        let action = match self.string(place, value)? {
            "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
            "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
            "SCMP_ACT_TRAP" => Action::Trap,
            "SCMP_ACT_ERRNO" => Action::Errno(errno.unwrap_or(EPERM)),
            "SCMP_ACT_TRACE" => Action::Trace(errno.unwrap_or(EPERM)),
            "SCMP_ACT_ALLOW" => Action::Allow,
            "SCMP_ACT_LOG" => Action::Log,
            "SCMP_ACT_NOTIFY" => Action::Notify,
            other => {
                self.error(place, format_args!("{other:?} is not an action"));
                return None;
            }
        };
        if errno.is_some() && !matches!(action, Action::Errno(_) | Action::Trace(_)) {
            self.warn(place, "takes no errno; the one given is ignored, as runc does");
        }
        Some(action)
    }

    fn architectures(&mut self, place: &str, object: &Map<String, Value>) -> Vec<Arch> {
        let place = format!("{place}.architectures");
        let mut found = Vec::new();
        for (index, value) in self.list(&place, field(object, "architectures")).iter().enumerate() {
            let place = format!("{place}[{index}]");
            let Some(name) = self.string(&place, value) else { continue };
            match Arch::from_oci(name) {
                Some(arch) if !found.contains(&arch) => found.push(arch),
                Some(_) => {}
                None => self.error(&place, format_args!("{name:?} is not an architecture")),
            }
        }
        found
    }

    fn flags(&mut self, place: &str, object: &Map<String, Value>) -> FilterFlags {
        let place = format!("{place}.flags");
        let mut flags = FilterFlags::NONE;
        for (index, value) in self.list(&place, field(object, "flags")).iter().enumerate() {
            let place = format!("{place}[{index}]");
            let Some(name) = self.string(&place, value) else { continue };
            match FilterFlags::NAMES.iter().find(|(known, _)| *known == name) {
                Some((_, flag)) => flags = flags | *flag,
                None => self.error(&place, format_args!("{name:?} is not a flag")),
            }
        }
        flags
    }

    fn entries(&mut self, place: &str, value: Option<&Value>) -> Vec<Entry> {
        let list = self.list(place, value);
        if list.len() > MAX_ENTRIES {
            let problem = format!("there are {} entries, more than {MAX_ENTRIES}", list.len());
            self.error(&format!("{place}[{MAX_ENTRIES}]"), problem);
            return Vec::new();
        }
        let mut names = 0;
        let mut entries = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            let place = format!("{place}[{index}]");
            let entry = self.entry(&place, value);
            names += entry.as_ref().map_or(0, |entry| entry.syscalls.len());
            if names > 16 * MAX_NAMES {
                self.error(&format!("{place}.names"), "too many names in all");
                return Vec::new();
            }
            entries.extend(entry);
        }
        entries
    }

    pub(super) fn entry(&mut self, place: &str, value: &Value) -> Option<Entry> {
        let object = self.object(place, value)?;
        for key in ["includes", "excludes"] {
            if field(object, key).is_some_and(|v| v.as_object().is_none_or(|o| !o.is_empty())) {
                let message = "is of Docker's format and is ignored: the entry always applies";
                self.warn(&format!("{place}.{key}"), message);
            }
        }
        self.plain_entry(place, object)
    }

    /// An entry without Docker's additions.
    pub(super) fn plain_entry(
        &mut self,
        place: &str,
        object: &Map<String, Value>,
    ) -> Option<Entry> {
        let errno = self.errno(&format!("{place}.errnoRet"), field(object, "errnoRet"));
        let action = self.action(&format!("{place}.action"), object, "action", errno);
        let syscalls = self.names(place, object, action);
        let conditions = self.conditions(place, object);
        let entry = Entry { place: place.to_owned(), syscalls, action: action?, conditions };
        Some(entry)
    }

    fn names(
        &mut self,
        place: &str,
        object: &Map<String, Value>,
        action: Option<Action>,
    ) -> Vec<Syscall> {
        let place = format!("{place}.names");
        let list = self.list(&place, field(object, "names"));
        if list.is_empty() && !object.contains_key("inapplicable") {
            self.warn(&place, "names no system call, so the entry does nothing");
        }
        if list.len() > MAX_NAMES {
            let problem = format!("there are {} names, more than {MAX_NAMES}", list.len());
            self.error(&format!("{place}[{MAX_NAMES}]"), problem);
            return Vec::new();
        }
        let mut calls = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            let Some(name) = value.as_str() else {
                self.string(&format!("{place}[{index}]"), value);
                continue;
            };
            match Syscall::from_name(name) {
                Some(call) => calls.push(call),
                None => self.unknown_name(&format!("{place}[{index}]"), name, action),
            }
        }
        calls
    }

    /// A denial must not be skipped; a permission for what no kernel has changes nothing.
    fn unknown_name(&mut self, place: &str, name: &str, action: Option<Action>) {
        let well_formed = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !well_formed {
            return self.error(place, format_args!("{name:?} is not the name of a system call"));
        }
        let hint = Syscall::similar(name)
            .map(|call| format!("; did you mean \"{call}\"?"))
            .unwrap_or_default();
        if action.is_none_or(Action::permits) {
            let message = format!("no kernel has a system call \"{name}\"; ignored{hint}");
            self.warn(place, message);
        } else {
            let problem = format!(
                "no kernel that brig knows has a system call \"{name}\", so it cannot be denied{hint}"
            );
            self.error(place, problem);
        }
    }

    fn conditions(&mut self, place: &str, object: &Map<String, Value>) -> Vec<Condition> {
        let place = format!("{place}.args");
        let list = self.list(&place, field(object, "args"));
        if list.len() > MAX_CONDITIONS {
            let problem = format!("there are {}, more than {MAX_CONDITIONS}", list.len());
            self.error(&format!("{place}[{MAX_CONDITIONS}]"), problem);
            return Vec::new();
        }
        let mut conditions = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            conditions.extend(self.condition(&format!("{place}[{index}]"), value));
        }
        conditions
    }

    fn condition(&mut self, place: &str, value: &Value) -> Option<Condition> {
        let object = self.object(place, value)?;
        let index = match field(object, "index") {
            Some(index) => self.number(&format!("{place}.index"), index, 5),
            None => self.missing(&format!("{place}.index")),
        };
        let first = match field(object, "value") {
            Some(first) => self.number(&format!("{place}.value"), first, u64::MAX),
            None => self.missing(&format!("{place}.value")),
        };
        let second = match field(object, "valueTwo") {
            Some(second) => self.number(&format!("{place}.valueTwo"), second, u64::MAX),
            None => Some(0),
        };
        let operator = match field(object, "op") {
            // The values are in place even if they are wrong, so that a wrong operator is said too.
            Some(op) => {
                let (one, two) = (first.unwrap_or_default(), second.unwrap_or_default());
                self.operator(&format!("{place}.op"), op, one, two)
            }
            None => self.missing(&format!("{place}.op")),
        };
        first.and(second)?;
        Some(Condition { index: u8::try_from(index?).ok()?, operator: operator? })
    }

    fn missing<T>(&mut self, place: &str) -> Option<T> {
        self.error(place, "is missing");
        None
    }

    fn operator(&mut self, place: &str, value: &Value, one: u64, two: u64) -> Option<Operator> {
        Some(match self.string(place, value)? {
            "SCMP_CMP_EQ" => Operator::Equal(one),
            "SCMP_CMP_NE" => Operator::NotEqual(one),
            "SCMP_CMP_LT" => Operator::Less(one),
            "SCMP_CMP_LE" => Operator::LessOrEqual(one),
            "SCMP_CMP_GT" => Operator::Greater(one),
            "SCMP_CMP_GE" => Operator::GreaterOrEqual(one),
            "SCMP_CMP_MASKED_EQ" => Operator::MaskedEqual { mask: one, value: two },
            other => {
                self.error(place, format_args!("{other:?} is not an operator"));
                return None;
            }
        })
    }
}
