/* The code of the page that stays in conventional memory. It runs at any multiple of 16 below 1 MiB: offsets are those
   of the page, whose code begins at {CODE}. */
.section .rodata.chain, "a", @progbits
.balign 16
.global rar_carrier_chain
.global rar_carrier_chain_handler
.global rar_carrier_chain_end
rar_carrier_chain:

/* 32-bit protected mode without paging, flat segments; EBX is the physical address of the page. */
.code32
    lgdt [ebx + {GDT_POINTER}]
    mov eax, [0x54]
    mov [ebx + {OLD}], eax
    mov eax, [ebx + {VECTOR}]
    mov [0x54], eax
    mov ax, [ebx + {CONVENTIONAL}]
    mov [0x413], ax

    /* The interrupt controllers where a BIOS has them, with its masks. */
    mov al, 0x11
    out 0x20, al
    out 0xa0, al
    mov al, 0x08
    out 0x21, al
    mov al, 0x70
    out 0xa1, al
    mov al, 4
    out 0x21, al
    mov al, 2
    out 0xa1, al
    mov al, 1
    out 0x21, al
    out 0xa1, al
    mov al, [ebx + {MASKS}]
    out 0x21, al
    mov al, [ebx + {MASKS} + 1]
    out 0xa1, al

    push {CODE_16}
    /* PUSH of 32 bits: the assembler takes no difference of labels as an operand. */
    .byte 0x68
    .long {CODE} + 2f - rar_carrier_chain
    retf

.code16
2:  mov ax, {DATA_16}
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    mov sp, 0x7000
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    push word ptr cs:[{SEGMENT}]
    /* PUSH and RETF of 16 bits, for which the assembler has no names. */
    .byte 0x68
    .short {CODE} + 3f - rar_carrier_chain
    .byte 0xcb
3:  xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    mov sp, 0x7000
    lidt cs:[{IDT_POINTER}]
    sti
    int 0x18
4:  hlt
    jmp 4b

/* Interrupt 0x15. What is not about memory goes on to the handler of before. */
.balign 4
rar_carrier_chain_handler:
    cmp ax, 0xe820
    je 10f
    cmp ax, 0xe801
    je 20f
    cmp ax, 0xe881
    je 40f
    cmp ah, 0x88
    je 30f
    push word ptr cs:[{OLD} + 2]
    push word ptr cs:[{OLD}]
    .byte 0xcb

/* One entry to ES:DI, of 24 bytes where there is room: the last four say that it counts (ACPI, "INT 15H, E820H"). */
10: cmp edx, 0x534d4150
    jne 40f
    cmp ecx, 20
    jb 40f
    cmp ebx, cs:[{COUNT}]
    jae 40f
    push ds
    push esi
    push di
    push cs
    pop ds
    imul esi, ebx, 20
    add si, {TABLE}
    cld
    cmp ecx, 24
    mov ecx, 20
    jb 11f
    mov dword ptr es:[di + 20], 1
    mov ecx, 24
11: push ecx
    mov cx, 10
    rep movsw
    pop ecx
    pop di
    pop esi
    pop ds
    inc ebx
    cmp ebx, cs:[{COUNT}]
    jb 12f
    xor ebx, ebx
12: mov eax, 0x534d4150
    jmp 50f

20: mov ax, cs:[{TO_BORDER}]
    mov cx, ax
    mov bx, cs:[{ABOVE_BORDER}]
    mov dx, bx
    jmp 50f

30: mov ax, cs:[{EXTENDED}]
    jmp 50f

/* There is no such function. */
40: mov ah, 0x86
    push bp
    mov bp, sp
    or byte ptr [bp + 6], 1
    pop bp
    iret

/* Done: the carry flag of the caller is clear. */
50: push bp
    mov bp, sp
    and byte ptr [bp + 6], 0xfe
    pop bp
    iret
.code64
rar_carrier_chain_end:
