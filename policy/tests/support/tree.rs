// SPDX-License-Identifier: Apache-2.0
//! Trees of files in memory, and what a Landlock domain and mounts would allow in them.

use std::collections::BTreeMap;

use brig_policy::path::AbsPath;
use brig_policy::plan::files::{Found, Kind, Programs, Settled, Tree, TreeError, Writing};
use brig_policy::policy::{Access, AccessSet};

/// A tree: `/a/b` a file, `/a/` a directory, `/a -> /b` a symbolic link. What lies above is there.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    nodes: BTreeMap<Vec<u8>, Node>,
    /// From what lies there nothing is executed.
    no_programs: Option<AbsPath>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File,
    Link(String),
}

impl Memory {
    pub fn new(lines: &str) -> Self {
        let mut tree = Self::default();
        tree.nodes.insert(b"/".to_vec(), Node::Directory);
        for line in
            lines.split_whitespace().collect::<Vec<_>>().join(" ").replace(" -> ", ">").split(' ')
        {
            if line.is_empty() {
                continue;
            }
            let (path, node) = match line.split_once('>') {
                Some((path, target)) => (path, Node::Link(target.to_owned())),
                None => match line.strip_suffix('/') {
                    Some(path) => (path, Node::Directory),
                    None => (line, Node::File),
                },
            };
            tree.insert(path, node);
        }
        tree
    }

    fn insert(&mut self, path: &str, node: Node) {
        for (at, _) in path.match_indices('/').skip(1) {
            self.nodes.entry(path[..at].into()).or_insert(Node::Directory);
        }
        if !path.is_empty() {
            self.nodes.insert(path.into(), node);
        }
    }

    /// From what lies at and beneath a path nothing can be executed.
    pub fn runs_nothing_beneath(&mut self, path: &str) {
        self.no_programs = Some(AbsPath::new(path.as_bytes()).unwrap());
    }

    /// Every path in it, with its kind.
    pub fn paths(&self) -> Vec<(AbsPath, Kind)> {
        self.nodes.iter().map(|(path, node)| (AbsPath::new(path).unwrap(), kind(node))).collect()
    }

    fn child(directory: &[u8], name: &[u8]) -> Vec<u8> {
        let mut path = directory.to_vec();
        if path != b"/" {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }
}

fn kind(node: &Node) -> Kind {
    match node {
        Node::Directory => Kind::Directory,
        Node::File => Kind::File,
        Node::Link(_) => Kind::Link,
    }
}

impl Tree for Memory {
    fn resolve(&mut self, path: &AbsPath) -> Result<Found, TreeError> {
        let fail = |why: &str| TreeError { path: path.clone(), why: why.to_owned() };
        let mut waiting: Vec<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
        waiting.reverse();
        let mut here = b"/".to_vec();
        let mut links = 0;
        while let Some(name) = waiting.pop() {
            let next = Self::child(&here, &name);
            match self.nodes.get(&next) {
                None => {
                    here = waiting.iter().rev().fold(next, |path, name| Self::child(&path, name));
                    let path = AbsPath::new(&here).unwrap();
                    return Ok(Found { path, kind: None });
                }
                Some(Node::Directory) => here = next,
                Some(Node::File) if waiting.is_empty() => here = next,
                Some(Node::File) => return Err(fail("not a directory")),
                Some(Node::Link(target)) => {
                    links += 1;
                    if links > 40 {
                        return Err(fail("too many levels of symbolic links"));
                    }
                    here = b"/".to_vec();
                    waiting.extend(
                        AbsPath::new(target.as_bytes())
                            .unwrap()
                            .components()
                            .map(<[u8]>::to_vec)
                            .collect::<Vec<_>>()
                            .into_iter()
                            .rev(),
                    );
                }
            }
        }
        let kind = self.nodes.get(&here).map(kind);
        Ok(Found { path: AbsPath::new(&here).unwrap(), kind })
    }

    fn kind(&mut self, path: &AbsPath) -> Result<Option<Kind>, TreeError> {
        Ok(self.nodes.get(path.as_bytes()).map(kind))
    }

    fn list(&mut self, path: &AbsPath, most: usize) -> Result<Vec<(Vec<u8>, Kind)>, TreeError> {
        let start = Self::child(path.as_bytes(), b"");
        let inside = self.nodes.iter().filter_map(|(other, node)| {
            let name = other.strip_prefix(&start[..])?;
            (!name.is_empty() && !name.contains(&b'/')).then(|| (name.to_vec(), kind(node)))
        });
        let entries: Vec<_> = inside.collect();
        if entries.len() > most {
            return Err(TreeError { path: path.clone(), why: "too many entries".to_owned() });
        }
        Ok(entries)
    }

    fn programs(&mut self, path: &AbsPath, most: usize) -> Result<Programs, TreeError> {
        if self.no_programs.as_ref().is_some_and(|one| beneath(path, one)) {
            return Ok(Programs::default());
        }
        self.list(path, most).map(Programs::of)
    }
}

/// Whether one path is the other or lies beneath it.
pub fn beneath(path: &AbsPath, directory: &AbsPath) -> bool {
    let mut names = path.components();
    directory.components().all(|name| names.next() == Some(name))
}

/// What the kernel allows at a path: the domain by its rules there and above, making and removing
/// by those of the directories above alone; and the mounts.
pub fn kernel_allows(settled: &Settled, path: &AbsPath, kind: Kind) -> AccessSet {
    let free = AccessSet::ALL.difference(settled.placed.restricted);
    let names = AccessSet::of(&[Access::Create, Access::Delete, Access::Device]);
    let mut allowed = free;
    for grant in settled.placed.grants.iter().chain(&settled.placed.programs) {
        if beneath(path, &grant.path) {
            let access =
                if grant.path == *path { grant.access.difference(names) } else { grant.access };
            let access = if grant.directory { access } else { access.difference(names) };
            allowed = allowed.union(access);
        }
    }
    // execve(2) opens what it executes for reading
    if !allowed.contains(Access::Read) {
        allowed = allowed.difference(AccessSet::GOVERNED_BY_EXECUTE);
    }
    let of_kind = match kind {
        Kind::Directory => AccessSet::of(&[Access::Read, Access::Execute, Access::Ioctl]),
        Kind::File | Kind::Link => AccessSet::of(&[Access::List]),
    };
    let changes = AccessSet::of(&[Access::Modify]).union(names);
    let taken = if read_only(settled, path) { changes } else { AccessSet::EMPTY };
    allowed.difference(of_kind).difference(taken)
}

/// Whether a path lies on a read-only mount.
pub fn read_only(settled: &Settled, path: &AbsPath) -> bool {
    let mut mounts = settled.mounts.remounts.iter().filter(|mount| beneath(path, &mount.path));
    mounts.next_back().is_some_and(|mount| mount.writing == Writing::ReadOnly)
}
