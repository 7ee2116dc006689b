// SPDX-License-Identifier: Apache-2.0
// A program that does nothing, without a C library: small enough to be copied for every test.

#if defined(__x86_64__)
__asm__(".globl _start\n_start: xor %edi, %edi\n mov $231, %eax\n syscall\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: mov x0, #0\n mov x8, #94\n svc #0\n");
#elif defined(__riscv)
__asm__(".globl _start\n_start: li a0, 0\n li a7, 94\n ecall\n");
#else
#error "no exit_group for this architecture"
#endif
