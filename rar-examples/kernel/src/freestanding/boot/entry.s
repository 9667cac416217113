/* The two ways in, both in 32-bit protected mode with paging off: multiboot2 (GRUB, BIOS and UEFI) and PVH
   (qemu -kernel). Both end in rar_kernel_start(protocol, information address) in 64-bit mode. */

.section .boot.header, "ax", @progbits
.balign 8
multiboot2_header:
    .long 0xe85250d6
    .long 0
    .long multiboot2_header_end - multiboot2_header
    .long 0x100000000 - (0xe85250d6 + (multiboot2_header_end - multiboot2_header))
    /* Information request: command line, memory map, framebuffer, both RSDP copies. Optional, a missing one is no error. */
    .balign 8
    .word 1
    .word 1
    .long 28
    .long 1, 6, 8, 14, 15
    /* Console flags: VGA text will do. */
    .balign 8
    .word 4
    .word 1
    .long 12
    .long 2
    /* Framebuffer of any size, 32 bits a pixel if there is a choice. Optional. */
    .balign 8
    .word 5
    .word 1
    .long 20
    .long 0, 0, 32
    /* Entry address. */
    .balign 8
    .word 3
    .word 0
    .long 12
    .long rar_kernel_multiboot2_entry
    .balign 8
    .word 0
    .word 0
    .long 8
multiboot2_header_end:

.section .note.Xen, "a", @note
.balign 4
    .long 4
    .long 8
    .long 18
    .asciz "Xen"
    .quad rar_kernel_pvh_entry

.section .boot.text, "ax", @progbits
.code32
.global rar_kernel_multiboot2_entry
rar_kernel_multiboot2_entry:
    cli
    cld
    mov esi, ebx
    mov edi, eax
    jmp to_long_mode

.global rar_kernel_pvh_entry
rar_kernel_pvh_entry:
    cli
    cld
    mov esi, ebx
    mov edi, [ebx]

/* EDI = magic number of the protocol, ESI = physical address of its information. */
to_long_mode:
    mov esp, offset rar_kernel_stack_top

    /* Leaf 0x80000001, EDX bit 29: no long mode, no kernel. */
    mov ebp, esi
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb refuse
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    jnc refuse
    mov esi, ebp

    /* Identity map of the first 4 GiB in 2 MiB pages, replaced as soon as the memory map is known. */
    mov eax, offset boot_pdpt
    or eax, 3
    mov [boot_pml4], eax
    mov eax, offset boot_pd
    or eax, 3
    mov ecx, 0
1:  mov [boot_pdpt + ecx * 8], eax
    add eax, 0x1000
    inc ecx
    cmp ecx, 4
    jb 1b
    mov eax, 0x83
    mov ecx, 0
2:  mov [boot_pd + ecx * 8], eax
    add eax, 0x200000
    inc ecx
    cmp ecx, 2048
    jb 2b
    mov eax, offset boot_pml4
    mov cr3, eax

    /* PAE; OSFXSR and OSXMMEXCPT: the prebuilt core uses SSE. */
    mov eax, 0x620
    mov cr4, eax

    /* EFER.LME */
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x100
    wrmsr

    /* Clear CD, NW, TS, EM, AM; set PG, WP, NE, ET, MP, PE. */
    mov eax, cr0
    and eax, 0x9ffbfff3
    or eax, 0x80010033
    mov cr0, eax

    lgdt [boot_gdt_pointer]
    push 0x08
    mov eax, offset long_mode
    push eax
    retf

refuse:
    mov dx, 0x3f8
    mov esi, offset refusal
3:  lodsb
    test al, al
    jz 4f
    out dx, al
    jmp 3b
4:  mov al, 0x12
    mov dx, 0xf4
    out dx, eax
5:  hlt
    jmp 5b

.code64
long_mode:
    mov eax, 0x10
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    xor ebp, ebp
    mov edi, edi
    mov esi, esi
    call rar_kernel_start
    ud2

.section .rodata
refusal:
    .asciz "this CPU has no 64-bit mode\r\n"
.balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
boot_gdt_pointer:
    .word 23
    .quad boot_gdt

.section .bss.boot, "aw", @nobits
.balign 4096
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd:   .skip 16384
