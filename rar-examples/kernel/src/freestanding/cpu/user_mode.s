/* rar_kernel_enter_user(rdi, rsi, r10, r8, code) -> RAX at the end of user mode. RSP leads nowhere, since every vector
   has a stack of its own. R12 is the kernel's stack, which user mode does not touch and the handler of its end goes back
   to. */
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
