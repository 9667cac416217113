//! The two legacy interrupt controllers, and accesses to their ports.

pub(crate) mod external;
pub(crate) mod machine_pics;
pub(crate) mod pic;
pub(crate) mod pics;
pub(crate) mod port_access;
pub(crate) mod shared_pics;
