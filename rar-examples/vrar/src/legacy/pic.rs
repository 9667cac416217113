//! One legacy interrupt controller, an Intel 8259A, as a guest sees it.

/// What the next write of the data port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    /// The mask.
    Mask,
    Vector,
    Wiring,
    Mode,
}

/// Which register a read of the command port shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Requested,
    InService,
    /// The next read acknowledges: a poll.
    Poll,
}

/// A write of the command port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The initialisation begins: all that waited is forgotten.
    Reset,
    Command,
}

/// One controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pic {
    pub(crate) requested: u8,
    pub(crate) in_service: u8,
    pub(crate) masked: u8,
    /// The vector of its first input.
    base: u8,
    /// The input of the lowest priority; the next one has the highest.
    lowest: u8,
    expects: Expects,
    has_wiring: bool,
    has_mode: bool,
    ends_by_itself: bool,
    rotates: bool,
    special_mask: bool,
    /// An input in service does not keep itself out: for a master whose slave has priorities.
    special_nesting: bool,
    shown: Shown,
}

const INITIALISE: u8 = 1 << 4;
const WITHOUT_WIRING: u8 = 1 << 1;
const WITH_MODE: u8 = 1 << 0;
const STATUS: u8 = 1 << 3;
const MODE_ENDS: u8 = 1 << 1;
const MODE_NESTING: u8 = 1 << 4;
const LAST: u8 = 7;

impl Pic {
    /// Returns a controller whose inputs have these vectors.
    pub(crate) const fn new(base: u8) -> Self {
        Self {
            requested: 0,
            in_service: 0,
            masked: 0,
            base,
            lowest: LAST,
            expects: Expects::Mask,
            has_wiring: false,
            has_mode: false,
            ends_by_itself: false,
            rotates: false,
            special_mask: false,
            special_nesting: false,
            shown: Shown::Requested,
        }
    }

    pub(crate) fn write_command(&mut self, value: u8) -> Written {
        if value & INITIALISE != 0 {
            *self = Self {
                expects: Expects::Vector,
                has_wiring: value & WITHOUT_WIRING == 0,
                has_mode: value & WITH_MODE != 0,
                ..Self::new(self.base)
            };
            return Written::Reset;
        }
        if value & STATUS != 0 {
            self.write_status(value);
        } else {
            self.end(value >> 5, value & 7);
        }
        Written::Command
    }

    fn write_status(&mut self, value: u8) {
        self.shown = match value & 0b111 {
            0b100.. => Shown::Poll,
            0b010 => Shown::Requested,
            0b011 => Shown::InService,
            _ => self.shown,
        };
        match value >> 5 & 0b11 {
            0b10 => self.special_mask = false,
            0b11 => self.special_mask = true,
            _ => {}
        }
    }

    fn end(&mut self, command: u8, input: u8) {
        match command {
            0b000 => self.rotates = false,
            0b100 => self.rotates = true,
            0b001 | 0b101 => {
                if let Some(served) = self.highest(self.heeded()) {
                    self.in_service &= !(1 << served);
                    if command == 0b101 {
                        self.lowest = served;
                    }
                }
            }
            0b011 => self.in_service &= !(1 << input),
            0b110 => self.lowest = input,
            0b111 => {
                self.in_service &= !(1 << input);
                self.lowest = input;
            }
            _ => {}
        }
    }

    pub(crate) fn write_data(&mut self, value: u8) {
        self.expects = match self.expects {
            Expects::Mask => {
                self.masked = value;
                Expects::Mask
            }
            Expects::Vector => {
                self.base = value & !7;
                match (self.has_wiring, self.has_mode) {
                    (true, _) => Expects::Wiring,
                    (false, true) => Expects::Mode,
                    (false, false) => Expects::Mask,
                }
            }
            Expects::Wiring if self.has_mode => Expects::Mode,
            Expects::Wiring => Expects::Mask,
            Expects::Mode => {
                self.ends_by_itself = value & MODE_ENDS != 0;
                self.special_nesting = value & MODE_NESTING != 0;
                Expects::Mask
            }
        };
    }

    pub(crate) fn shown(&self) -> Shown {
        self.shown
    }

    /// Returns whether it works: its initialisation is over.
    pub(crate) fn is_ready(&self) -> bool {
        self.expects == Expects::Mask
    }

    pub(crate) fn vector(&self, input: u8) -> u8 {
        self.base | input & 7
    }

    /// Returns whether it forgets an interrupt once that is acknowledged.
    pub(crate) fn ends_by_itself(&self) -> bool {
        self.ends_by_itself
    }

    /// Returns the input that interrupts. `more` are requests beside its own, and `nested` inputs
    /// that may be nested in special fully nested mode.
    pub(crate) fn pending(&self, more: u8, nested: u8) -> Option<u8> {
        if !self.is_ready() {
            return None;
        }
        let asks = self.highest((self.requested | more) & !self.masked)?;
        let nests = |served| self.special_nesting && served == asks && nested >> asks & 1 != 0;
        let is_above = |served| self.rank(asks) < self.rank(served) || nests(served);
        let serving = self.highest(self.heeded());
        serving.is_none_or(is_above).then_some(asks)
    }

    /// Returns what is in service and keeps others out, and is what an end without a number ends:
    /// in special mask mode not what is masked.
    fn heeded(&self) -> u8 {
        let masked = if self.special_mask { self.masked } else { 0 };
        self.in_service & !masked
    }

    /// The processor takes the input.
    pub(crate) fn acknowledge(&mut self, input: u8) {
        self.requested &= !(1 << input);
        if !self.ends_by_itself {
            self.in_service |= 1 << input;
        } else if self.rotates {
            self.lowest = input;
        }
    }

    /// A poll was read: the register of before is shown again.
    pub(crate) fn end_poll(&mut self) {
        self.shown = Shown::Requested;
    }

    /// How many inputs have a higher priority.
    fn rank(&self, input: u8) -> u8 {
        input.wrapping_sub(self.lowest).wrapping_sub(1) & 7
    }

    fn highest(&self, inputs: u8) -> Option<u8> {
        let asked = (0..=LAST).filter(|input| inputs >> input & 1 != 0);
        asked.min_by_key(|input| self.rank(*input))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(mode: u8) -> Pic {
        let mut pic = Pic::new(0);
        assert_eq!(pic.write_command(0x11), Written::Reset);
        for value in [0x0f, 0x04, mode] {
            assert!(!pic.is_ready());
            pic.write_data(value);
        }
        pic
    }

    fn request(pic: &mut Pic, inputs: u8) -> Option<u8> {
        pic.requested |= inputs;
        pic.pending(0, 0)
    }

    #[test]
    fn the_words_of_the_initialisation() {
        // Command word, words at the data port until it is ready.
        for (first, words) in [(0x11, 3), (0x10, 2), (0x13, 2), (0x12, 1)] {
            let mut pic = Pic::new(0x70);
            (pic.requested, pic.in_service, pic.masked) = (7, 7, 7);
            pic.write_command(first);
            assert_eq!((pic.requested, pic.in_service, pic.masked), (0, 0, 0));
            pic.requested = 1;
            for _ in 0..words {
                assert_eq!(pic.pending(0, 0), None);
                pic.write_data(0x0d);
            }
            assert_eq!(pic.pending(0, 0), Some(0), "{first:#x}");
            assert_eq!(pic.vector(3), 0x0b);
            pic.write_data(0xfb);
            assert_eq!(pic.masked, 0xfb);
        }
    }

    #[test]
    fn a_lower_input_waits_for_the_end_of_a_higher_one() {
        let mut pic = ready(1);
        assert_eq!(request(&mut pic, 0b1010), Some(1));
        pic.acknowledge(1);
        assert_eq!(pic.pending(0, 0), None);
        assert_eq!(request(&mut pic, 1), Some(0));
        pic.acknowledge(0);
        pic.write_command(0x20);
        assert_eq!((pic.in_service, pic.pending(0, 0)), (2, None));
        pic.write_command(0x20);
        assert_eq!(pic.pending(0, 0), Some(3));
        pic.masked = 8;
        assert_eq!(pic.pending(0, 0), None, "masked, and remembered");
        pic.masked = 0;
        assert_eq!(pic.pending(0, 0), Some(3));
    }

    #[test]
    fn ends_by_name_and_rotations() {
        let mut pic = ready(1);
        request(&mut pic, 0b101_0000);
        pic.acknowledge(4);
        pic.write_command(0x64);
        assert_eq!((pic.in_service, pic.pending(0, 0)), (0, Some(6)));
        // Input 4 has the lowest priority: 5 comes first, then 6, then 0.
        pic.write_command(0xc4);
        assert_eq!(request(&mut pic, 0b11), Some(6));
        pic.acknowledge(6);
        pic.write_command(0xa0);
        assert_eq!((pic.in_service, pic.pending(0, 0)), (0, Some(0)));
        pic.acknowledge(0);
        pic.write_command(0xe0);
        assert_eq!(request(&mut pic, 1), Some(1));
    }

    #[test]
    fn without_ends_nothing_is_in_service() {
        let mut pic = ready(3);
        assert!(pic.ends_by_itself());
        request(&mut pic, 1);
        pic.acknowledge(0);
        assert_eq!((pic.requested, pic.in_service), (0, 0));
        pic.write_command(0x80);
        request(&mut pic, 3);
        pic.acknowledge(0);
        assert_eq!(request(&mut pic, 1), Some(1), "rotates");
    }

    #[test]
    fn special_modes() {
        let mut pic = ready(0x11);
        request(&mut pic, 4);
        pic.acknowledge(2);
        assert_eq!(pic.pending(4, 0), None);
        assert_eq!(pic.pending(4, 4), Some(2));
        assert_eq!(request(&mut pic, 0x20), None);
        assert_eq!(pic.pending(0, 4), None, "only the slave itself is let in");
        pic.masked = 4;
        pic.write_command(0x68);
        assert_eq!(pic.pending(0, 0), Some(5));
        pic.acknowledge(5);
        pic.write_command(0x20);
        assert_eq!(pic.in_service, 4, "an end passes over what is masked");
        pic.write_command(0x20);
        assert_eq!(pic.in_service, 4);
        pic.requested = 0x20;
        pic.write_command(0x48);
        assert_eq!(pic.pending(0, 0), None);
    }

    #[test]
    fn reads_show_what_was_asked_for() {
        let mut pic = ready(1);
        assert_eq!(pic.shown(), Shown::Requested);
        for (command, shown) in [
            (0x0b, Shown::InService),
            (0x08, Shown::InService),
            (0x0a, Shown::Requested),
            (0x0c, Shown::Poll),
        ] {
            pic.write_command(command);
            assert_eq!(pic.shown(), shown, "{command:#x}");
        }
    }
}
