/* rar_lab_single_steps() -> how many of seven instructions end in a #DB of their own, with DR6.BS: NOP, CPUID, RDMSR of
   register 0xcf and HLT, the last three with prefixes and left to the host, and what is needed to end the steps. Interrupts are
   disabled, and the only gates are those of #DB and of the #GP, #PF and #UD of one who goes on in the middle of an instruction:
   they end it early. */
.text
.global rar_lab_single_steps
rar_lab_single_steps:
    pushq %rbx
    pushfq
    pushq %rsp
    popq %r11
    cli
    subq $272, %rsp
    sidt 256(%rsp)
    leaq rar_lab_step_gone(%rip), %rax
    xorl %ecx, %ecx
1:  movq %rax, %rdx
    cmpl $1, %ecx
    jne 2f
    leaq rar_lab_step_ends(%rip), %rdx
    /* A gate: the address in three pieces, the selector, present and an interrupt's. */
2:  movl %ecx, %ebx
    shll $4, %ebx
    addq %rsp, %rbx
    movw %dx, (%rbx)
    movw %cs, 2(%rbx)
    movw $0x8e00, 4(%rbx)
    shrq $16, %rdx
    movw %dx, 6(%rbx)
    shrq $16, %rdx
    movl %edx, 8(%rbx)
    movl $0, 12(%rbx)
    incl %ecx
    cmpl $15, %ecx
    jb 1b
    /* Behind the gates. */
    movw $(15 * 16 - 1), 240(%rsp)
    movq %rsp, 242(%rsp)
    lidt 240(%rsp)
    xorl %r8d, %r8d
    xorl %eax, %eax
    movl $0xcf, %ecx
    pushfq
    popq %r9
    movq %r9, %rdx
    orq $0x100, %rdx
    pushq %rdx
    popfq
    nop
    .byte 0x48, 0x0f, 0xa2
    movl $0xcf, %ecx
    .byte 0x2e, 0x0f, 0x32
    .byte 0xf3, 0xf4
    pushq %r9
    popfq
rar_lab_step_over:
    lidt 256-272(%r11)
    movq %r11, %rsp
    popfq
    popq %rbx
    movl %r8d, %eax
    ret

rar_lab_step_ends:
    movq %dr6, %r10
    shrl $14, %r10d
    andl $1, %r10d
    addl %r10d, %r8d
    movl $0xffff0ff0, %r10d
    movq %r10, %dr6
    iretq

rar_lab_step_gone:
    xorl %r8d, %r8d
    jmp rar_lab_step_over
