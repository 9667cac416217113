//! Enums whose variants have names for command lines.

/// Declares an enum with one row for each variant: its name, in lower case and hyphens, and what it
/// does, in one sentence.
///
/// The rows generate `ALL`, `name`, `by_name` and `describe`, so that no list of the variants can
/// be incomplete.
#[macro_export]
macro_rules! named_enum {
    (
        $(#[$doc:meta])*
        pub enum $type:ident {
            $($variant:ident $name:literal $description:literal;)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $(#[doc = $description] $variant,)*
        }

        impl $type {
            /// All of them, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the name, in lower case and hyphens.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the one of this name.
            #[must_use]
            pub fn by_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|each| each.name() == name)
            }

            /// Returns what it does, in one sentence.
            #[must_use]
            pub const fn describe(self) -> &'static str {
                match self {
                    $(Self::$variant => $description,)*
                }
            }
        }
    };
}
