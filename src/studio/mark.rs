//! What a tile's frame says: what the classifier sees in it, beside what was asked for.

use super::prelude::*;

/// What the classifier makes of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Kept,
    Differs,
    Forgotten,
    Still,
}

impl Mark {
    /// Those that have a frame.
    pub const FRAMED: [Self; 3] = [Self::Differs, Self::Forgotten, Self::Still];

    /// The mark of a tile that is seen as asked or not; and whether it is to be forgotten.
    pub fn of(seen: bool, forgotten: bool) -> Self {
        match (seen, forgotten) {
            (true, false) => Self::Kept,
            (false, false) => Self::Differs,
            (false, true) => Self::Forgotten,
            (true, true) => Self::Still,
        }
    }

    /// The mark of a tile; none where nobody judged it, or nothing was asked for.
    pub fn at(grid: &Grid, row: usize, column: usize, forgotten: bool) -> Option<Self> {
        let (seen, _) = grid.seen_in(row, column)?;
        Some(Self::of(seen == grid.rows[row]?, forgotten))
    }

    /// Its name in the legend.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kept => "seen as asked",
            Self::Differs => "seen as another",
            Self::Forgotten => "forgotten",
            Self::Still => "still seen",
        }
    }

    /// Its name at length.
    pub fn means(self) -> &'static str {
        match self {
            Self::Kept => "The classifier sees what the row asks for",
            Self::Differs => "It sees something else: damage, unless it was so before",
            Self::Forgotten => "What is to be forgotten is no longer seen",
            Self::Still => "What is to be forgotten is still seen",
        }
    }

    /// Draws a tile's frame. Each kind has a shape of its own, so that it reads without colour: none where all is as
    /// asked, a filled corner, a disc, a square.
    pub fn frame(self, painter: &Painter, rect: Rect) {
        let color = match self {
            Self::Kept => return,
            Self::Differs => theme::DIFFERS,
            Self::Forgotten => theme::FORGOTTEN,
            Self::Still => theme::STILL,
        };
        let rounding = rounding(rect);
        painter.rect_stroke(rect, rounding, Stroke::new(2.0, color), StrokeKind::Inside);
        let side = (rect.width() * 0.25).clamp(6.0, 18.0);
        let edge = Stroke::new(1.0, Color32::BLACK);
        match self {
            Self::Kept => {}
            Self::Differs => {
                let corner = rect.right_top() + vec2(-1.0, 1.0);
                let points = vec![corner, corner - vec2(side, 0.0), corner + vec2(0.0, side)];
                painter.add(Shape::convex_polygon(points, color, Stroke::NONE));
            }
            Self::Forgotten => {
                let radius = side * 0.5;
                let middle = rect.right_top() + vec2(-radius - 2.0, radius + 2.0);
                painter.circle(middle, radius, color, edge);
            }
            Self::Still => {
                let square =
                    Rect::from_min_size(rect.min + Vec2::splat(2.0), Vec2::splat(side * 0.8));
                painter.rect(square, 1.0, color, edge, StrokeKind::Inside);
            }
        }
    }
}

/// Radius of a tile's corners, in points.
pub fn rounding(tile: Rect) -> f32 {
    (tile.width() * 0.06).clamp(1.0, 8.0).round()
}
