/* From the carrier to the guest: copied into the handover, which the guest maps one to one, and entered there in 64-bit
   mode with the handover's own page tables. RDI holds the address of the parameters. */
.section .rodata.hand_over, "a", @progbits
.balign 16
.global rar_carrier_hand_over
rar_carrier_hand_over:
    mov rsp, [rdi + {STACK}]
    lgdt [rdi + {SEGMENTS}]
    lidt [rdi + {NO_GATES}]
    mov eax, 0x18
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    xor eax, eax
    lldt ax
    push 2
    popfq
    mov rax, [rdi + {HIDE}]
    test rax, rax
    jz 3f
    vmmcall
3:  cmp qword ptr [rdi + {MODE}], 0
    jne 1f

    push 0x10
    push qword ptr [rdi + {ENTRY}]
    mov rsi, [rdi + {RSI}]
    xor ebx, ebx
    xor ecx, ecx
    xor edx, edx
    xor ebp, ebp
    xor edi, edi
    xor r8d, r8d
    xor r9d, r9d
    xor r10d, r10d
    xor r11d, r11d
    xor r12d, r12d
    xor r13d, r13d
    xor r14d, r14d
    xor r15d, r15d
    retfq

1:  lea rax, [rip + 2f]
    push 8
    push rax
    retfq
.code32
2:  mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    xor eax, eax
    mov cr3, eax
    mov cr4, eax
    mov ecx, 0xc0000080
    xor edx, edx
    wrmsr
    mov eax, 0x11
    mov cr0, eax
    mov eax, 0x20
    ltr ax
    mov eax, [edi + {EAX}]
    mov ebx, [edi + {EBX}]
    mov esp, [edi + {STACK}]
    push dword ptr [edi + {ENTRY}]
    xor ecx, ecx
    xor edx, edx
    xor ebp, ebp
    xor esi, esi
    xor edi, edi
    ret
.code64
.global rar_carrier_hand_over_end
rar_carrier_hand_over_end:
