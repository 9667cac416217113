//! Which backends a run has.

use rar_suite::Backend;

/// The backends of a run in their order: the shim, once launched, stays.
pub const RUN_ORDER: [Backend; 3] = [Backend::Hardware, Backend::Software, Backend::Vrar];

/// Returns whether every name of the list is a backend's.
pub(super) fn are_backends(list: &str) -> bool {
    list.split(',')
        .all(|name| RUN_ORDER.iter().any(|backend| backend.name() == name))
}
