//! The shapes of the ten digits, as a pen draws them: several ways of writing for each.
//!
//! A glyph lies on a grid 100 units high, x to the right and y down; its size on the grid does not matter, for it is fitted
//! to the image later. The curves go through the nodes.

/// A point that the pen passes, in grid units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) x: f32,
    pub(super) y: f32,
    /// Whether the pen turns sharply here; else it passes in a smooth curve.
    pub(super) is_corner: bool,
}

/// The nodes that the pen passes without leaving the paper: at least two.
pub(super) type Stroke = &'static [Node];

/// One way of writing a digit.
pub(super) type Glyph = &'static [Stroke];

/// Every way of writing `digit`, which must be below 10. All are equally common.
pub(super) fn ways_of_writing(digit: usize) -> &'static [Glyph] {
    GLYPHS[digit]
}

const fn at(x: f32, y: f32) -> Node {
    Node { x, y, is_corner: false }
}

const fn corner(x: f32, y: f32) -> Node {
    Node { x, y, is_corner: true }
}

const GLYPHS: [&[Glyph]; 10] = [ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT, NINE];

const ZERO: &[Glyph] = &[
    // an oval, begun at the top
    &[&[
        at(50., 2.),
        at(22., 16.),
        at(10., 50.),
        at(22., 86.),
        at(50., 98.),
        at(78., 84.),
        at(90., 50.),
        at(78., 16.),
        at(48., 2.),
    ]],
    // begun at the right, its end crossing its beginning
    &[&[
        at(70., 12.),
        at(40., 3.),
        at(14., 34.),
        at(14., 74.),
        at(44., 98.),
        at(80., 80.),
        at(88., 40.),
        at(68., 8.),
        at(42., 10.),
    ]],
    // clockwise, pointed at the top
    &[&[
        at(46., 2.),
        at(74., 18.),
        at(84., 54.),
        at(66., 92.),
        at(36., 96.),
        at(14., 70.),
        at(16., 36.),
        at(34., 8.),
        at(52., 4.),
    ]],
];

const ONE: &[Glyph] = &[
    // a bar
    &[&[at(50., 2.), at(49., 50.), at(50., 98.)]],
    // a bar, a little bent
    &[&[at(58., 2.), at(48., 34.), at(46., 98.)]],
    // with a flag
    &[&[at(30., 24.), corner(54., 2.), at(54., 98.)]],
    // with a long flag
    &[&[at(26., 36.), corner(55., 2.), at(55., 98.)]],
    // with a flag and a foot
    &[&[at(28., 22.), corner(52., 2.), at(52., 97.)], &[at(24., 97.), at(80., 97.)]],
];

const TWO: &[Glyph] = &[
    // a round head and a straight foot
    &[&[at(14., 26.), at(32., 5.), at(62., 3.), at(80., 24.), at(66., 54.), corner(10., 97.), at(90., 96.)]],
    // a loop at the lower left
    &[&[
        at(16., 20.),
        at(42., 2.),
        at(74., 14.),
        at(72., 42.),
        at(46., 76.),
        at(20., 96.),
        at(8., 86.),
        at(26., 76.),
        at(56., 92.),
        at(92., 92.),
    ]],
    // a swan: a wavy foot
    &[&[
        at(18., 18.),
        at(46., 2.),
        at(76., 20.),
        at(62., 54.),
        corner(14., 94.),
        at(38., 84.),
        at(64., 96.),
        at(90., 84.),
    ]],
    // a flat head
    &[&[at(12., 10.), at(46., 3.), at(80., 14.), at(64., 50.), corner(12., 96.), at(88., 97.)]],
];

const THREE: &[Glyph] = &[
    // two bows that meet at a point
    &[&[
        at(16., 14.),
        at(46., 2.),
        at(76., 20.),
        at(64., 42.),
        corner(38., 48.),
        at(74., 58.),
        at(82., 80.),
        at(50., 98.),
        at(12., 86.),
    ]],
    // a flat head
    &[&[at(16., 5.), corner(78., 4.), corner(42., 42.), at(76., 54.), at(80., 82.), at(46., 98.), at(12., 88.)]],
    // a loop between the bows
    &[&[
        at(16., 12.),
        at(48., 2.),
        at(74., 20.),
        at(58., 44.),
        at(36., 50.),
        at(44., 42.),
        at(74., 58.),
        at(80., 82.),
        at(46., 98.),
        at(14., 88.),
    ]],
    // bows without a point
    &[&[at(20., 8.), at(58., 4.), at(72., 24.), at(50., 46.), at(74., 62.), at(74., 86.), at(46., 98.), at(10., 92.)]],
];

const FOUR: &[Glyph] = &[
    // open, angular
    &[&[at(24., 4.), corner(12., 56.), at(88., 52.)], &[at(66., 22.), at(62., 98.)]],
    // closed, as printed
    &[&[at(64., 98.), corner(64., 3.), corner(8., 66.), at(90., 66.)]],
    // open, round
    &[&[at(18., 6.), at(12., 36.), at(30., 54.), at(72., 46.)], &[at(78., 4.), at(70., 50.), at(64., 98.)]],
    // closed, the stem apart
    &[&[at(58., 4.), at(34., 34.), corner(8., 64.), at(88., 60.)], &[at(60., 4.), at(62., 50.), at(58., 98.)]],
    // open, in one stroke
    &[&[at(20., 6.), at(14., 42.), at(38., 56.), corner(72., 46.), corner(76., 8.), at(68., 98.)]],
];

const FIVE: &[Glyph] = &[
    // the body, then the hat
    &[
        &[at(28., 6.), corner(24., 44.), at(56., 38.), at(82., 62.), at(70., 90.), at(42., 98.), at(10., 88.)],
        &[at(28., 6.), at(84., 4.)],
    ],
    // in one stroke
    &[&[
        at(84., 6.),
        corner(30., 5.),
        corner(22., 46.),
        at(54., 38.),
        at(82., 60.),
        at(72., 90.),
        at(40., 98.),
        at(10., 86.),
    ]],
    // with a flat belly
    &[
        &[at(30., 6.), corner(26., 46.), at(62., 46.), at(80., 68.), at(64., 94.), at(14., 96.)],
        &[at(30., 6.), at(80., 8.)],
    ],
    // round as an S
    &[&[at(82., 6.), at(48., 5.), at(28., 22.), at(40., 42.), at(70., 56.), at(78., 80.), at(50., 98.), at(12., 90.)]],
];

const SIX: &[Glyph] = &[
    // a bent stem and a round bowl
    &[&[
        at(70., 4.),
        at(36., 24.),
        at(14., 62.),
        at(26., 92.),
        at(54., 98.),
        at(78., 78.),
        at(64., 56.),
        at(38., 58.),
        at(18., 76.),
    ]],
    // a straight stem
    &[&[at(52., 2.), at(26., 40.), at(12., 76.), at(36., 98.), at(70., 92.), at(74., 68.), at(50., 58.), at(20., 74.)]],
    // a small bowl
    &[&[at(66., 2.), at(34., 30.), at(18., 72.), at(32., 97.), at(58., 94.), at(64., 78.), at(48., 66.), at(22., 80.)]],
    // a curled stem and a wide bowl
    &[&[
        at(80., 14.),
        at(58., 3.),
        at(28., 24.),
        at(10., 64.),
        at(30., 96.),
        at(66., 96.),
        at(82., 72.),
        at(58., 52.),
        at(28., 60.),
        at(14., 78.),
    ]],
];

const SEVEN: &[Glyph] = &[
    // plain
    &[&[at(12., 6.), corner(86., 4.), at(56., 48.), at(40., 98.)]],
    // with a bar
    &[&[at(12., 6.), corner(86., 4.), at(58., 46.), at(42., 98.)], &[at(28., 50.), at(80., 48.)]],
    // with a serif
    &[&[at(12., 24.), corner(14., 6.), corner(86., 5.), at(42., 98.)]],
    // with a serif and a bar
    &[&[at(14., 22.), corner(16., 5.), corner(86., 4.), at(60., 44.), at(46., 98.)], &[at(30., 52.), at(78., 48.)]],
    // with a wavy head
    &[&[at(10., 14.), at(34., 4.), at(60., 9.), corner(88., 3.), at(58., 48.), at(48., 98.)]],
];

const EIGHT: &[Glyph] = &[
    // from the upper right, through an S and back
    &[&[
        at(74., 14.),
        at(46., 2.),
        at(22., 22.),
        at(48., 46.),
        at(80., 72.),
        at(54., 98.),
        at(18., 78.),
        at(44., 50.),
        at(74., 24.),
        at(70., 10.),
    ]],
    // from the middle
    &[&[
        at(50., 46.),
        at(24., 24.),
        at(48., 2.),
        at(74., 22.),
        at(50., 46.),
        at(16., 74.),
        at(48., 98.),
        at(82., 74.),
        at(52., 48.),
    ]],
    // two rings
    &[
        &[at(52., 2.), at(26., 22.), at(50., 45.), at(74., 24.), at(50., 2.)],
        &[at(48., 45.), at(16., 70.), at(48., 98.), at(84., 72.), at(52., 45.)],
    ],
    // open at the top
    &[&[
        at(82., 6.),
        at(42., 8.),
        at(24., 26.),
        at(50., 48.),
        at(74., 74.),
        at(48., 98.),
        at(20., 80.),
        at(44., 52.),
        at(84., 12.),
    ]],
];

const NINE: &[Glyph] = &[
    // a round bowl and a straight stem
    &[&[at(80., 20.), at(52., 3.), at(20., 18.), at(22., 44.), at(52., 48.), corner(80., 16.), at(76., 98.)]],
    // a bent tail
    &[&[
        at(78., 24.),
        at(50., 2.),
        at(18., 22.),
        at(34., 48.),
        at(66., 40.),
        at(80., 18.),
        at(78., 62.),
        at(56., 96.),
        at(22., 92.),
    ]],
    // a slanting stem
    &[&[at(78., 10.), at(42., 4.), at(16., 28.), at(38., 48.), at(70., 30.), corner(82., 6.), at(50., 98.)]],
    // the bowl's end running into the stem
    &[&[at(74., 12.), at(40., 3.), at(18., 26.), at(36., 46.), at(68., 34.), at(76., 12.), at(72., 50.), at(70., 98.)]],
];
