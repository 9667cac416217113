//! The files that a payload is made of, and where they lie.

use crate::archive::{is_archive, members};
use crate::error::PayloadError;

/// A file in physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// The physical address of its first byte.
    pub start: u64,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// What the loader says about it.
    pub line: &'a str,
}

impl File<'_> {
    /// Returns the first address after the file.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Returns the file's range.
    #[must_use]
    pub const fn range(&self) -> (u64, u64) {
        (self.start, self.end())
    }
}

/// The most files beside the kernel.
const MOST: usize = 16;

/// The files that a payload is made of.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// The kernel.
    pub kernel: File<'a>,
    modules: [Option<File<'a>>; MOST],
}

impl<'a> Files<'a> {
    /// Returns a payload of a kernel and its modules, in their order. A kernel that is an archive
    /// stands for the files in it: `kernel` is the kernel, every other one a module.
    ///
    /// Returns `None` without a kernel.
    ///
    /// # Errors
    ///
    /// [`PayloadError::Archive`] of a malformed archive, [`PayloadError::TwoKernels`] of one with
    /// two kernels, [`PayloadError::TooManyParts`] with more than 16 modules.
    pub fn new(files: impl IntoIterator<Item = File<'a>>) -> Result<Option<Self>, PayloadError> {
        let mut modules = [None; MOST];
        let mut kernel = None;
        let mut count = 0;
        let mut add = |file| {
            let place = modules.get_mut(count).ok_or(PayloadError::TooManyParts)?;
            *place = Some(file);
            count += 1;
            Ok::<_, PayloadError>(())
        };
        for (number, file) in files.into_iter().enumerate() {
            if number > 0 {
                add(file)?;
            } else if is_archive(file.bytes) {
                for member in members(file.bytes) {
                    let member = member?;
                    let found = File {
                        start: file.start + member.offset as u64,
                        bytes: member.bytes,
                        line: member.name,
                    };
                    if member.name == "kernel" {
                        if kernel.replace(found).is_some() {
                            return Err(PayloadError::TwoKernels);
                        }
                    } else {
                        add(found)?;
                    }
                }
            } else {
                kernel = Some(file);
            }
        }
        Ok(kernel.map(|kernel| Self { kernel, modules }))
    }

    /// Returns the files beside the kernel, in their order.
    pub fn modules(&self) -> impl Iterator<Item = File<'a>> {
        self.modules.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::pack;

    fn files(names: &[&str]) -> Result<Option<String>, PayloadError> {
        let members: Vec<_> = names.iter().map(|name| (*name, name.as_bytes())).collect();
        let bytes = pack(&members);
        let file = File {
            start: 0x1000,
            bytes: &bytes,
            line: "",
        };
        let files = Files::new([file])?;
        Ok(files.map(|files| {
            let modules = files.modules().map(|module| module.line);
            core::iter::once(files.kernel.line).chain(modules).collect()
        }))
    }

    #[test]
    fn a_pack_has_one_kernel() {
        assert_eq!(files(&["initrd"]), Ok(None));
        let found = files(&["initrd", "kernel", "initrd"]);
        assert_eq!(found, Ok(Some("kernelinitrdinitrd".to_owned())));
        assert_eq!(files(&["kernel", "kernel"]), Err(PayloadError::TwoKernels));
    }
}
