//! rar-percpu
