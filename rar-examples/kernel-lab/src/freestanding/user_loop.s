/* What user mode executes, in a copy of its own: load the page (RDI), count (RCX) in the notes (RSI), until it is not the
   value (R10), the notes say so, or the time (R8) has come. */
.section .rodata
.global rar_lab_user_loop
rar_lab_user_loop:
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
.global rar_lab_user_loop_end
rar_lab_user_loop_end:
.text
