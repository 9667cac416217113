/* rar_lab_vmx_enter(work) -> the reason of the exit that ended the guest, or all ones where the processor refuses to enter it. The VMCS
   is current, and has everything but the stack to come back to. Interrupts and NMIs leave the guest, are handled, and the guest goes on; no
   Rust runs in between but their handlers, which keep every register. Fields: SDM vol. 3, "Field Encoding in VMCS". */
.text
.global rar_lab_vmx_enter
rar_lab_vmx_enter:
    pushfq
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cli
    movl $0x6c14, %eax
    vmwrite %rsp, %rax
    vmlaunch
    movq $-1, %rax
    jmp 4f

.global rar_lab_vmx_exit
rar_lab_vmx_exit:
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
    movl $0x4402, %eax
    vmread %rax, %rax
    cmpl $1, %eax
    je 1f
    testl %eax, %eax
    je 2f
    addq $120, %rsp
    jmp 4f
    /* An external interrupt, which is still pending: it comes behind the shadow of STI. */
1:  sti
    nop
    nop
    cli
    jmp 3f
    /* An NMI, which the exit has taken: its handler is called by number, and its IRET lets the next one come. */
2:  int $2
3:  popq %r15
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
    vmresume
    movq $-1, %rax
4:  popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popfq
    ret

/* Where the guest begins, on a stack of its own, with RDI as the host left it. */
.global rar_lab_vmx_guest
rar_lab_vmx_guest:
    call rar_lab_vmx_work
    vmcall
    ud2
