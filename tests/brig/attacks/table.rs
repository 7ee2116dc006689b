// SPDX-License-Identifier: Apache-2.0
//! `attacks.toml`, and the profiles that it names.

/// Forbids what the attacks want, and nothing that they need.
const ATTACKED: &str = r#"
name = "attacked"
[files]
deny = ["/work/**/*.denied"]
[network]
connect = [
  "tcp 127.0.0.1:1-7776", "tcp 127.0.0.1:7778-65535", "tcp [::1]:1-7776", "tcp [::1]:7778-65535",
  "udp 127.0.0.1", "udp [::1]", "udp 127.0.0.3", "unix /work/open/*",
]
bind    = ["tcp 127.0.0.0/8", "udp 127.0.0.0/8", "tcp [::1]", "udp [::1]", "unix *"]
[process]
user_namespaces = true
"#;

/// Directories that take everything and in which nothing may be read.
const BOXES: &str = r#"
name = "boxes"
[files]
read  = [{ path = "/", except = ["/work/*.box"] }]
write = [
  { path = "/work", except = ["/work/*.box"] },
  { path = "/work/*.box", access = ["create", "delete"] },
]
"#;

/// Nothing may be changed, and the kernel knows it.
const READ_ONLY: &str = r#"
name = "read-only"
[files]
read  = ["/"]
write = []
"#;

/// Beside what may be changed, which the supervisor tells apart.
const READ_ONLY_BESIDE: &str = r#"
name = "read-only-beside"
[files]
read  = ["/"]
write = ["/work/*.written"]
"#;

/// With no rule about files nothing keeps a workload from mounting.
const SOCKETS: &str = r#"
name = "sockets"
[network]
connect = ["unix /work/open/*"]
[process]
user_namespaces = true
"#;

/// No kind of socket is denied, but an address.
const ALL_BUT_ONE: &str = r#"
name = "all-but-one"
[network]
deny = ["ip 127.0.0.2"]
"#;

/// What wins where.
pub struct Attack {
    /// Its name.
    pub id: String,
    /// Whom it wins against.
    pub beats: Beats,
    /// By how many ways at least, there.
    pub ways: usize,
    /// What it must not win against.
    pub profile: &'static str,
    /// Where what is attacked lies.
    pub place: Place,
    /// Whose pid namespace it is in.
    pub processes: Processes,
}

/// Where what is attacked lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the root filesystem.
    Rootfs,
    /// In a tmpfs.
    Memory,
}

/// Whose pid namespace it is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Processes {
    /// One of its own.
    Own,
    /// The supervisor's, where nobody may signal one that blocks all signals.
    Hosts,
}

/// Whom an attack wins against.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Beats {
    /// A supervisor that checks a call and lets it go on.
    Naive,
    /// The same, when it acts for the caller.
    Emulating,
    /// Nobody: nothing is restricted.
    Bare,
}

/// Some of all kinds, that are tried in a user namespace too, a twentieth as often.
const MAPPED: [&str; 20] = [
    "NT-01-thread",
    "NT-18-directory-for-link",
    "NT-18-create",
    "NT-18-rename",
    "NT-18-chmod",
    "NT-18-cut",
    "NT-08-directory-number",
    "NT-08-working-directory",
    "NT-02-connect",
    "NT-02-connect-unix",
    "NT-02-sendmsg-pointer",
    "NT-18-connect-link",
    "NT-10",
    "NT-19-number",
    "NT-08-tree",
    "LL-01",
    "LL-02",
    "LL-14",
    "LL-16",
    "NT-30",
];

/// The attacks.
pub fn table() -> Vec<Attack> {
    let text = include_str!("../attacks.toml");
    let entries = text.split("[[attack]]").skip(1);
    let given = |entry: &str, name: &str| {
        let line = entry.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('='));
        line.map(|value| value.trim().trim_matches('"').to_owned())
    };
    let field = |entry: &str, name: &str| {
        given(entry, name).unwrap_or_else(|| panic!("no {name} in {entry}"))
    };
    let attack = |entry: &str| Attack {
        id: field(entry, "id"),
        beats: match field(entry, "beats").as_str() {
            "naive" => Beats::Naive,
            "emulating" => Beats::Emulating,
            "bare" => Beats::Bare,
            other => panic!("nothing is called {other}"),
        },
        ways: field(entry, "ways").parse().unwrap(),
        profile: match given(entry, "profile").as_deref() {
            None => ATTACKED,
            Some("all-but-one") => ALL_BUT_ONE,
            Some("boxes") => BOXES,
            Some("read-only") => READ_ONLY,
            Some("read-only-beside") => READ_ONLY_BESIDE,
            Some("sockets") => SOCKETS,
            Some(other) => panic!("no profile is called {other}"),
        },
        place: match given(entry, "place").as_deref() {
            None => Place::Rootfs,
            Some("memory") => Place::Memory,
            Some(other) => panic!("no place is called {other}"),
        },
        processes: match given(entry, "processes").as_deref() {
            None => Processes::Own,
            Some("hosts") => Processes::Hosts,
            Some(other) => panic!("no processes are called {other}"),
        },
    };
    entries.map(attack).collect()
}

impl Attack {
    fn is_about(&self, subjects: &[&str]) -> bool {
        subjects.iter().any(|subject| self.id.starts_with(subject))
    }

    /// Whether it is one.
    pub fn is_race(&self) -> bool {
        self.beats != Beats::Bare
    }

    /// Whether it is about addresses.
    pub fn is_about_sockets(&self) -> bool {
        self.is_about(&["NT-02", "NT-18-connect"])
    }

    /// Whether it is tried in a user namespace too.
    pub fn is_tried_mapped(&self) -> bool {
        MAPPED.contains(&self.id.as_str())
    }

    /// Whether it is about who calls.
    pub fn is_about_callers(&self) -> bool {
        self.is_about(&["NT-05", "NT-10", "NT-19", "NT-33"])
    }
}
