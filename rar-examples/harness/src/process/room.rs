//! Programs that had no room to write.

/// Returns what a program could not write for, if it says so.
pub(super) fn lack_of_room(output: &str) -> Option<&'static str> {
    let causes = [
        ("No space left on device", "a disk is full"),
        // What xorriso says before it writes anything.
        ("exceeds free space on media", "a disk is full"),
        ("Read-only file system", "a file system is read-only"),
    ];
    let mut causes = causes.into_iter();
    causes.find_map(|(words, cause)| output.contains(words).then_some(cause))
}
