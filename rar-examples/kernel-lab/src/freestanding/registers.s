/* rar_lab_registers_survive() -> 0 if RDMSR of register 0xcf, which leaves a guest, changes no register but RAX and RDX. */
.text
.global rar_lab_registers_survive
rar_lab_registers_survive:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
.set number, 1
.irp register, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    movabsq $(0x0101010101010101 * number), %\register
    .set number, number + 1
.endr
.irp register, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movl $(0x1234 + 0x10000 * \register), %eax
    movq %rax, %xmm\register
    pshufd $0x44, %xmm\register, %xmm\register
.endr
    pushq $0x0ad7
    popfq
    movl $0xcf, %ecx
    rdmsr
    pushfq
    popq %rdx
    xorl $0x0ad7, %edx
    /* The flags of arithmetic and IF were set, DF was not. */
    andl $0x0ed5, %edx
    cld
    xorl $0xcf, %ecx
    orq %rdx, %rcx
.set number, 1
.irp register, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    movabsq $(0x0101010101010101 * number), %rax
    xorq %\register, %rax
    orq %rax, %rcx
    .set number, number + 1
.endr
.irp register, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movl $(0x1234 + 0x10000 * \register), %eax
    movq %xmm\register, %rdx
    xorq %rax, %rdx
    orq %rdx, %rcx
    psrldq $8, %xmm\register
    movq %xmm\register, %rdx
    xorq %rax, %rdx
    orq %rdx, %rcx
.endr
    movq %rcx, %rax
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
