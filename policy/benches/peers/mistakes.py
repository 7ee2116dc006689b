#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How often the installed libseccomp makes a wrong program of unambiguous rules: up to four rules
that allow one call by one 64-bit comparison each, so any rule that holds must allow."""
import ctypes, random, struct, tempfile

VALUES = [0, 1, 2, 5, 0xFFFFFFFF, 1 << 32, (1 << 32) + 1, 2 << 32, (2 << 32) + 5, 1 << 63, (1 << 64) - 1]
NAMES = " NE LT LE EQ GE GT MASKED_EQ".split(" ")
CALL, NATIVE, ALLOW, DENY = 17, 0xC000003E, 0x7FFF0000, 0x00050001

class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]

lib = ctypes.CDLL("libseccomp.so.2")
lib.seccomp_init.restype = ctypes.c_void_p

def program(rules):
    context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(DENY)))
    for rule in rules:
        array = (Comparison * 1)(Comparison(2, *rule))
        assert lib.seccomp_rule_add_array(context, ctypes.c_uint32(ALLOW), CALL, 1, array) in (0, -17)
    with tempfile.TemporaryFile() as file:
        lib.seccomp_export_bpf(context, file.fileno())
        file.seek(0)
        lib.seccomp_release(context)
        return list(struct.iter_unpack("=HBBI", file.read()))

def run(program, argument):
    data = struct.pack("=iIQ6Q", CALL, NATIVE, 0, 0, 0, argument, 0, 0, 0)
    at = a = 0
    while True:
        code, jt, jf, k = program[at]
        at += 1
        if code == 0x20:
            a = struct.unpack_from("=I", data, k)[0]
        elif code == 0x54:
            a &= k
        elif code == 0x05:
            at += k
        elif code == 0x06:
            return k == ALLOW
        else:
            at += jt if {0x15: a == k, 0x25: a > k, 0x35: a >= k, 0x45: a & k != 0}[code] else jf

def holds(op, a, b, x):
    return [None, x != a, x < a, x <= a, x == a, x >= a, x > a, x & a == b & a][op]

random.seed(1)
wrong, shortest = 0, None
near = sorted({(v + d) % (1 << 64) for v in VALUES for d in (-1, 0, 1)})
for _ in range(2000):
    rules = [(random.randint(1, 7), random.choice(VALUES), random.choice(VALUES)) for _ in range(random.randint(1, 4))]
    code = program(rules)
    for x in near:
        if run(code, x) != any(holds(*rule, x) for rule in rules):
            wrong += 1
            if shortest is None or len(rules) < len(shortest[0]):
                shortest = (rules, x, run(code, x))
            break
print(f"{wrong} of 2000 programs are wrong")
if shortest:
    rules, x, allowed = shortest
    text = ", ".join(f"{NAMES[op]} {a:#x}" + (f" {b:#x}" if op == 7 else "") for op, a, b in rules)
    print(f"e.g. allow if {text}: {x:#x} is {'allowed' if allowed else 'denied'}")
