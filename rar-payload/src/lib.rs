//! rar-payload
