#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the programs of other generators for a plain `linux.seccomp`, as the benchmark reads them.

usage: export.py libseccomp SPEC OPTIMIZE   the program of the installed libseccomp (1: none, 2: tree)
       export.py installed PID              what a process has installed (as root, under any runtime)

Rules are added as runc adds them: those equal to the default and unknown names are left out, and
an entry that repeats an argument is split.
"""
import ctypes, json, os, struct, sys, tempfile

ACTIONS = {"SCMP_ACT_ALLOW": 0x7FFF0000, "SCMP_ACT_ERRNO": 0x00050000, "SCMP_ACT_LOG": 0x7FFC0000,
           "SCMP_ACT_KILL": 0, "SCMP_ACT_KILL_PROCESS": 0x80000000, "SCMP_ACT_TRAP": 0x00030000}
OPERATORS = {"SCMP_CMP_" + name: n + 1 for n, name in enumerate("NE LT LE EQ GE GT MASKED_EQ".split())}
ARCHES = {"SCMP_ARCH_X86_64": 0xC000003E, "SCMP_ARCH_X86": 0x40000003, "SCMP_ARCH_X32": 0x4000003E}

class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]

def action(name, errno):
    return ACTIONS[name] | (errno if name == "SCMP_ACT_ERRNO" else 0)

def instructions(data):
    return [list(i) for i in struct.iter_unpack("=HBBI", data)]

def libseccomp(path, optimize):
    spec = json.load(open(path))
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    default = action(spec["defaultAction"], spec.get("defaultErrnoRet", 1))
    context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(default)))
    for arch in spec.get("architectures", []):
        lib.seccomp_arch_add(context, ctypes.c_uint32(ARCHES[arch]))
    assert lib.seccomp_attr_set(context, 8, ctypes.c_uint32(optimize)) == 0  # SCMP_FLTATR_CTL_OPTIMIZE
    for entry in spec["syscalls"]:
        act = action(entry["action"], entry.get("errnoRet", 1))
        if act == default:
            continue
        args = [Comparison(a["index"], OPERATORS[a["op"]], a["value"], a.get("valueTwo", 0))
                for a in entry.get("args") or []]
        repeated = len({a.arg for a in args}) < len(args)
        for name in entry["names"]:
            number = lib.seccomp_syscall_resolve_name(name.encode())
            if number == -1:
                continue
            for rule in [[a] for a in args] if repeated else [args]:
                array = (Comparison * len(rule))(*rule)
                result = lib.seccomp_rule_add_array(context, ctypes.c_uint32(act), number, len(rule), array)
                assert result == 0, (name, result)
    with tempfile.TemporaryFile() as file:
        assert lib.seccomp_export_bpf(context, file.fileno()) == 0
        file.seek(0)
        return [instructions(file.read())]

def installed(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_long, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    seize, interrupt, get_filter = 0x4206, 0x4207, 0x420C
    assert libc.ptrace(seize, pid, 0, None) == 0, os.strerror(ctypes.get_errno())
    libc.ptrace(interrupt, pid, 0, None)
    os.waitpid(pid, 0x40000000)
    programs = []
    while True:
        length = libc.ptrace(get_filter, pid, len(programs), None)
        if length < 0:
            return programs
        buffer = ctypes.create_string_buffer(length * 8)
        libc.ptrace(get_filter, pid, len(programs), buffer)
        programs.append(instructions(buffer.raw))

if sys.argv[1] == "libseccomp":
    programs = libseccomp(sys.argv[2], int(sys.argv[3]))
else:
    programs = installed(int(sys.argv[2]))
print(json.dumps(programs, separators=(",", ":")))
