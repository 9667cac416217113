//! Room for a sentence.

use rar_vocabulary::Text;

/// Room for the reason of an outcome, or for an observation.
pub(crate) type Why = Text<480>;
