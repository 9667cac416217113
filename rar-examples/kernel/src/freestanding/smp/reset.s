/* rar_kernel_suspend(place, wait): keeps what a function must keep on this stack, stores RSP at `place`, and calls `wait`, which does
   not return. rar_kernel_resume(rsp) returns from rar_kernel_suspend. */
.text
.global rar_kernel_suspend
rar_kernel_suspend:
    pushfq
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    callq *%rsi
    ud2
.global rar_kernel_resume
rar_kernel_resume:
    movq %rdi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popfq
    ret
