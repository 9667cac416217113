//! rar-shootdown
