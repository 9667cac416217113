//! Where the firmware says that the I/O APICs are.

/// The addresses of I/O APICs, without repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApicList {
    addresses: [u32; Self::CAPACITY],
    count: usize,
    dropped: usize,
}

impl IoApicList {
    /// Most I/O APICs kept.
    pub const CAPACITY: usize = 64;

    /// Returns a list without I/O APICs.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            addresses: [0; Self::CAPACITY],
            count: 0,
            dropped: 0,
        }
    }

    /// Adds an I/O APIC by the physical address of its registers.
    pub fn push(&mut self, address: u32) {
        if self.addresses().contains(&address) {
            return;
        }
        match self.addresses.get_mut(self.count) {
            Some(place) => {
                *place = address;
                self.count += 1;
            }
            None => self.dropped += 1,
        }
    }

    /// Returns the physical addresses of their registers, by the word of the table alone.
    #[must_use]
    pub fn addresses(&self) -> &[u32] {
        self.addresses.get(..self.count).unwrap_or(&[])
    }

    /// Returns how many did not fit.
    #[must_use]
    pub const fn dropped(&self) -> usize {
        self.dropped
    }
}

impl Default for IoApicList {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_kept_once_and_the_rest_is_counted() {
        let mut list = IoApicList::new();
        for number in 0..66 {
            list.push(0xfec0_0000 + number * 0x1000);
            list.push(0xfec0_0000);
        }
        assert_eq!((list.addresses().len(), list.dropped()), (64, 2));
    }
}
