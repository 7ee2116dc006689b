// SPDX-License-Identifier: Apache-2.0
//! What a policy says, what was made of it, and what the kernel does: the three agree.
//!
//! The corpus's operations are decided by the evaluator, run through the seccomp program where they
//! are system calls, and done in a container by a small program. So are generated operations under
//! generated policies in generated trees.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brig_policy::decide::{Decider, Operation, Verdict};
use brig_policy::path::AbsPath;
use brig_policy::plan::files::{self, Bound, Found, Kind, Tree, TreeError};
use brig_policy::policy::{Access, Policy};
use brig_policy::profile::{self, LoadError, Loaded, Loader};
use brig_policy::seccomp::{self, Action, Arch, Input, SeccompData, Syscall};
use serde_json::json;

use crate::harness::{Bundle, Runner, Test, victims};
use crate::rootless;
use crate::test;

#[path = "../../policy/tests/support/tree.rs"]
#[allow(dead_code)]
mod model;

/// What lies below /t.
const TREE: &[&str] = &[
    "a/one",
    "a/two",
    "a/sub/three",
    "b/one",
    "b/two",
    "bin/run",
    "bin/other",
    "data/x",
    "data/key.pem",
    "data/deep/er/y",
    "secret/file",
    "empty/",
];

/// Parents are built-in profiles only.
struct BuiltIn;

impl Loader for BuiltIn {
    fn load(&mut self, _: &str, name: &str) -> Result<Loaded, LoadError> {
        Err(LoadError::Unreadable { name: name.to_owned(), why: "no such file".to_owned() })
    }
}

fn policy(text: &str) -> Policy {
    let root = Loaded {
        identity: "test".to_owned(),
        name: "test.toml".to_owned(),
        bytes: text.as_bytes().to_vec(),
    };
    profile::read(root, &mut BuiltIn, &BTreeMap::new()).resolved.expect(text).policy
}

fn plant(bundle: &Bundle, directory: &str, tree: &[&str]) {
    for path in tree {
        let path = bundle.file(&format!("{directory}/{path}"));
        if path.to_string_lossy().ends_with('/') {
            fs::create_dir_all(&path).unwrap();
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // a copy each: Landlock's rules are about files, whatever their names
        fs::copy(victims::nothing(), &path).unwrap();
    }
    fs::copy(victims::operate(), bundle.file("/operate")).unwrap();
}

/// The corpus's cases: name, profile, decisions.
fn corpus() -> Vec<(String, String, Vec<String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policy/tests/corpus/live.toml");
    let text = fs::read_to_string(path).unwrap();
    let mut cases = Vec::new();
    for case in text.split("[[case]]").skip(1) {
        let between = |begin: &str, end: &str| {
            let from = case.find(begin).unwrap() + begin.len();
            case[from..from + case[from..].find(end).unwrap()].to_owned()
        };
        let decisions = between("decisions = '''\n", "'''");
        cases.push((
            between("name = \"", "\""),
            between("profile = '''\n", "'''"),
            decisions.lines().map(str::to_owned).collect(),
        ));
    }
    cases
}

/// An operation as `operate.c` reads it.
fn instruction(operation: &str) -> String {
    let words: Vec<&str> = operation.split(' ').collect();
    match words[0] {
        "connect" | "bind" => {
            let (host, port) = words[2].rsplit_once(':').unwrap();
            let family = if host.starts_with('[') { "tcp6" } else { "tcp4" };
            format!("{} {family} {port}", words[0])
        }
        "syscall" => {
            let number = number(words[1]).to_string();
            let rest: Vec<&str> =
                std::iter::once(&*number).chain(words[2..].iter().copied()).collect();
            format!("syscall {}", rest.join(" "))
        }
        _ => operation.to_owned(),
    }
}

fn number(call: &str) -> u32 {
    Syscall::from_name(call).unwrap().number(Arch::of_build().unwrap()).unwrap()
}

/// Whether an answer is one of a policy's denials.
fn denies(answer: &str) -> bool {
    const EPERM: &str = "1";
    const EACCES: &str = "13";
    const EROFS: &str = "30";
    const ENOSYS: &str = "38";
    [EPERM, EACCES, EROFS, ENOSYS].contains(&answer)
}

/// Who runs brig, on what.
enum Way {
    Root,
    RootlessUserNamespace,
    ReadOnlyRoot,
}

/// The answers to these operations under a profile.
fn done(t: &mut Test, way: &Way, profile: &str, operations: &[String]) -> Vec<String> {
    let file = t.path("test.toml");
    fs::write(&file, format!("name = \"test\"\n{profile}")).unwrap();
    let input = t.path("operations");
    let text: String = operations.iter().map(|one| instruction(one) + "\n").collect();
    fs::write(&input, text).unwrap();
    t.bundle.args(["/operate"]);
    t.bundle.config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    t.bundle.config["root"]["readonly"] = json!(matches!(way, Way::ReadOnlyRoot));
    t.bundle.write();
    let brig: Runner = match way {
        Way::Root | Way::ReadOnlyRoot => t.brig(),
        Way::RootlessUserNamespace => rootless::brig(t),
    };
    let run = brig.arg("--profile").arg(&file).args(["run", "--bundle"]).arg(&t.bundle.dir);
    let outcome = run.arg(t.id("c")).stdin(fs::File::open(&input).unwrap()).run().ok();
    let answers: Vec<String> = outcome.stdout.lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), operations.len(), "{profile}\n{outcome:?}");
    answers
}

/// What the program that is made from the policy's `[syscalls]` answers to a call.
fn by_program(policy: &Policy, words: &[&str]) -> Action {
    let native = Arch::of_build().unwrap();
    let restrictions = seccomp::restrictions(policy);
    let input = Input { spec: None, restrictions: &restrictions, mediated: &[], native };
    let program = seccomp::compile(&input).unwrap().program;
    let mut args = [0; 6];
    for (arg, word) in args.iter_mut().zip(&words[1..]) {
        *arg = match word.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
            None => word.parse().unwrap(),
        };
    }
    let data =
        SeccompData { nr: number(words[0]), arch: native.token(), instruction_pointer: 0, args };
    seccomp::run(&program, &data, native).unwrap().action
}

fn check_corpus(t: &mut Test, way: &Way) -> usize {
    let mut count = 0;
    for (name, profile, decisions) in corpus() {
        let text = format!("name = \"test\"\n{profile}");
        let policy = Arc::new(policy(&text));
        let decider = Decider::new(Arc::clone(&policy));
        let split =
            |line: &String| line.split_once(" -> ").map(|(a, b)| (a.to_owned(), b.to_owned()));
        let (operations, expected): (Vec<String>, Vec<String>) =
            decisions.iter().filter_map(split).unzip();
        let answers = done(t, way, &profile, &operations);
        for ((operation, expected), answer) in operations.iter().zip(&expected).zip(&answers) {
            let parsed = Operation::parse(operation).unwrap();
            let allowed = decider.decide(&parsed).allows();
            assert_eq!(allowed, expected == "allow", "{name}: {operation}");
            if let Operation::Syscall(_) = parsed {
                check_call(&policy, operation, answer, &name);
            } else if !allowed {
                // what could not be made is not there
                let absent = matches!(way, Way::ReadOnlyRoot) && answer == "2";
                assert!(
                    absent || denies(answer),
                    "{name}: {operation} is denied; the kernel: {answer}"
                );
            } else if !way.forbids(operation) {
                assert!(!denies(answer), "{name}: {operation} is allowed; the kernel: {answer}");
            }
            count += 1;
        }
    }
    count
}

impl Way {
    /// What the specification alone forbids.
    fn forbids(&self, operation: &str) -> bool {
        let changes = ["modify", "create", "delete"].iter().any(|one| operation.starts_with(one));
        // /dev/null is the host's there, and its mode is not the user's to change
        let device = operation.ends_with("/dev/null");
        match self {
            Self::Root => false,
            Self::RootlessUserNamespace => device,
            Self::ReadOnlyRoot => changes,
        }
    }
}

/// The evaluator's errno is the program's and the kernel's.
fn check_call(policy: &Arc<Policy>, operation: &str, answer: &str, name: &str) {
    let words: Vec<&str> = operation.split(' ').skip(1).collect();
    let decision = Decider::new(Arc::clone(policy)).decide(&Operation::parse(operation).unwrap());
    let action = by_program(policy, &words);
    match decision.verdict {
        Verdict::Allow => {
            assert_eq!(action, Action::Allow, "{name}: {operation}");
            assert!(!denies(answer), "{name}: {operation}: the kernel: {answer}");
        }
        Verdict::Deny { errno } => {
            let number = u16::try_from(errno.0).unwrap();
            assert_eq!(action, Action::Errno(number), "{name}: {operation}");
            assert_eq!(answer, errno.0.to_string(), "{name}: {operation}");
        }
        Verdict::Kill => panic!("{name}: {operation} kills"),
    }
}

#[test]
fn evaluator_program_and_kernel_agree_for_root() {
    let mut t = test!();
    plant(&t.bundle, "/t", TREE);
    let count = check_corpus(&mut t, &Way::Root);
    assert!(count >= 200, "only {count} operations");
}

#[test]
fn evaluator_program_and_kernel_agree_on_a_read_only_root() {
    let mut t = test!();
    plant(&t.bundle, "/t", TREE);
    check_corpus(&mut t, &Way::ReadOnlyRoot);
}

#[test]
fn evaluator_program_and_kernel_agree_in_a_rootless_user_namespace() {
    let mut t = test!();
    rootless::rootless(&mut t);
    plant(&t.bundle, "/t", TREE);
    rootless::give_rootfs(&t);
    check_corpus(&mut t, &Way::RootlessUserNamespace);
}

/// The files below a directory of the host that has no symbolic links.
struct Host(PathBuf);

impl Host {
    fn at(&self, path: &AbsPath) -> PathBuf {
        self.0.join(path.to_string().trim_start_matches('/'))
    }
}

impl Tree for Host {
    fn resolve(&mut self, path: &AbsPath) -> Result<Found, TreeError> {
        Ok(Found { path: path.clone(), kind: self.kind(path)? })
    }

    fn kind(&mut self, path: &AbsPath) -> Result<Option<Kind>, TreeError> {
        let kind = |it: fs::Metadata| if it.is_dir() { Kind::Directory } else { Kind::File };
        Ok(fs::symlink_metadata(self.at(path)).ok().map(kind))
    }

    fn list(&mut self, path: &AbsPath, _: usize) -> Result<Vec<(Vec<u8>, Kind)>, TreeError> {
        let entries = fs::read_dir(self.at(path)).unwrap().map(Result::unwrap);
        let kind = |directory: bool| if directory { Kind::Directory } else { Kind::File };
        let entry = |one: fs::DirEntry| {
            (one.file_name().into_encoded_bytes(), kind(one.file_type().unwrap().is_dir()))
        };
        Ok(entries.map(entry).collect())
    }
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

/// A profile about /g whose files need no supervisor.
fn generated(numbers: &mut Numbers) -> String {
    const PATHS: &[&str] = &[
        "/g",
        "/g/a",
        "/g/a/b",
        "/g/a/b/c",
        "/g/d",
        "/g/d/e",
        "/g/d/f",
        "/g/later",
        "/g/{a/x,d/e}",
    ];
    let mut text = "[files]\n".to_owned();
    for (list, chance) in [("read", 2), ("write", 2), ("execute", 2), ("deny", 2)] {
        if numbers.below(chance) == 0 {
            continue;
        }
        let count = 1 + numbers.below(2);
        let mut rules: Vec<String> = (0..count)
            .map(|_| {
                let path = numbers.of(PATHS);
                let except = numbers.of(&["/g/a/b", "/g/d/e", "", "", ""]);
                if except.is_empty() || except == path {
                    format!("\"{path}\"")
                } else {
                    format!("{{ path = \"{path}\", except = [\"{except}\"] }}")
                }
            })
            .collect();
        if list != "deny" && list != "write" {
            rules.push("\"/operate\"".to_owned());
        }
        rules.sort();
        rules.dedup();
        text.push_str(&format!("{list} = [{}]\n", rules.join(", ")));
    }
    text
}

#[test]
fn generated_policies_trees_and_operations_agree() {
    const TREES: [&[&str]; 3] = [
        &["a/b/c", "a/b/x", "a/x", "d/e", "d/f", "d/g/h", "k"],
        &["a/b/c/m", "a/x/y", "d/e/i/j", "d/f/", "k"],
        &["a/b/c/", "d/e", "d/f/x", "later/x", "k"],
    ];
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut count, mut allowed, mut denied) = (0, 0, 0);
    let mut t = test!();
    for round in 0..24 {
        let tree = TREES[round % 3];
        fs::remove_dir_all(t.bundle.file("/g")).unwrap_or_default();
        plant(&t.bundle, "/g", tree);
        let profile = generated(&mut numbers);
        let policy = Arc::new(policy(&format!("name = \"test\"\n{profile}")));
        let mut host = Host(t.bundle.rootfs());
        let settled = files::settle(&policy, &mut host, Bound::default()).unwrap();
        let decider = Decider::new(policy);
        let operations = operations(&t.bundle, &mut numbers);
        let answers = done(&mut t, &Way::Root, &profile, &operations);
        for (operation, answer) in operations.iter().zip(answers) {
            let (verb, path) = operation.split_once(' ').unwrap();
            let path = AbsPath::new(path.as_bytes()).unwrap();
            let access = Access::from_name(verb).unwrap();
            let policy_allows = decider.decide(&Operation::access(access, path.clone())).allows();
            let kind = host.kind(&path).unwrap().unwrap_or(Kind::File);
            let expected =
                policy_allows && model::kernel_allows(&settled, &path, kind).contains(access);
            assert_eq!(!denies(&answer), expected, "{profile}{operation}: the kernel: {answer}");
            count += 1;
            if expected { allowed += 1 } else { denied += 1 }
        }
    }
    println!("{count} operations, {allowed} allowed, {denied} denied");
    assert!(count >= 400 && allowed >= 100 && denied >= 100, "{count} {allowed} {denied}");
}

/// Operations on what is there that leave it as it is, and then some that make names.
fn operations(bundle: &Bundle, numbers: &mut Numbers) -> Vec<String> {
    let mut all = Vec::new();
    let mut waiting = vec![bundle.file("/g")];
    let mut directories = Vec::new();
    while let Some(path) = waiting.pop() {
        let inside = format!("/{}", path.strip_prefix(bundle.rootfs()).unwrap().display());
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|one| one.unwrap().path()));
            all.push(format!("list {inside}"));
            directories.push(inside);
        } else {
            for verb in ["read", "execute", "modify"] {
                all.push(format!("{verb} {inside}"));
            }
        }
    }
    for directory in directories {
        all.push(format!("create {directory}/new{}", numbers.below(1000)));
    }
    all
}
