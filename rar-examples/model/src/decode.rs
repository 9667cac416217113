//! The strict reading of a payload.
//!
//! Every encoding without a meaning in the sources ends in FAILURE. The behaviour of silicon is
//! unknown: it might ignore some. Knobs relax the rules that drivers are known to bend.

use crate::{
    Action, Globals, Illegal, InvpcidScope, InvpgScope, InvvpidScope, Knobs, Offence, PageSize,
    Pages, ZeroPages,
};

const PAGE_FIELDS: u64 = 0xff << 35;

impl Action {
    /// Reads quadwords 0-3 of a payload under the rules of `knobs`.
    ///
    /// # Errors
    ///
    /// [`Illegal`] names the first offending field.
    pub fn decode(words: [u64; 4], knobs: &Knobs) -> Result<Self, Illegal> {
        let [control, zero, operand, address] = words;
        let fields = Fields {
            control,
            operand,
            address,
            knobs,
        };
        let [_, kind, ..] = control.to_le_bytes();
        if kind > 5 {
            return Err(Illegal::UnknownType(kind));
        }
        if knobs.types >> kind & 1 == 0 {
            return Err(Illegal::UnsupportedType(kind));
        }
        let upper = if kind == 5 { 0 } else { u64::MAX << 43 };
        fields.reserved(0, control & (upper | 0xffff_0000))?;
        fields.reserved(1, zero)?;
        let [.., subtype, _, _, _] = control.to_le_bytes();
        let subtype = subtype & 0b111;
        match (kind, subtype) {
            (0, _) => fields.invpg(kind, subtype, Some(operand)),
            (1, _) => {
                fields.unused(2, operand)?;
                fields.invpg(kind, subtype, None)
            }
            (2, _) => fields.invpcid(subtype).map(Self::Invpcid),
            (3, _) => fields.invept(subtype).map(Self::Invept),
            (4, _) => fields.invvpid(subtype).map(Self::Invvpid),
            _ => {
                fields.reserved(3, address)?;
                let [.., m0, m1, m2, m3] = control.to_le_bytes();
                Ok(Self::Wrmsr {
                    msr: u32::from_le_bytes([m0, m1, m2, m3]),
                    value: operand,
                })
            }
        }
    }
}

struct Fields<'a> {
    control: u64,
    operand: u64,
    address: u64,
    knobs: &'a Knobs,
}

impl Fields<'_> {
    fn invpg(&self, kind: u8, subtype: u8, cr3: Option<u64>) -> Result<Action, Illegal> {
        let scope = match subtype {
            0 => InvpgScope::Pages(self.pages()?),
            2 | 3 => {
                self.no_pages()?;
                InvpgScope::All(globals(subtype))
            }
            _ => return Err(Illegal::UnknownSubtype { kind, subtype }),
        };
        Ok(Action::Invpg { cr3, scope })
    }

    fn invpcid(&self, subtype: u8) -> Result<InvpcidScope, Illegal> {
        match subtype {
            0 => Ok(InvpcidScope::Pages {
                pcid: self.pcid()?,
                pages: self.pages()?,
            }),
            1 => {
                self.no_pages()?;
                Ok(InvpcidScope::Context { pcid: self.pcid()? })
            }
            2 | 3 => {
                self.no_pages()?;
                self.unused(2, self.operand)?;
                Ok(InvpcidScope::AllContexts(globals(subtype)))
            }
            _ => Err(Illegal::UnknownSubtype { kind: 2, subtype }),
        }
    }

    fn invept(&self, subtype: u8) -> Result<Option<u64>, Illegal> {
        self.no_pages()?;
        match subtype {
            1 => Ok(Some(self.operand)),
            2 => self.unused(2, self.operand).map(|()| None),
            _ => Err(Illegal::UnknownSubtype { kind: 3, subtype }),
        }
    }

    fn invvpid(&self, subtype: u8) -> Result<InvvpidScope, Illegal> {
        if subtype != 0 {
            self.no_pages()?;
        }
        match subtype {
            0 => Ok(InvvpidScope::Pages {
                vpid: self.vpid()?,
                pages: self.pages()?,
            }),
            1 => self.vpid().map(InvvpidScope::One),
            2 => self.unused(2, self.operand).map(|()| InvvpidScope::All),
            3 => self.vpid().map(InvvpidScope::OneExceptGlobals),
            _ => Err(Illegal::UnknownSubtype { kind: 4, subtype }),
        }
    }

    fn pages(&self) -> Result<Pages, Illegal> {
        let [size_and_count, ..] = (self.control >> 35).to_le_bytes();
        let size = match size_and_count & 0b11 {
            0 => PageSize::Size4K,
            1 => PageSize::Size2M,
            2 => PageSize::Size1G,
            _ => return Err(Illegal::PageSize),
        };
        let count = size_and_count >> 2;
        if count == 0 && self.knobs.zero_pages == ZeroPages::Fail {
            return Err(Illegal::ZeroPages);
        }
        let start = size.start_of(self.address);
        if start != self.address && self.knobs.misaligned == Offence::Fail {
            return Err(Illegal::Misaligned(self.address));
        }
        let pages = Pages { start, size, count };
        // 63 pages of 1 GiB are less than the canonical hole, so only a wrap must be excluded.
        let last = pages.last();
        let linear = self.knobs.linear;
        let legal = linear.is_canonical(start) && linear.is_canonical(last) && start <= last;
        if legal {
            Ok(pages)
        } else {
            Err(Illegal::NonCanonical { start, count })
        }
    }

    fn no_pages(&self) -> Result<(), Illegal> {
        self.unused(0, self.control & PAGE_FIELDS)?;
        self.unused(3, self.address)
    }

    fn pcid(&self) -> Result<u16, Illegal> {
        self.unused(2, self.operand & !0xfff)?;
        Ok(low_u16(self.operand & 0xfff))
    }

    fn vpid(&self) -> Result<u16, Illegal> {
        self.unused(2, self.operand & !0xffff)?;
        match low_u16(self.operand) {
            0 => Err(Illegal::VpidZero),
            vpid => Ok(vpid),
        }
    }

    fn reserved(&self, word: u8, bits: u64) -> Result<(), Illegal> {
        if bits != 0 && self.knobs.reserved_bits == Offence::Fail {
            return Err(Illegal::ReservedBits { word, bits });
        }
        Ok(())
    }

    fn unused(&self, word: u8, bits: u64) -> Result<(), Illegal> {
        if bits != 0 && self.knobs.unused_fields == Offence::Fail {
            return Err(Illegal::UnusedField { word, bits });
        }
        Ok(())
    }
}

fn globals(subtype: u8) -> Globals {
    if subtype == 2 {
        Globals::Include
    } else {
        Globals::Exclude
    }
}

fn low_u16(value: u64) -> u16 {
    let [low, high, ..] = value.to_le_bytes();
    u16::from_le_bytes([low, high])
}
