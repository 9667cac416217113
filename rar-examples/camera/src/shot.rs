//! The ways to photograph a screen.

use crate::Picture;
use crate::lens::{blurred, lit, stored};
use crate::view::View;

/// One way to photograph a screen.
#[derive(Clone, Copy, Debug)]
pub struct Shot {
    /// Its name.
    pub name: &'static str,
    take: fn(&Picture) -> Picture,
}

impl Shot {
    /// Takes the photo.
    #[must_use]
    pub fn take(&self, screen: &Picture) -> Picture {
        (self.take)(screen)
    }
}

/// Each way by itself, then all at once.
pub const SHOTS: [Shot; 9] = [
    Shot {
        name: "as it is",
        take: Picture::clone,
    },
    Shot {
        name: "turned by 7 degrees",
        take: |screen| View::turned(7.0).of(screen),
    },
    Shot {
        name: "turned by 90 degrees",
        take: |screen| View::turned(90.0).of(screen),
    },
    Shot {
        name: "turned by 180 degrees",
        take: |screen| View::turned(180.0).of(screen),
    },
    Shot {
        name: "from the side",
        take: |screen| {
            View {
                shorter: 0.15,
                ..View::FRONT
            }
            .of(screen)
        },
    },
    Shot {
        name: "out of focus",
        take: |screen| blurred(screen, 2.0),
    },
    Shot {
        name: "JPEG of quality 50",
        take: |screen| stored(screen, 50),
    },
    Shot {
        name: "from far away",
        take: |screen| View::far(0.4).of(screen),
    },
    Shot {
        name: "all of that",
        take: by_hand,
    },
];

/// A hand-held phone, a step too far to the side, in a dark room.
fn by_hand(screen: &Picture) -> Picture {
    let view = View {
        degrees: 7.0,
        shorter: 0.15,
        share: 0.6,
    };
    stored(&lit(&blurred(&view.of(screen), 1.0), 0.4, 12.0), 50)
}
