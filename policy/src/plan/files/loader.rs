// SPDX-License-Identifier: Apache-2.0
//! The dynamic loader: needed to run a program, and a program that runs others.
//!
//! A dynamically linked program names its loader (`PT_INTERP`), which the kernel opens as it opens
//! a program: who may execute the one must be allowed to execute the other. But a loader that is
//! executed by itself maps and runs whatever file it is given, which no right to execute covers.
//! So where `execute` is restricted, a copy of the loader stands in its place that can only
//! interpret: it has a `PT_INTERP` of its own, which the kernel ignores in a loader, and which, of
//! a program, names something that cannot be executed.
//!
//! elf(5); `load_elf_binary` and `load_elf_interp` of fs/binfmt_elf.c.

use crate::path::AbsPath;

use super::tree::{Kind, Tree, TreeError};

/// Why a file is no loader that can be kept from running programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// It is no ELF file of this form.
    #[error("it is not an ELF file")]
    NotElf,
    /// A table points outside the file.
    #[error("its program headers lie outside the file")]
    Truncated,
    /// Every program header is needed.
    #[error("it has no program header to spare")]
    NoRoom,
}

const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
const PT_GNU_STACK: u32 = 0x6474_e551;

/// What the copy names as its interpreter: nothing that could be one.
const NO_PROGRAM: &[u8] = b"/\0";

/// Where the fields of an ELF file are, and how they are written.
#[derive(Clone, Copy)]
struct Layout {
    wide: bool,
    big: bool,
    table: usize,
    entry: usize,
    count: usize,
}

impl Layout {
    fn of(file: &[u8]) -> Result<Self, ElfError> {
        let wide = match file.get(..5) {
            Some([0x7f, b'E', b'L', b'F', 1]) => false,
            Some([0x7f, b'E', b'L', b'F', 2]) => true,
            _ => return Err(ElfError::NotElf),
        };
        let big = file.get(5) == Some(&2);
        let mut layout = Self { wide, big, table: 0, entry: 0, count: 0 };
        let half = |at| layout.number(file, at, 2).ok_or(ElfError::Truncated);
        let (phoff, entry, count) = if wide { (32, 54, 56) } else { (28, 42, 44) };
        let (entry, count) = (half(entry)?, half(count)?);
        layout.table = layout.word(file, phoff).ok_or(ElfError::Truncated)?;
        (layout.entry, layout.count) = (entry, count);
        if entry < if wide { 56 } else { 32 } {
            return Err(ElfError::NotElf);
        }
        Ok(layout)
    }

    /// A number of `size` bytes.
    fn number(self, file: &[u8], at: usize, size: usize) -> Option<usize> {
        let bytes = file.get(at..at.checked_add(size)?)?;
        let join = |all: u64, byte: &u8| all << 8 | u64::from(*byte);
        let number =
            if self.big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) };
        usize::try_from(number).ok()
    }

    /// A number of the file's own width.
    fn word(self, file: &[u8], at: usize) -> Option<usize> {
        self.number(file, at, if self.wide { 8 } else { 4 })
    }

    fn put(self, file: &mut [u8], at: usize, size: usize, value: u64) -> Option<()> {
        let bytes = value.to_le_bytes();
        let target = file.get_mut(at..at.checked_add(size)?)?;
        for (index, byte) in target.iter_mut().enumerate() {
            let from = if self.big { size - 1 - index } else { index };
            *byte = *bytes.get(from)?;
        }
        Some(())
    }

    /// Where each program header begins.
    fn headers(self) -> impl Iterator<Item = Option<usize>> {
        (0..self.count).map(move |index| self.table.checked_add(index.checked_mul(self.entry)?))
    }

    /// Where the fields `p_offset` and `p_filesz` are in a program header.
    fn fields(self) -> (usize, usize) {
        if self.wide { (8, 32) } else { (4, 16) }
    }

    fn kind(self, file: &[u8], header: usize) -> Option<u32> {
        self.number(file, header, 4).and_then(|kind| u32::try_from(kind).ok())
    }
}

/// The loader that an ELF file names; `None`: it names none, or is no ELF file.
///
/// `file` is its beginning; a name that lies beyond is not found.
#[must_use]
pub fn interpreter(file: &[u8]) -> Option<AbsPath> {
    let layout = Layout::of(file).ok()?;
    let (offset, size) = layout.fields();
    for header in layout.headers() {
        let header = header?;
        if layout.kind(file, header)? == PT_INTERP {
            let from = layout.word(file, header + offset)?;
            let length = layout.word(file, header + size)?;
            let name = file.get(from..from.checked_add(length)?)?;
            return AbsPath::new(name.strip_suffix(b"\0")?).ok();
        }
    }
    None
}

/// The interpreter that a script names in its first line: execve(2); `None`: it is no script.
#[must_use]
pub fn script_interpreter(file: &[u8]) -> Option<AbsPath> {
    let line = file.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let name = line.split(blank).find(|part| !part.is_empty())?;
    AbsPath::new(name).ok()
}

/// The loader, so that it can interpret and not run programs by itself.
///
/// # Errors
/// It is no ELF file, or has no program header that can be done without.
pub fn for_interpreting_only(mut file: Vec<u8>) -> Result<Vec<u8>, ElfError> {
    let layout = Layout::of(&file)?;
    let spare = |wanted: u32| {
        layout.headers().flatten().find(|header| layout.kind(&file, *header) == Some(wanted))
    };
    let header = spare(PT_NOTE).or_else(|| spare(PT_GNU_STACK)).ok_or(ElfError::NoRoom)?;
    let name = u64::try_from(file.len()).map_err(|_| ElfError::Truncated)?;
    let size = u64::try_from(NO_PROGRAM.len()).map_err(|_| ElfError::Truncated)?;
    let (offset, filesz) = layout.fields();
    let width = if layout.wide { 8 } else { 4 };
    let mut put =
        |at, size, value| layout.put(&mut file, at, size, value).ok_or(ElfError::Truncated);
    put(header, 4, PT_INTERP.into())?;
    put(header + offset, width, name)?;
    put(header + filesz, width, size)?;
    file.extend_from_slice(NO_PROGRAM);
    Ok(file)
}

/// The directories in which distributions keep loaders; those of an architecture lie one deeper.
const DIRECTORIES: [&[u8]; 8] = [
    b"/lib",
    b"/lib32",
    b"/lib64",
    b"/libx32",
    b"/usr/lib",
    b"/usr/lib32",
    b"/usr/lib64",
    b"/usr/libx32",
];

/// The most entries of a directory that are looked at.
const MOST_ENTRIES: usize = 100_000;

/// The loaders of a tree, where distributions keep them: paths without symbolic links.
///
/// # Errors
/// The tree's.
pub fn candidates(tree: &mut dyn Tree) -> Result<Vec<AbsPath>, TreeError> {
    let mut found = Vec::new();
    for directory in DIRECTORIES {
        let Ok(directory) = AbsPath::new(directory) else { continue };
        let here = tree.resolve(&directory)?;
        if here.kind != Some(Kind::Directory) {
            continue;
        }
        for (name, kind) in tree.list(&here.path, MOST_ENTRIES)? {
            let Some(path) = super::place::join(&here.path, &name) else { continue };
            if kind == Kind::Directory && is_triplet(&name) {
                for (name, kind) in tree.list(&path, MOST_ENTRIES)? {
                    found.extend(
                        super::place::join(&path, &name).filter(|_| is_loader(&name, kind)),
                    );
                }
            } else {
                found.extend(Some(path).filter(|_| is_loader(&name, kind)));
            }
        }
    }
    let mut real = Vec::new();
    for path in found {
        let there = tree.resolve(&path)?;
        real.extend(Some(there.path).filter(|_| there.kind == Some(Kind::File)));
    }
    real.sort();
    real.dedup();
    Ok(real)
}

/// `x86_64-linux-gnu` and the like.
fn is_triplet(name: &[u8]) -> bool {
    name.windows(7).any(|part| part == b"-linux-")
}

/// `ld-linux-x86-64.so.2`, `ld-musl-x86_64.so.1`, `ld64.so.2`, `ld.so.1`.
fn is_loader(name: &[u8], kind: Kind) -> bool {
    let stem = name.strip_prefix(b"ld").map(|rest| {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        &rest[digits..]
    });
    kind != Kind::Directory
        && stem.is_some_and(|rest| {
            (rest.starts_with(b"-") && rest.windows(3).any(|part| part == b".so"))
                || rest.starts_with(b".so")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 64-bit little-endian file with these program headers: type, offset, size.
    fn elf(headers: &[(u32, u64, u64)], rest: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[54..56].copy_from_slice(&56_u16.to_le_bytes());
        file[56..58].copy_from_slice(&u16::try_from(headers.len()).unwrap().to_le_bytes());
        for (kind, offset, size) in headers {
            let mut header = vec![0; 56];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            header[8..16].copy_from_slice(&offset.to_le_bytes());
            header[32..40].copy_from_slice(&size.to_le_bytes());
            file.extend(header);
        }
        file.extend_from_slice(rest);
        file
    }

    #[test]
    fn the_loader_is_what_the_program_headers_name() {
        let name = b"/lib64/ld-linux-x86-64.so.2\0";
        let at = 64 + 2 * 56;
        let file = elf(&[(1, 0, 0), (PT_INTERP, at, name.len() as u64)], name);
        assert_eq!(interpreter(&file).unwrap().to_string(), "/lib64/ld-linux-x86-64.so.2");
        assert_eq!(interpreter(&file[..100]), None);
        assert_eq!(interpreter(b"#!/bin/sh"), None);
        assert_eq!(interpreter(&elf(&[(1, 0, 0)], b"")), None);
    }

    #[test]
    fn a_loader_for_interpreting_names_nothing_that_could_interpret_it() {
        let file = elf(&[(1, 0, 0), (PT_NOTE, 64, 8), (PT_GNU_STACK, 0, 0)], b"x");
        let copy = for_interpreting_only(file.clone()).unwrap();
        assert_eq!(interpreter(&copy), Some(AbsPath::root()));
        assert_eq!(copy.len(), file.len() + 2);
        let stack_only = elf(&[(1, 0, 0), (PT_GNU_STACK, 0, 0)], b"");
        assert_eq!(interpreter(&for_interpreting_only(stack_only).unwrap()), Some(AbsPath::root()));
        assert_eq!(for_interpreting_only(elf(&[(1, 0, 0)], b"")), Err(ElfError::NoRoom));
        assert_eq!(for_interpreting_only(b"#!/bin/sh".to_vec()), Err(ElfError::NotElf));
    }

    #[test]
    fn hostile_headers_are_errors() {
        let mut file = elf(&[(PT_INTERP, u64::MAX, u64::MAX), (PT_NOTE, 0, 0)], b"");
        assert_eq!(interpreter(&file), None);
        file[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(interpreter(&file), None);
        assert_eq!(for_interpreting_only(file), Err(ElfError::NoRoom));
        for length in 0..64 {
            assert!(for_interpreting_only(elf(&[], b"")[..length].to_vec()).is_err());
        }
    }

    #[test]
    fn a_script_names_its_interpreter() {
        let check = |text: &[u8], expected: Option<&str>| {
            let found = script_interpreter(text).map(|path| path.to_string());
            assert_eq!(found.as_deref(), expected);
        };
        check(b"#!/bin/sh\n", Some("/bin/sh"));
        check(b"#! /usr/bin/env python3\nx", Some("/usr/bin/env"));
        check(b"#!sh", None);
        check(b"#!", None);
        check(b"\x7fELF", None);
    }

    #[test]
    fn loaders_are_known_by_their_names() {
        for name in ["ld-linux-x86-64.so.2", "ld-musl-aarch64.so.1", "ld64.so.2", "ld.so.1"] {
            assert!(is_loader(name.as_bytes(), Kind::File), "{name}");
        }
        for name in ["ldd", "ldconfig", "libc.so.6", "ld-notes.txt", "ldap.so"] {
            assert!(!is_loader(name.as_bytes(), Kind::File), "{name}");
        }
    }
}
