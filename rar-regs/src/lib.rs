//! rar-regs
