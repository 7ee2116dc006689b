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
    /// It is of a machine that is not known, or says one thing of itself and is another.
    #[error("it is not an ELF file of a machine that brig knows")]
    Foreign,
    /// A table points outside the file, or into its header.
    #[error("its program headers are not where they can be")]
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

/// The machines whose files are of 64 and of 32 bits, all little-endian: elf.h. The kernel goes by
/// `e_machine` and takes what `e_ident` says of width and order on trust.
const WIDE_MACHINES: [usize; 3] = [62, 183, 243]; // x86-64, AArch64, RISC-V
const NARROW_MACHINES: [usize; 2] = [3, 40]; // 80386, ARM

/// The most bytes of program headers that the kernel reads.
const MOST_HEADERS: usize = 65536;

/// Where the fields of an ELF file are.
///
/// INVARIANT: the kernel reads the file in this way and no other: width and order that `e_ident`
/// claims are those of the machine, the headers have the size that the kernel asks for and lie
/// behind the file's own.
#[derive(Clone, Copy)]
struct Layout {
    wide: bool,
    table: usize,
    count: usize,
}

impl Layout {
    fn of(file: &[u8]) -> Result<Self, ElfError> {
        let wide = match file.get(..6) {
            Some([0x7f, b'E', b'L', b'F', 2, 1]) => true,
            Some([0x7f, b'E', b'L', b'F', 1, 1]) => false,
            Some([0x7f, b'E', b'L', b'F', ..]) => return Err(ElfError::Foreign),
            _ => return Err(ElfError::NotElf),
        };
        let field = |at, size| number(file, at, size).ok_or(ElfError::Truncated);
        let kind = field(16, 2)?;
        let machines: &[usize] = if wide { &WIDE_MACHINES } else { &NARROW_MACHINES };
        let (table, entry, count) =
            if wide { (field(32, 8)?, 54, 56) } else { (field(28, 4)?, 42, 44) };
        let layout = Self { wide, table, count: field(count, 2)? };
        let is_program = matches!(kind, 2 | 3) && machines.contains(&field(18, 2)?);
        if !is_program || field(entry, 2)? != layout.entry() {
            return Err(ElfError::Foreign);
        }
        let length = layout.count * layout.entry();
        let end = table.checked_add(length).ok_or(ElfError::Truncated)?;
        let own = if wide { 64 } else { 52 };
        if table < own || end > file.len() || length == 0 || length > MOST_HEADERS {
            return Err(ElfError::Truncated);
        }
        Ok(layout)
    }

    /// The size of a program header.
    const fn entry(self) -> usize {
        if self.wide { 56 } else { 32 }
    }

    /// A number of the file's own width.
    fn word(self, file: &[u8], at: usize) -> Option<usize> {
        number(file, at, if self.wide { 8 } else { 4 })
    }

    /// Where each program header begins.
    fn headers(self) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |index| self.table + index * self.entry())
    }

    /// Where the fields `p_offset` and `p_filesz` are in a program header.
    fn fields(self) -> (usize, usize) {
        if self.wide { (8, 32) } else { (4, 16) }
    }

    /// The headers of a type.
    fn of_type(self, file: &[u8], wanted: u32) -> impl Iterator<Item = usize> {
        let wanted = usize::try_from(wanted).ok();
        self.headers().filter(move |header| number(file, *header, 4) == wanted)
    }
}

/// A little-endian number of `size` bytes.
fn number(file: &[u8], at: usize, size: usize) -> Option<usize> {
    let bytes = file.get(at..at.checked_add(size)?)?;
    let join = |all: u64, byte: &u8| all << 8 | u64::from(*byte);
    usize::try_from(bytes.iter().rev().fold(0, join)).ok()
}

fn put(file: &mut [u8], at: usize, size: usize, value: u64) -> Result<(), ElfError> {
    let end = at.checked_add(size).ok_or(ElfError::Truncated)?;
    let target = file.get_mut(at..end).ok_or(ElfError::Truncated)?;
    for (byte, value) in target.iter_mut().zip(value.to_le_bytes()) {
        *byte = value;
    }
    Ok(())
}

/// The loader that an ELF file names; `None`: it names none, or is no ELF file.
///
/// `file` is its beginning; a name that lies beyond is not found.
#[must_use]
pub fn interpreter(file: &[u8]) -> Option<AbsPath> {
    let layout = Layout::of(file).ok()?;
    let (offset, size) = layout.fields();
    // the kernel takes the first
    let header = layout.of_type(file, PT_INTERP).next()?;
    let from = layout.word(file, header + offset)?;
    let length = layout.word(file, header + size)?;
    let name = file.get(from..from.checked_add(length)?)?;
    AbsPath::new(name.strip_suffix(b"\0")?).ok()
}

/// The interpreter that a script names in its first line: execve(2); `None`: it is no script.
#[must_use]
pub fn script_interpreter(file: &[u8]) -> Option<AbsPath> {
    let line = file.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let name = line.split(blank).find(|part| !part.is_empty())?;
    AbsPath::new(name).ok()
}

/// The loader, so that it can interpret and not run programs by itself. What names an interpreter
/// already (a program by a loader's name) no longer does.
///
/// # Errors
/// It is no ELF file, is not of the form that the kernel reads, or has no program header that can
/// be done without.
pub fn for_interpreting_only(mut file: Vec<u8>) -> Result<Vec<u8>, ElfError> {
    let layout = Layout::of(&file)?;
    let mut headers: Vec<usize> = layout.of_type(&file, PT_INTERP).collect();
    if headers.is_empty() {
        let note = layout.of_type(&file, PT_NOTE).next();
        let spare = note.or_else(|| layout.of_type(&file, PT_GNU_STACK).next());
        headers.push(spare.ok_or(ElfError::NoRoom)?);
    }
    let name = u64::try_from(file.len()).map_err(|_| ElfError::Truncated)?;
    let size = u64::try_from(NO_PROGRAM.len()).map_err(|_| ElfError::Truncated)?;
    let (offset, filesz) = layout.fields();
    let width = if layout.wide { 8 } else { 4 };
    for header in headers {
        put(&mut file, header, 4, PT_INTERP.into())?;
        put(&mut file, header + offset, width, name)?;
        put(&mut file, header + filesz, width, size)?;
    }
    file.extend_from_slice(NO_PROGRAM);
    // INVARIANT: read as the kernel reads it, the copy names nothing that can be executed
    if interpreter(&file) == Some(AbsPath::root()) { Ok(file) } else { Err(ElfError::NoRoom) }
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
        file[16..20].copy_from_slice(&[3, 0, 62, 0]);
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
        assert_eq!(for_interpreting_only(file), Err(ElfError::Truncated));
        for length in 0..64 {
            assert!(for_interpreting_only(elf(&[], b"")[..length].to_vec()).is_err());
        }
    }

    #[test]
    fn a_program_by_a_loaders_name_runs_no_more() {
        let name = b"/lib64/ld-linux-x86-64.so.2\0";
        let at = 64 + 3 * 56;
        let length = name.len() as u64;
        let headers = [(PT_NOTE, 0, 0), (PT_INTERP, at, length), (PT_INTERP, at, length)];
        let copy = for_interpreting_only(elf(&headers, name)).unwrap();
        assert_eq!(interpreter(&copy), Some(AbsPath::root()));
        let layout = Layout::of(&copy).unwrap();
        assert_eq!(layout.of_type(&copy, PT_NOTE).count(), 1, "the others are enough");
    }

    #[test]
    fn what_the_kernel_would_read_otherwise_is_refused() {
        let changed = |at: usize, byte: u8| {
            let mut file = elf(&[(PT_NOTE, 0, 0), (PT_NOTE, 0, 0)], b"");
            file[at] = byte;
            for_interpreting_only(file)
        };
        assert!(changed(63, 0).is_ok());
        // width, order, type, machine, a header's size: each is taken at its word by us alone
        for (at, byte) in [(4, 1), (5, 2), (16, 1), (18, 3), (54, 57)] {
            assert_eq!(changed(at, byte), Err(ElfError::Foreign), "byte {at}");
        }
        // headers in the file's own header, none, more than the kernel reads
        for (at, byte) in [(32, 0), (56, 0), (57, 0xff)] {
            assert_eq!(changed(at, byte), Err(ElfError::Truncated), "byte {at}");
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
