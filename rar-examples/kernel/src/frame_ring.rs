//! A ring of whole log frames between one CPU that writes and whichever CPU drains.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// A byte ring whose reader sees whole frames only.
///
/// One writer, one reader at a time. A frame that does not fit is dropped as a whole and counted,
/// so that the bytes that come out always decode.
#[derive(Debug)]
pub struct FrameRing<const N: usize> {
    bytes: [AtomicU8; N],
    /// Where the reader goes on; counts bytes since the start.
    read: AtomicUsize,
    /// End of the last whole frame.
    committed: AtomicUsize,
    /// End of the open frame; the writer's own.
    open: AtomicUsize,
    /// The open frame did not fit; the writer's own.
    overflowed: AtomicUsize,
    dropped: AtomicUsize,
}

impl<const N: usize> FrameRing<N> {
    /// An empty ring.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [const { AtomicU8::new(0) }; N],
            read: AtomicUsize::new(0),
            committed: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            overflowed: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        }
    }

    /// Begins a frame. The writer only.
    pub fn begin(&self) {
        self.open
            .store(self.committed.load(Ordering::Relaxed), Ordering::Relaxed);
        self.overflowed.store(0, Ordering::Relaxed);
    }

    /// Adds bytes to the open frame. The writer only.
    pub fn write(&self, bytes: &[u8]) {
        let open = self.open.load(Ordering::Relaxed);
        // Acquire pairs with the Release in `drain`: the reader is done with the bytes that are
        // overwritten here.
        let used = open.wrapping_sub(self.read.load(Ordering::Acquire));
        if bytes.len() > N.saturating_sub(used) {
            self.overflowed.store(1, Ordering::Relaxed);
        }
        if self.overflowed.load(Ordering::Relaxed) != 0 {
            return;
        }
        for (offset, byte) in bytes.iter().enumerate() {
            if let Some(place) = self.bytes.get(open.wrapping_add(offset) % N) {
                place.store(*byte, Ordering::Relaxed);
            }
        }
        self.open
            .store(open.wrapping_add(bytes.len()), Ordering::Relaxed);
    }

    /// Ends the open frame: shown to the reader, or dropped when it did not fit. The writer only.
    pub fn commit(&self) {
        if self.overflowed.load(Ordering::Relaxed) == 0 {
            // Release pairs with the Acquire in `drain`: the bytes of the frame come before its
            // end.
            self.committed
                .store(self.open.load(Ordering::Relaxed), Ordering::Release);
        } else {
            self.count_dropped();
        }
    }

    /// Counts a frame that was never begun.
    pub fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many frames were dropped.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Hands every byte of the whole frames to `sink`, in order. One reader at a time.
    pub fn drain(&self, mut sink: impl FnMut(u8)) {
        let end = self.committed.load(Ordering::Acquire);
        let mut at = self.read.load(Ordering::Relaxed);
        while at != end {
            if let Some(place) = self.bytes.get(at % N) {
                sink(place.load(Ordering::Relaxed));
            }
            at = at.wrapping_add(1);
        }
        self.read.store(at, Ordering::Release);
    }
}

impl<const N: usize> Default for FrameRing<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain<const N: usize>(ring: &FrameRing<N>) -> Vec<u8> {
        let mut bytes = Vec::new();
        ring.drain(|byte| bytes.push(byte));
        bytes
    }

    fn frame<const N: usize>(ring: &FrameRing<N>, bytes: &[u8]) {
        ring.begin();
        ring.write(bytes);
        ring.commit();
    }

    #[test]
    fn an_open_frame_is_not_seen() {
        let ring = FrameRing::<8>::new();
        ring.begin();
        ring.write(&[1, 2]);
        assert!(drain(&ring).is_empty());
        ring.commit();
        assert_eq!(drain(&ring), [1, 2]);
    }

    #[test]
    fn a_frame_that_does_not_fit_is_dropped_whole() {
        let ring = FrameRing::<8>::new();
        frame(&ring, &[1; 6]);
        ring.begin();
        ring.write(&[2; 2]);
        ring.write(&[2; 1]);
        ring.commit();
        frame(&ring, &[3; 2]);
        assert_eq!(drain(&ring), [1, 1, 1, 1, 1, 1, 3, 3]);
        assert_eq!(ring.dropped(), 1);
    }

    #[test]
    fn it_wraps_around() {
        let ring = FrameRing::<8>::new();
        for round in 0..100 {
            frame(&ring, &[round, round, round]);
            assert_eq!(drain(&ring), [round; 3]);
        }
        assert_eq!(ring.dropped(), 0);
    }

    #[test]
    fn two_threads_see_whole_frames_in_order() {
        let ring = FrameRing::<64>::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..2000_u16 {
                    frame(&ring, &number.to_le_bytes());
                }
            });
            let mut last = None;
            for _ in 0..2000 {
                for pair in drain(&ring).chunks(2) {
                    let number = u16::from_le_bytes([pair[0], pair[1]]);
                    assert!(last.is_none_or(|last| last < number));
                    last = Some(number);
                }
            }
        });
    }
}
