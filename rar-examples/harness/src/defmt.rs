//! Turns the guest's defmt frames into text.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use defmt_decoder::{DecodeError, Table};

/// Returns the text of `frames`, one line each, decoded against the kernel's ELF file.
///
/// # Errors
///
/// The ELF file or its defmt section cannot be read.
pub fn decode(elf: &[u8], frames: &[u8]) -> Result<String> {
    let Some(table) = Table::parse(elf).context("the kernel's defmt section cannot be read")?
    else {
        return Ok(if frames.is_empty() {
            String::new()
        } else {
            format!(
                "({} bytes of frames, but the kernel has no defmt section)\n",
                frames.len()
            )
        });
    };
    let locations = table.get_locations(elf).unwrap_or_default();
    let mut decoder = table.new_stream_decoder();
    decoder.received(frames);
    let mut text = String::new();
    loop {
        match decoder.decode() {
            Ok(frame) => {
                text.push_str(&frame.display(false).to_string());
                if let Some(location) = locations.get(&frame.index()) {
                    let file = location.file.file_name().unwrap_or_default().display();
                    write!(text, "  ({file}:{})", location.line)
                        .context("cannot format a frame")?;
                }
                text.push('\n');
            }
            Err(DecodeError::UnexpectedEof) => return Ok(text),
            Err(DecodeError::Malformed) => {
                text.push_str("(a damaged frame)\n");
                if !table.encoding().can_recover() {
                    return Ok(text);
                }
            }
        }
    }
}
