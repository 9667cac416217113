//! Page tables: the kernel's identity map and spaces that share it.

mod address_space;
mod entry;
pub(crate) mod kernel_map;
mod map_error;

pub use address_space::{AddressSpace, PageSize, PageTable};
pub use entry::{Cache, PageScope, Permission, USER};
pub(crate) use kernel_map::{KERNEL, build, map_read_only, map_screen, map_trampoline};
pub use kernel_map::{
    enter_kernel_space, kernel_entry, kernel_root, leaf, map_alias, map_device, map_stack, map_user,
};
pub use map_error::MapError;
