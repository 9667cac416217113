//! Base45 (RFC 9285): two bytes as three characters of the alphabet that QR codes pack best.
//!
//! The crates for it return strings, which need an allocator.

use core::fmt;

/// The alphabet, in the order of its values.
const ALPHABET: &[u8; 45] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

/// Bytes that are shown as base45.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base45<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Base45<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for pair in self.0.chunks(2) {
            let (value, digits) = match *pair {
                [high, low] => (u32::from(high) * 256 + u32::from(low), 3),
                [one] => (u32::from(one), 2),
                _ => continue,
            };
            for digit in [value % 45, value / 45 % 45, value / 45 / 45]
                .into_iter()
                .take(digits)
            {
                let character = ALPHABET.get(digit as usize).copied().unwrap_or(b'?');
                fmt::Write::write_char(f, char::from(character))?;
            }
        }
        Ok(())
    }
}

/// Decodes `text` into `out`; `None` if it is not base45, or if `out` is too short.
pub(crate) fn decode<'b>(text: &str, out: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut used = 0;
    for group in text.as_bytes().chunks(3) {
        let mut value = 0;
        for character in group.iter().rev() {
            value = value * 45 + digit(*character)?;
        }
        let bytes = match group.len() {
            3 => &u16::try_from(value).ok()?.to_be_bytes()[..],
            2 => &u8::try_from(value).ok()?.to_be_bytes(),
            _ => return None,
        };
        out.get_mut(used..used + bytes.len())?
            .copy_from_slice(bytes);
        used += bytes.len();
    }
    out.get(..used)
}

/// Returns the value of a character.
fn digit(character: u8) -> Option<u32> {
    ALPHABET
        .iter()
        .position(|known| *known == character)
        .and_then(|value| u32::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString as _;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        for (plain, encoded) in [
            ("AB", "BB8"),
            ("Hello!!", "%69 VD92EX0"),
            ("base-45", "UJCLQE7W581"),
            ("ietf!", "QED8WEX0"),
        ] {
            assert_eq!(Base45(plain.as_bytes()).to_string(), encoded);
            let mut out = [0; 16];
            assert_eq!(decode(encoded, &mut out), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["A", "ABCD", "::", ":::", "GGX", "aa0", "A\n0"] {
            assert_eq!(decode(text, &mut [0; 16]), None, "{text:?}");
        }
        assert_eq!(decode("BB8", &mut [0; 1]), None);
    }

    proptest! {
        #[test]
        fn another_implementation_agrees(bytes: Vec<u8>) {
            let text = Base45(&bytes).to_string();
            prop_assert_eq!(&text, &::base45::encode(&bytes));
            let mut out = std::vec![0; bytes.len()];
            prop_assert_eq!(decode(&text, &mut out), Some(&bytes[..]));
        }
    }
}
