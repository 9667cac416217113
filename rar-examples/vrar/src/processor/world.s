/* Between the worlds. RBX holds the address of this CPU's `World` whenever interrupts can come in the host. */
.text

/* rar_vrar_enter(world: rdi, vmcb: rsi, host stack top: rdx, host page tables: rcx): returns as the guest of the shim.
   Interrupts are disabled. */
.global rar_vrar_enter
rar_vrar_enter:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    fxsave64 [rdi + {FX}]
    pushfq
    pop qword ptr [rsi + {VMCB_RFLAGS}]
    mov [rsi + {VMCB_RSP}], rsp
    lea rax, [rip + 2f]
    mov [rsi + {VMCB_RIP}], rax
    mov rbx, rdi
    /* From here on nothing of what the kernel has loaded is needed, not even its stack. */
    mov rsp, rdx
    mov cr3, rcx
    cld
    clgi
    sti
    /* The stack holds the world and is 16-byte aligned at each call. */
    sub rsp, 8
    push rbx

1:  fxrstor64 [rbx + {FX}]
    mov rcx, [rbx + {RCX}]
    mov rdx, [rbx + {RDX}]
    mov rbp, [rbx + {RBP}]
    mov rsi, [rbx + {RSI}]
    mov rdi, [rbx + {RDI}]
    mov r8, [rbx + {R8}]
    mov r9, [rbx + {R9}]
    mov r10, [rbx + {R10}]
    mov r11, [rbx + {R11}]
    mov r12, [rbx + {R12}]
    mov r13, [rbx + {R13}]
    mov r14, [rbx + {R14}]
    mov r15, [rbx + {R15}]
    mov rax, [rbx + {VMCB}]
    mov rbx, [rbx + {RBX}]
    vmrun rax
    push rbx
    mov rbx, [rsp + 8]
    pop qword ptr [rbx + {RBX}]
    mov [rbx + {RCX}], rcx
    mov [rbx + {RDX}], rdx
    mov [rbx + {RBP}], rbp
    mov [rbx + {RSI}], rsi
    mov [rbx + {RDI}], rdi
    mov [rbx + {R8}], r8
    mov [rbx + {R9}], r9
    mov [rbx + {R10}], r10
    mov [rbx + {R11}], r11
    mov [rbx + {R12}], r12
    mov [rbx + {R13}], r13
    mov [rbx + {R14}], r14
    mov [rbx + {R15}], r15
    /* QEMU leaves the host without CR0.PG if the guest had EFER.LME, but neither CR0.PG nor CR4.PAE. The next VMRUN then
       enters the guest without nested paging. */
    mov rax, cr0
    bts rax, 31
    jc 3f
    mov cr0, rax
3:  fxsave64 [rbx + {FX}]
    mov rdi, rbx
    call rar_vrar_on_exit
    jmp 1b

2:  pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

/* rar_vrar_take(world: rdi): lets the host take the interrupts that wait. */
.global rar_vrar_take
rar_vrar_take:
    push rbx
    mov rbx, rdi
    stgi
    nop
    clgi
    pop rbx
    ret

/* rar_vrar_halt(world: rdi): waits in the host for an interrupt and takes it. */
.global rar_vrar_halt
rar_vrar_halt:
    push rbx
    mov rbx, rdi
    cli
rar_vrar_halt_begin:
    stgi
    sti
    hlt
rar_vrar_halt_end:
    clgi
    pop rbx
    ret

/* rar_vrar_unblock_nmi(): ends the service of a non-maskable interrupt. */
.global rar_vrar_unblock_nmi
rar_vrar_unblock_nmi:
    mov rax, rsp
    mov ecx, ss
    push rcx
    push rax
    pushfq
    mov ecx, cs
    push rcx
    lea rcx, [rip + 1f]
    push rcx
    iretq
1:  ret

/* 256 entry points of 16 bytes. They run on the host's stack, only inside take and halt or after a mistake. */
.balign 16
.global rar_vrar_stubs
rar_vrar_stubs:
.set vector, 0
.rept 256
    .balign 16, 0xcc
    push vector
    .if vector == 2
    jmp rar_vrar_note_nmi
    .elseif vector < 32
    jmp rar_vrar_mistake
    .else
    jmp rar_vrar_note
    .endif
    .set vector, vector + 1
.endr
.balign 16, 0xcc

/* Returns without IRET, which would let in the next non-maskable interrupt of a guest that serves one. RAX is free in take and halt. */
rar_vrar_note:
    pop rax
    bts qword ptr [rbx + {TAKEN}], rax
    mov rax, [rsp]
    mov rsp, [rsp + 24]
    sti
    jmp rax

/* Comes only if the guest serves none. One that comes before HLT ends the wait. */
rar_vrar_note_nmi:
    bts qword ptr [rbx + {TAKEN}], 2
    mov [rsp], rax
    lea rax, [rip + rar_vrar_halt_begin]
    cmp [rsp + 8], rax
    jb 1f
    lea rax, [rip + rar_vrar_halt_end]
    cmp [rsp + 8], rax
    jae 1f
    mov [rsp + 8], rax
1:  pop rax
    iretq

rar_vrar_mistake:
    cld
    mov rdi, rbx
    pop rsi
    mov rdx, rsp
    and rsp, -16
    call rar_vrar_on_mistake
    ud2

/* rar_vrar_send_x2apic(command: rdi): a WRMSR to an x2APIC does not wait for earlier stores by itself. */
.global rar_vrar_send_x2apic
rar_vrar_send_x2apic:
    mov ecx, 0x830
    mov eax, edi
    mov rdx, rdi
    shr rdx, 32
    mfence
    lfence
    wrmsr
    ret

/* rar_vrar_write_msr(register: edi, value: rsi) */
.global rar_vrar_write_msr
rar_vrar_write_msr:
    mov ecx, edi
    mov eax, esi
    mov rdx, rsi
    shr rdx, 32
    wrmsr
    ret
