/* 256 entry points of 16 bytes, then one common path: save the registers and the SSE state, call Rust, restore. The prebuilt
   core uses SSE, so a handler in Rust may change any XMM register. */
.text
.balign 16
.global rar_kernel_trap_stubs
rar_kernel_trap_stubs:
.set vector, 0
.rept 256
    .balign 16, 0xcc
    .if vector == 8 || (vector >= 10 && vector <= 14)
    .elseif vector == 17 || vector == 21 || vector == 29 || vector == 30
    /* An interrupt may have this vector, too, and has no error code. The processor aligns the stack to 16 bytes before it
       pushes 5 or 6 words. */
    testb $8, %spl
    jz 1f
    pushq $0
1:
    .else
    pushq $0
    .endif
    pushq $vector
    jmp rar_kernel_trap
    .set vector, vector + 1
.endr
.balign 16, 0xcc

rar_kernel_trap:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    movq %rsp, %rbx
    subq $512, %rsp
    andq $-64, %rsp
    fxsave64 (%rsp)
    call rar_kernel_on_trap
    fxrstor64 (%rsp)
    movq %rbx, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq

/* Accesses that may fault: (address, value or place of the value) -> 0, or 1 after a fault. One instruction touches the
   address. The table of fixups tells the trap handler where to go on. */
.macro fixup instruction, landing
    .pushsection .fixups, "a"
    .quad \instruction, \landing
    .popsection
.endm

.global rar_kernel_probe_load
rar_kernel_probe_load:
1:  movq (%rdi), %rax
    movq %rax, (%rsi)
    xorl %eax, %eax
    ret
    fixup 1b, rar_kernel_probe_failed

.global rar_kernel_probe_store
rar_kernel_probe_store:
1:  movq %rsi, (%rdi)
    xorl %eax, %eax
    ret
    fixup 1b, rar_kernel_probe_failed

.global rar_kernel_probe_store_non_temporal
rar_kernel_probe_store_non_temporal:
1:  movntiq %rsi, (%rdi)
    xorl %eax, %eax
    ret
    fixup 1b, rar_kernel_probe_failed

/* (register, place of the value) -> 0, or 1 after a fault. */
.global rar_kernel_probe_read_register
rar_kernel_probe_read_register:
    movl %edi, %ecx
1:  rdmsr
    shlq $32, %rdx
    orq %rdx, %rax
    movq %rax, (%rsi)
    xorl %eax, %eax
    ret
    fixup 1b, rar_kernel_probe_failed

/* (register, value) -> 0, or 1 after a fault. */
.global rar_kernel_probe_write_register
rar_kernel_probe_write_register:
    movl %edi, %ecx
    movl %esi, %eax
    movq %rsi, %rdx
    shrq $32, %rdx
1:  wrmsr
    xorl %eax, %eax
    ret
    fixup 1b, rar_kernel_probe_failed

rar_kernel_probe_failed:
    movl $1, %eax
    ret
