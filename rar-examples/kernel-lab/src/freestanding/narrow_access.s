/* rar_lab_narrow_access(answers: edi, directory: esi, pointers: edx): accesses the page of the local APIC in every mode but
   64-bit mode, with interrupts disabled. Answers of a mode are five: the version twice, the task priority 0x20, 0, and the mark
   in the upper half of the interrupt command, which 64-bit code has left there. All of it lies below 4 GiB and is mapped one to one, by the tables of 32-bit and of PAE paging, too. */
.set apic, 0xfee00000

/* MOV by an address of 32 bits; `prefixes` are those of 32-bit operands and addresses in 16-bit code. */
.macro move opcode, offset, prefixes:vararg
    .ifnb \prefixes
    .byte \prefixes
    .endif
    .byte \opcode
    .long apic + \offset
.endm

.macro access prefixes:vararg
    move 0xa1, 0x30, \prefixes
    movl %eax, (%edi)
    movl 0x30(%ebx), %ecx
    movl %ecx, 4(%edi)
    movl $0x20, 0x80(%ebx)
    movl 0x80(%ebx), %ecx
    movl %ecx, 8(%edi)
    xorl %eax, %eax
    move 0xa3, 0x80, \prefixes
    movl 0x80(%ebx), %ecx
    movl %ecx, 12(%edi)
    movl 0x310(%ebx), %ecx
    movl %ecx, 16(%edi)
    addl $20, %edi
.endm

/* In 32-bit code, then in 16-bit code, then back. */
.macro access_in_both
    access
    ljmpl $0x20, $1f
.code16
1:  access 0x66, 0x67
    ljmpl $0x18, $1f
.code32
1:
.endm

.macro paging_off
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
.endm

.macro paging_on
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
.endm

.text
.global rar_lab_narrow_access
rar_lab_narrow_access:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    sgdt narrow_saved_gdt
    movq %rsp, narrow_saved_rsp
    movl %edx, narrow_pointers
    movq %cr3, %rax
    movq %rax, narrow_saved_cr3
    movq %cr4, %rax
    movq %rax, narrow_saved_cr4
    movl $apic, %ebx
    movl $0x5a000000, 0x310(%rbx)
    lgdt narrow_gdt_pointer
    pushq $0x18
    pushq $1f
    lretq
.code32
1:  access_in_both

    paging_off
    access_in_both
    ljmpl $0x20, $1f
.code16
1:  movl %cr0, %eax
    andl $0xfffffffe, %eax
    movl %eax, %cr0
    /* Real mode; the segments are as before. */
    access 0x66, 0x67
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x18, $1f
.code32
1:
    /* Long mode can only come back with PAE. */
    movl $0xc0000080, %ecx
    rdmsr
    andl $0xfffffeff, %eax
    wrmsr
    /* PSE, and SSE as it was. */
    movl $0x610, %eax
    movl %eax, %cr4
    access_in_both
    movl %esi, %cr3
    paging_on
    access_in_both

    paging_off
    movl $0x620, %eax
    movl %eax, %cr4
    movl narrow_pointers, %eax
    movl %eax, %cr3
    paging_on
    access_in_both

    paging_off
    movl narrow_saved_cr4, %eax
    /* Without PCIDs, which need long mode. */
    andl $0xfffdffff, %eax
    movl %eax, %cr4
    movl narrow_saved_cr3, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    paging_on
    ljmpl $0x08, $1f
.code64
1:  movq narrow_saved_cr4, %rax
    movq %rax, %cr4
    lgdt narrow_saved_gdt
    movq narrow_saved_rsp, %rsp
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

.data
.balign 8
/* The first three as the kernel has them. */
narrow_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00cf9b000000ffff
    .quad 0x008f9b000000ffff
narrow_gdt_pointer:
    .word 39
    .quad narrow_gdt
.balign 8
narrow_saved_rsp: .quad 0
narrow_saved_cr3: .quad 0
narrow_saved_cr4: .quad 0
narrow_pointers: .quad 0
narrow_saved_gdt: .word 0
    .quad 0
.text
