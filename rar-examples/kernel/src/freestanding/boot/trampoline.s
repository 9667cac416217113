/* Where a CPU starts: copied to a page below 1 MiB, entered in real mode at its first byte. Data behind the code is filled in
   by the CPU that sends the start-up message, and constant from then on. A CPU that has no slot, or was not called, parks. */
.section .rodata.trampoline, "a", @progbits
.balign 16
.global rar_kernel_trampoline
rar_kernel_trampoline:
.code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    xorl %ebx, %ebx
    movw %ax, %bx
    shll $4, %ebx
    lgdtl trampoline_gdt_pointer - rar_kernel_trampoline
    movl %cr0, %eax
    andl $0x9fffffff, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl *(trampoline_to_32 - rar_kernel_trampoline)

.code32
trampoline_32:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0xc0000080, %ecx
    xorl %edx, %edx
    movl trampoline_efer - rar_kernel_trampoline(%ebx), %eax
    wrmsr
    /* EFER.LME without CR4.PAE: a guest of the shim that is left in this state has shown a fault of QEMU. */
    movl %ebx, %esi
    xorl %eax, %eax
    cpuid
    movl %esi, %ebx
    movl trampoline_cr4 - rar_kernel_trampoline(%ebx), %eax
    movl %eax, %cr4
    movl trampoline_cr3 - rar_kernel_trampoline(%ebx), %eax
    movl %eax, %cr3
    movl trampoline_cr0 - rar_kernel_trampoline(%ebx), %eax
    movl %eax, %cr0
    ljmpl *trampoline_to_64 - rar_kernel_trampoline(%ebx)

.code64
trampoline_64:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl %ebx, %r9d

    /* The number of this CPU's APIC: leaf 0xb where it has content, else the eight bits of leaf 1. */
    xorl %eax, %eax
    cpuid
    cmpl $0x0b, %eax
    jb 1f
    movl $0x0b, %eax
    xorl %ecx, %ecx
    cpuid
    testl %ebx, %ebx
    jnz 2f
1:  movl $1, %eax
    cpuid
    movl %ebx, %edx
    shrl $24, %edx
    /* The slot of this CPU: id, state, stack, argument, function; see `StartSlot`. */
2:  movq trampoline_slots - rar_kernel_trampoline(%r9), %rsi
    movl trampoline_slot_count - rar_kernel_trampoline(%r9), %ecx
4:  decl %ecx
    js 3f
    cmpl %edx, (%rsi)
    je 5f
    addq $64, %rsi
    jmp 4b
    /* It comes if it was called, and waits until it may go on. */
5:  movl $1, %eax
    movl $2, %ecx
    lock cmpxchgl %ecx, 4(%rsi)
    jne 3f
6:  pause
    movl 4(%rsi), %eax
    cmpl $2, %eax
    je 6b
    cmpl $3, %eax
    jne 3f
    movq 8(%rsi), %rsp
    movq 16(%rsi), %rdi
    movq 24(%rsi), %rax
    xorl %ebp, %ebp
    callq *%rax
3:  cli
    hlt
    jmp 3b

.balign 8
trampoline_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00af9b000000ffff
trampoline_gdt_end:

/* What the sender fills in: the layout of `Mailbox`. */
.balign 16
.global rar_kernel_trampoline_mailbox
rar_kernel_trampoline_mailbox:
trampoline_cr0:      .long 0
trampoline_cr3:      .long 0
trampoline_cr4:      .long 0
trampoline_efer:     .long 0
trampoline_slots:    .quad 0
trampoline_slot_count: .long 0, 0
trampoline_to_32:    .long trampoline_32 - rar_kernel_trampoline
                     .word 0x08, 0
trampoline_to_64:    .long trampoline_64 - rar_kernel_trampoline
                     .word 0x18, 0
trampoline_gdt_pointer:
                     .word trampoline_gdt_end - trampoline_gdt - 1
                     .long trampoline_gdt - rar_kernel_trampoline
                     .word 0
.global rar_kernel_trampoline_end
rar_kernel_trampoline_end:
.text
