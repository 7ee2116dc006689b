// SPDX-License-Identifier: Apache-2.0
//! Reading, resolving and printing as a whole.

use std::collections::BTreeMap;

use super::*;
use crate::diagnostics::{Paint, human};

/// Files by name; what is relative to one is looked up as it is written.
#[derive(Default)]
struct Memory(BTreeMap<String, String>);

impl Loader for Memory {
    fn load(&mut self, _: &str, reference: &str) -> Result<Loaded, LoadError> {
        let name = reference.trim_start_matches("./").to_owned();
        match self.0.get(&name) {
            Some(text) => {
                Ok(Loaded { identity: name.clone(), name, bytes: text.clone().into_bytes() })
            }
            None => Err(LoadError::Unreadable { name, why: "no such file".into() }),
        }
    }
}

fn file(name: &str, text: &str) -> Loaded {
    Loaded { identity: name.into(), name: name.into(), bytes: text.as_bytes().to_vec() }
}

fn read_with(text: &str, others: &[(&str, &str)], set: &[(&str, &str)]) -> Reading {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    let mut loader = Memory(others.iter().map(owned).collect());
    read(file("web.toml", text), &mut loader, &set.iter().map(owned).collect())
}

fn policy(text: &str) -> Policy {
    let reading = read_with(text, &[], &[]);
    let shown = human(&reading.report, &reading.sources, Paint::Plain);
    reading.resolved.unwrap_or_else(|| panic!("{shown}")).policy
}

const EXAMPLE: &str = r#"
name        = "web-app"
description = "An HTTP service"

[vars]
data = "/srv/data"

[files]
read    = ["/"]
write   = ["${data}", "/tmp"]
execute = ["/usr", "/bin", "/lib", "/opt/app"]
deny    = [
  "/etc/shadow",
  { path = "${data}/**/*.key", except = ["${data}/public/**"], reason = "private keys" },
]
mask    = ["/proc/kcore", "/root"]

[network]
connect = ["tcp 10.0.0.0/8:5432", "tcp [2001:db8::/32]:443", "udp 10.0.0.2:53", "unix /run/postgresql/*"]
bind    = ["tcp *:8080", "unix /run/app/*.sock", "unix @app-*"]
deny    = ["tcp @metadata"]

[syscalls]
deny    = ["@mount", "@keyring", "io_uring_setup", { name = "ioctl", arg = 1, equals = "TIOCSTI" }]
kill    = ["kexec_load"]

[process]
no_new_privileges = true
user_namespaces   = false
capabilities      = ["net_bind_service"]
max_processes     = 256
max_memory        = "512M"
core_dumps        = false

[audit]
mode = "enforce"
log  = "denied"

[[test]]
connect = "tcp 169.254.169.254:80"
expect  = "deny"
"#;

#[test]
fn the_example_of_the_design_is_a_profile() {
    let policy = policy(EXAMPLE);
    assert_eq!(policy.files.write.unwrap().len(), 2);
    assert_eq!(policy.process.max_memory.unwrap().value, 512 << 20);
    assert_eq!(policy.syscalls.deny.len(), 4);
    let deny = policy.files.deny.iter().find(|rule| !rule.except.is_empty()).unwrap();
    assert_eq!(deny.pattern.text(), "/srv/data/**/*.key");
    assert_eq!(deny.origin.to_string(), "web.toml:14");
}

#[test]
fn the_printed_example_reads_like_the_example() {
    let reading = read_with(EXAMPLE, &[], &[]);
    let resolved = reading.resolved.unwrap();
    insta::assert_snapshot!(print(&resolved.policy, &resolved.tests));
}
