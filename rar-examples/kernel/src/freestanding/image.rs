//! Where the parts of the kernel's image begin, by the symbols of the linker script.

unsafe extern "C" {
    static rar_kernel_text_start: u8;
    static rar_kernel_rodata_start: u8;
    static rar_kernel_data_start: u8;
    static rar_kernel_stack_guard: u8;
    static rar_kernel_stack_bottom: u8;
    static rar_kernel_image_end: u8;
}

/// Where the parts of the image begin, each on a page border.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image {
    pub(crate) text: u64,
    pub(crate) rodata: u64,
    pub(crate) data: u64,
    pub(crate) stack_guard: u64,
    pub(crate) stack_bottom: u64,
    pub(crate) end: u64,
}

impl Image {
    pub(crate) fn get() -> Self {
        Self {
            text: (&raw const rar_kernel_text_start).addr() as u64,
            rodata: (&raw const rar_kernel_rodata_start).addr() as u64,
            data: (&raw const rar_kernel_data_start).addr() as u64,
            stack_guard: (&raw const rar_kernel_stack_guard).addr() as u64,
            stack_bottom: (&raw const rar_kernel_stack_bottom).addr() as u64,
            end: (&raw const rar_kernel_image_end).addr() as u64,
        }
    }

    /// Returns the whole image: its start and exclusive end.
    pub(crate) fn range() -> (u64, u64) {
        let image = Self::get();
        (image.text, image.end)
    }
}
