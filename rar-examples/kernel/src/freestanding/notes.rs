//! What the kernel found odd about the machine: printed at once, and kept for a report.

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::once::Once;
use crate::{NoteText, println};

/// Most notes kept.
const MOST: usize = 48;

/// Set one by one, without a lock: a note may come from any CPU, and a report may be written after
/// a CPU was stopped anywhere.
static NOTES: [Once<NoteText>; MOST] = [const { Once::new() }; MOST];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Prints a note on the console and keeps it, once if it comes again.
pub fn note(text: fmt::Arguments<'_>) {
    println!("{text}");
    let text = NoteText::of(text);
    if notes().any(|known| known == text.as_str()) {
        return;
    }
    // Orders nothing: `Once` publishes the text.
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    if let Some(place) = NOTES.get(number) {
        let _first = place.set(text);
    }
}

/// Returns the notes in their order.
pub fn notes() -> impl Iterator<Item = &'static str> {
    NOTES.iter().filter_map(Once::get).map(NoteText::as_str)
}

/// Returns how many notes were printed, and had no room to be kept.
#[must_use]
pub fn notes_dropped() -> usize {
    COUNT.load(Ordering::Relaxed).saturating_sub(MOST)
}
