//! Any bytes as the values that a target needs: behind the end there are zeroes.

/// Reads values from bytes, in order.
#[derive(Clone, Debug)]
pub struct Input<'b> {
    bytes: &'b [u8],
}

impl<'b> Input<'b> {
    /// Returns a reader at the first byte.
    #[must_use]
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    /// Returns the bytes that are not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'b [u8] {
        self.bytes
    }

    /// Returns whether no byte is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the next `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut value = [0; N];
        let count = N.min(self.bytes.len());
        let (taken, rest) = self.bytes.split_at(count);
        for (place, byte) in value.iter_mut().zip(taken) {
            *place = *byte;
        }
        self.bytes = rest;
        value
    }

    /// Returns the next byte.
    pub fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.bytes())
    }

    /// Returns the next two bytes, the low one first.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    /// Returns the next eight bytes, the low one first.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// Returns one of these values.
    pub fn choose<T: Copy, const N: usize>(&mut self, values: [T; N]) -> T {
        const { assert!(N > 0 && N < 256, "one byte chooses") };
        let index = usize::from(self.u8()) % N;
        let mut values = values.into_iter();
        let last = values.clone().next_back();
        #[expect(
            clippy::expect_used,
            reason = "the array has a value, as checked above"
        )]
        values.nth(index).or(last).expect("a value")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_order_and_then_zeroes() {
        let mut input = Input::new(&[1, 2, 3, 7]);
        assert_eq!((input.u8(), input.u16()), (1, 0x302));
        assert_eq!(input.choose(['a', 'b', 'c']), 'b');
        assert!(input.is_empty() && input.rest().is_empty());
        assert_eq!((input.u64(), input.choose([5, 6])), (0, 5));
        assert_eq!(Input::new(&[9]).u64(), 9);
    }
}
