//! From 64 bytes to the operation, strictly.

use crate::{
    Cr3, DecodeError, Field, Globals, InvpcidScope, InvpgScope, LinearAddressWidth, Operation,
    PageChunk, PageRange, PageSize, Payload, Pcid,
};
#[cfg(feature = "unverified")]
use crate::{Eptp, InveptScope, InvvpidScope, Vpid};

impl Operation {
    /// Returns the operation that an entry asks for.
    ///
    /// Accepted is exactly what [`encode`](Self::encode) can produce, plus anything in the software
    /// byte and the software area, which are free for software and ignored. Addresses are judged by
    /// 57 bits, since an entry does not say how many levels the processor walks. Hardware may well
    /// accept more; what it answers otherwise is unknown.
    ///
    /// An MSR write (type 5) is always an error here, since a safe function may not build one:
    /// `MsrWrite::decode` does.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] names the first field found wrong and its value. The type is looked at
    /// first, then the reserved bits, then the subtype and its fields.
    #[inline]
    pub fn decode(payload: &Payload) -> Result<Self, DecodeError> {
        let decoder = Decoder(payload);
        match payload.payload_type() {
            0 => decoder.invpg(true),
            1 => decoder.invpg(false),
            2 => decoder.invpcid(),
            #[cfg(feature = "unverified")]
            3 => decoder.invept(),
            #[cfg(feature = "unverified")]
            4 => decoder.invvpid(),
            #[cfg(feature = "unverified")]
            crate::MsrWrite::TYPE => Err(DecodeError::WritesMsr),
            payload_type => Err(DecodeError::UnknownType { payload_type }),
        }
    }
}

impl TryFrom<Payload> for Operation {
    type Error = DecodeError;

    fn try_from(payload: Payload) -> Result<Self, DecodeError> {
        Self::decode(&payload)
    }
}

/// The fields of one entry, each with its rule.
struct Decoder<'a>(&'a Payload);

impl Decoder<'_> {
    fn invpg(&self, matches_cr3: bool) -> Result<Operation, DecodeError> {
        self.reserved()?;
        let scope = match self.0.subtype() {
            0 => InvpgScope::Pages(self.pages()?),
            2 => InvpgScope::All(self.all(Globals::Include)?),
            3 => InvpgScope::All(self.all(Globals::Exclude)?),
            _ => return Err(self.unknown_subtype()),
        };
        let cr3 = if matches_cr3 {
            Some(self.cr3()?)
        } else {
            self.unused(&[Field::Operand])?;
            None
        };
        Ok(Operation::Invpg { cr3, scope })
    }

    #[inline]
    fn invpcid(&self) -> Result<Operation, DecodeError> {
        self.reserved()?;
        let scope = match self.0.subtype() {
            0 => InvpcidScope::Pages {
                pcid: self.pcid()?,
                pages: self.pages()?,
            },
            1 => {
                self.no_pages()?;
                InvpcidScope::Context { pcid: self.pcid()? }
            }
            2 => InvpcidScope::AllContexts(self.all_contexts(Globals::Include)?),
            3 => InvpcidScope::AllContexts(self.all_contexts(Globals::Exclude)?),
            _ => return Err(self.unknown_subtype()),
        };
        Ok(Operation::Invpcid(scope))
    }

    #[cfg(feature = "unverified")]
    fn invept(&self) -> Result<Operation, DecodeError> {
        self.reserved()?;
        let scope = match self.0.subtype() {
            1 => {
                self.no_pages()?;
                let eptp = Eptp::new(self.0.operand()).map_err(|_| self.invalid_operand())?;
                InveptScope::Context { eptp }
            }
            2 => {
                self.no_pages()?;
                self.unused(&[Field::Operand])?;
                InveptScope::Global
            }
            _ => return Err(self.unknown_subtype()),
        };
        Ok(Operation::Invept(scope))
    }

    #[cfg(feature = "unverified")]
    fn invvpid(&self) -> Result<Operation, DecodeError> {
        self.reserved()?;
        let scope = match self.0.subtype() {
            0 => InvvpidScope::Pages {
                vpid: self.vpid()?,
                pages: self.pages()?,
            },
            1 => {
                self.no_pages()?;
                InvvpidScope::Context { vpid: self.vpid()? }
            }
            2 => {
                self.no_pages()?;
                self.unused(&[Field::Operand])?;
                InvvpidScope::AllContexts
            }
            3 => {
                self.no_pages()?;
                InvvpidScope::ContextKeepingGlobals { vpid: self.vpid()? }
            }
            _ => return Err(self.unknown_subtype()),
        };
        Ok(Operation::Invvpid(scope))
    }

    #[inline]
    fn reserved(&self) -> Result<(), DecodeError> {
        for field in [Field::ReservedLow, Field::ReservedHigh, Field::ReservedWord] {
            let value = self.0.field(field);
            if value != 0 {
                return Err(DecodeError::ReservedBits { field, value });
            }
        }
        Ok(())
    }

    fn unused(&self, fields: &[Field]) -> Result<(), DecodeError> {
        for &field in fields {
            let value = self.0.field(field);
            if value != 0 {
                return Err(DecodeError::IrrelevantField { field, value });
            }
        }
        Ok(())
    }

    fn no_pages(&self) -> Result<(), DecodeError> {
        self.unused(&[Field::PageSize, Field::PageCount, Field::Address])
    }

    fn all(&self, globals: Globals) -> Result<Globals, DecodeError> {
        self.no_pages()?;
        Ok(globals)
    }

    fn all_contexts(&self, globals: Globals) -> Result<Globals, DecodeError> {
        self.unused(&[Field::Operand])?;
        self.all(globals)
    }

    #[inline]
    fn pages(&self) -> Result<PageChunk, DecodeError> {
        let code = self.0.page_size_code();
        let size = PageSize::from_code(code).ok_or(DecodeError::UndefinedPageSize { code })?;
        let pages = self.0.page_count();
        if pages == 0 {
            return Err(DecodeError::NoPages);
        }
        const CONTROL: u64 = Field::PageSize.mask() | Field::PageCount.mask();
        let [control, ..] = self.0.words();
        PageRange::with_width(
            self.0.address(),
            u64::from(pages),
            size,
            LinearAddressWidth::Bits57,
        )
        .map(|range| PageChunk::of_entry(range, control & CONTROL))
        .map_err(DecodeError::InvalidRange)
    }

    fn cr3(&self) -> Result<Cr3, DecodeError> {
        Cr3::new(self.0.operand()).map_err(|_| self.invalid_operand())
    }

    fn pcid(&self) -> Result<Pcid, DecodeError> {
        let number = u16::try_from(self.0.operand()).map_err(|_| self.invalid_operand())?;
        Pcid::new(number).map_err(|_| self.invalid_operand())
    }

    #[cfg(feature = "unverified")]
    fn vpid(&self) -> Result<Vpid, DecodeError> {
        let number = u16::try_from(self.0.operand()).map_err(|_| self.invalid_operand())?;
        Vpid::new(number).map_err(|_| self.invalid_operand())
    }

    fn invalid_operand(&self) -> DecodeError {
        DecodeError::InvalidOperand {
            payload_type: self.0.payload_type(),
            operand: self.0.operand(),
        }
    }

    fn unknown_subtype(&self) -> DecodeError {
        DecodeError::UnknownSubtype {
            payload_type: self.0.payload_type(),
            subtype: self.0.subtype(),
        }
    }
}
