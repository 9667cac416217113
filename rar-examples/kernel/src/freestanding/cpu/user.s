/* rar_kernel_enter_user(page, notes, value, deadline, code) -> what the last load found. Goes to user mode, whose registers are those that
   the code below names; RSP leads nowhere, since every vector has a stack of its own. R12 is the kernel's stack, which user mode does not
   touch and the handler of its end goes back to. */
.text
.global rar_kernel_enter_user
rar_kernel_enter_user:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushfq
    movq %rdx, %r10
    movq %r8, %rax
    movq %rcx, %r8
    xorl %ecx, %ecx
    movq %rsp, %r12
    pushq ${user_data}
    pushq $0
    pushq (%r12)
    pushq ${user_code}
    pushq %rax
    iretq

/* Where the handler of its end goes on, with the result in RAX and interrupts disabled. The way out has emptied DS and ES. */
.global rar_kernel_left_user
rar_kernel_left_user:
    movl ${data}, %ecx
    movl %ecx, %ds
    movl %ecx, %es
    popfq
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

/* What user mode executes, in a copy of its own: load the page (RDI), count (RCX) in the notes (RSI), until it is not the value (R10), the
   notes say so, or the time (R8) has come. */
.section .rodata
.global rar_kernel_user_code
rar_kernel_user_code:
1:  movq (%rdi), %r9
    incq %rcx
    movq %rcx, (%rsi)
    cmpq %r10, %r9
    jne 2f
    cmpq $0, 8(%rsi)
    jne 2f
    rdtsc
    shlq $32, %rdx
    orq %rdx, %rax
    cmpq %r8, %rax
    jb 1b
2:  movq %r9, %rax
    int ${end}
.global rar_kernel_user_code_end
rar_kernel_user_code_end:
.text
