#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes policy/src/seccomp/table.rs: every system call of every architecture that the
OCI runtime specification names, with its number and the widths of its arguments.

usage: syscalls.py UAPI HEADERS S390_32 > policy/src/seccomp/table.rs

UAPI     /usr/lib/linux/uapi of Debian's linux-libc-dev (all architectures are in one package)
HEADERS  the tree of the same version's linux-headers-*-common (include/linux/syscalls.h)
S390_32  unistd_32.h of s390 from a kernel that still had 31-bit s390 (6.1); newer calls have
         the numbers of s390x there
"""
import re, sys
from pathlib import Path

# Column -> header below UAPI. x32's numbers are written without bit 30, MIPS' with their base.
COLUMNS = [
    ("X86_64", "x86/asm/unistd_64.h"), ("X86", "x86/asm/unistd_32.h"),
    ("X32", "x86/asm/unistd_x32.h"), ("AARCH64", "arm64/asm/unistd_64.h"),
    ("ARM", "arm/asm/unistd-eabi.h"), ("RISCV64", "riscv/asm/unistd_64.h"),
    ("S390X", "s390/asm/unistd_64.h"), ("S390", None),
    ("PPC64", "powerpc/asm/unistd_64.h"), ("PPC", "powerpc/asm/unistd_32.h"),
    ("MIPS", "mips/asm/unistd_o32.h"), ("MIPS64", "mips/asm/unistd_n64.h"),
    ("MIPS64N32", "mips/asm/unistd_n32.h"), ("PARISC", "parisc/asm/unistd_32.h"),
    ("PARISC64", "parisc/asm/unistd_64.h"), ("LOONGARCH64", "loongarch/asm/unistd_64.h"),
    ("M68K", "m68k/asm/unistd_32.h"), ("SH", "sh/asm/unistd_32.h"),
]
BASE = {"MIPS": 4000, "MIPS64": 5000, "MIPS64N32": 6000}
# __ARM_NR_*: not in the table of numbers, but real calls.
ARM_PRIVATE = {"breakpoint": 1, "cacheflush": 2, "usr26": 3, "usr32": 4, "set_tls": 5, "get_tls": 6}
# Second names of one number.
ALIASES = {"ARM": {"sync_file_range2": "arm_sync_file_range"}}
NOT_CALLS = re.compile(r"^(Linux|Linux_syscalls|syscalls|\w*_Linux(_syscalls)?|reserved\d+|unused\d+|SYSCALL_BASE|OABI_.*|arch_specific_syscall|available\d+)$")

def numbers(text, base=0):
    out = {}
    for name, expr in re.findall(r"#define\s+__NR_(\w+)\s+(.+?)\s*$", text, re.M):
        expr = re.sub(r"/\*.*", "", expr).strip()
        m = re.fullmatch(r"\(?(?:__NR_SYSCALL_BASE|__NR_Linux|__X32_SYSCALL_BIT)\s*\+\s*(\d+)\)?|(\d+)", expr)
        if not m:
            raise SystemExit(f"cannot read {name} {expr}")
        if NOT_CALLS.match(name):
            continue
        out[name] = int(m.group(1) or m.group(2)) + (base if m.group(1) else 0)
    return out

BITS32 = {"int", "unsigned", "unsigned int", "pid_t", "uid_t", "gid_t", "clockid_t", "timer_t",
          "key_t", "mqd_t", "u32", "__u32", "__s32", "s32", "uint32_t", "qid_t", "key_serial_t",
          "rwf_t", "enum landlock_rule_type", "compat_size_t", "unsigned __user"}
BITS16 = {"umode_t", "old_uid_t", "old_gid_t"}
BITS64 = {"unsigned long", "long", "size_t", "loff_t", "off_t", "aio_context_t", "u64", "__u64",
          "cap_user_header_t", "cap_user_data_t", "old_sigset_t", "__sighandler_t", "uint64_t"}
SYS_NAMES = {  # kernel function -> names of the calls
    "newuname": ["uname"], "umount": ["umount2"], "oldumount": ["umount"], "llseek": ["_llseek"],
    "newstat": ["stat"], "newlstat": ["lstat"], "newfstat": ["fstat"], "fadvise64_64": ["fadvise64", "fadvise64_64"],
    "sendfile64": ["sendfile", "sendfile64"], "stime": ["stime"],
}
# What the kernel makes of an argument where the declared type says more (or where the
# declaration is an architecture's own). 1: 32 bits, 2: 16 bits, 0: the whole register.
OVERRIDES = {
    "clone": [1, 0, 0, 0, 0],            # lower_32_bits(clone_flags)
    "arch_prctl": [1, 0], "iopl": [1], "ioperm": [0, 0, 1], "modify_ldt": [1, 0, 0],
    "mmap": [0, 0, 1, 1, 1, 0], "mmap2": [0, 0, 1, 1, 1, 0],  # calc_vm_*_bits use low bits; fd is unsigned int
    "mprotect": [0, 0, 1], "pkey_mprotect": [0, 0, 1, 1],
    "unshare": [1],                       # no flag above bit 31; such bits are EINVAL
    "rt_sigprocmask": [1, 0, 0, 0], "sync_file_range2": [1, 1, 0, 0], "arm_sync_file_range": [1, 1, 0, 0],
    "riscv_flush_icache": [0, 0, 0], "shmget": [1, 0, 1], "semctl": [1, 1, 1, 0],
}

def kind(param):
    p = re.sub(r"\b(const|volatile|__user|__force)\b", " ", param)
    if "*" in p or "[" in p:
        return 0
    p = re.sub(r"\s+", " ", p).strip()
    for t in sorted(BITS32 | BITS16 | BITS64, key=len, reverse=True):
        if re.fullmatch(re.escape(t) + r"( \w+)?", p):
            return 1 if t in BITS32 else 2 if t in BITS16 else 0
    print(f"unknown type: {param!r}: whole register", file=sys.stderr)
    return 0

def widths(headers):
    out = {}
    text = (Path(headers) / "include/linux/syscalls.h").read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for name, params in re.findall(r"asmlinkage\s+(?:unsigned\s+)?(?:long|int|ssize_t)\s+sys_(\w+)\s*\((.*?)\)\s*;", text, re.S):
        params = [p.strip() for p in params.split(",")]
        if params in ([""], ["void"]):
            continue
        row = [kind(p) for p in params]
        for n in SYS_NAMES.get(name, [name]):
            out.setdefault(n, row)
    for n in list(out):
        for suffix in ("_time64", "64"):
            out.setdefault(n + suffix, out[n])
    out.update(OVERRIDES)
    return out

def main(uapi, headers, s390_32):
    columns = {}
    for name, path in COLUMNS:
        if path:
            columns[name] = numbers((Path(uapi) / path).read_text(), BASE.get(name, 0))
    old = numbers(Path(s390_32).read_text())
    columns["S390"] = {**{n: v for n, v in columns["S390X"].items() if v >= 424}, **old}
    columns["ARM"].update({n: 0xF0000 + v for n, v in ARM_PRIVATE.items()})
    for column, names in ALIASES.items():
        for new, existing in names.items():
            columns[column].setdefault(new, columns[column][existing])
    wide = widths(headers)
    names = sorted({n for c in columns.values() for n in c})
    print("// SPDX-License-Identifier: Apache-2.0")
    print("//! Generated by `policy/tables/syscalls.py` from the headers of Linux 7.3; do not edit.")
    print("//!")
    print("//! A row is a name, its number in each table (-1: the architecture has no such call) and")
    print("//! the widths of its arguments, one hexadecimal digit each, the first argument rightmost:")
    print("//! 0 the whole register, 1 the low 32 bits, 2 the low 16 bits.\n")
    print("/// Tables of numbers, in the order of the columns.")
    print("#[derive(Clone, Copy, Debug, PartialEq, Eq)]")
    print("#[allow(missing_docs, clippy::upper_case_acronyms)]")
    print("pub(super) enum Table {")
    for name, _ in COLUMNS:
        print(f"    {''.join(w.capitalize() for w in name.lower().split('_')).replace('X8664', 'X86_64')},")
    print("}\n")
    print("/// Name, numbers, widths.")
    print(f"pub(super) type Row = (&'static str, [i32; {len(COLUMNS)}], u32);\n")
    print("/// Sorted by name.")
    print("#[rustfmt::skip]")
    print(f"pub(super) static ROWS: [Row; {len(names)}] = [")
    for n in names:
        row = ", ".join(str(columns[c].get(n, -1)) for c, _ in COLUMNS)
        w = sum(v << (4 * i) for i, v in enumerate(wide.get(n, [])))
        print(f'    ("{n}", [{row}], {w:#08x}),')
    print("];")

main(*sys.argv[1:])
