//! How panes are arranged: side by side or one below another, with tiles as large as the room allows.

use crate::engine::Grid;
use crate::studio::prelude::*;

/// Width of the rows' names beside the tiles, in points.
const NAMES: f32 = 84.0;
/// Height of a line of names above the tiles.
const LINE: f32 = 15.0;
/// Width of a letter of such a name, at the most.
const LETTER: f32 = 6.5;
/// Height of a pane's title.
pub const TITLE: f32 = 22.0;
/// Between panes.
pub const GAP: f32 = 14.0;
/// Width that a pane's title asks for; narrower where there is no room.
const TITLED: f32 = 80.0;
/// Side of a tile, in points.
const SMALLEST: f32 = 14.0;
const LARGEST: f32 = 420.0;
/// Columns that are shown, however small that makes them.
const FEWEST: usize = 2;

/// How panes are arranged: in bands, with tiles as large as fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrangement {
    /// Panes side by side.
    pub per_band: usize,
    /// In how many parts, side by side, the rows are shown.
    pub parts: usize,
    /// Columns of each pane that are shown: as many as are large enough.
    pub columns: usize,
    /// Whether the rows run across and stand under their names: the tiles of a column lie below one another.
    pub upright: bool,
    /// Size of a tile with its frame, in points.
    pub tile: Vec2,
    /// Width of a pane whose tiles take less.
    pub least: f32,
    /// Room for the rows' names: beside the tiles, or above them.
    pub names: f32,
}

impl Arrangement {
    /// The tiles of `panes` panes like a grid that take most of the room: fewer and larger ones, or more columns.
    /// `names` are the rows' names.
    pub fn new(space: Vec2, panes: usize, grid: &Grid, names: &[&str]) -> Self {
        let aspect = grid.tile[0] as f32 / grid.tile[1].max(1) as f32;
        let (all, panes) = (grid.columns.max(1), panes.max(1));
        let fewest = FEWEST.min(all);
        let ways =
            |from: usize| (1..=panes).flat_map(move |per| (from..=all).map(move |n| (per, n)));
        let fit = |way: Self| way.fit(space, panes, grid, aspect);
        let beside = ways(fewest).map(|(per, n)| fit(Self::beside(grid, per, 1, n)));
        let upright = ways(1).map(|(per, n)| fit(Self::upright(names, per, n)));
        // Names that would be cut say nothing.
        let upright = upright.filter(|way| longest(names) * LETTER <= way.tile.x);
        // More parts where there is still room beside them.
        let parts = (2..=grid.rows.len().max(2)).rev();
        let parts = parts.flat_map(|parts| (fewest..=all).map(move |n| (parts, n)));
        let parts = parts.map(|(parts, n)| fit(Self::beside(grid, panes, parts, n)));
        let parts = parts.filter(|way| way.least >= TITLED);
        let best =
            parts.chain(upright).chain(beside).max_by(|a, b| a.worth().total_cmp(&b.worth()));
        let mut best = best.unwrap_or_else(|| fit(Self::beside(grid, 1, 1, all)));
        let side = best.tile.x.max(SMALLEST);
        best.tile = vec2(side, side * aspect);
        best
    }

    /// Names on the left of the panes.
    fn beside(grid: &Grid, per_band: usize, parts: usize, columns: usize) -> Self {
        let names = if grid.names.is_empty() { NAMES } else { 1.5 * NAMES };
        let (upright, tile, least) = (false, Vec2::ZERO, TITLED);
        Self { per_band, parts, columns, upright, tile, least, names }
    }

    /// Names above the panes of the first band.
    fn upright(names: &[&str], per_band: usize, columns: usize) -> Self {
        let words = names.iter().map(|name| name.split_whitespace().count());
        let lines = words.max().unwrap_or(1).clamp(1, 2);
        let (parts, tile, least) = (1, Vec2::ZERO, TITLED);
        let names = lines as f32 * LINE + 2.0;
        Self { per_band, parts, columns, upright: true, tile, least, names }
    }

    /// The same with the largest tiles that fit.
    fn fit(self, space: Vec2, panes: usize, grid: &Grid, aspect: f32) -> Self {
        let rows = grid.rows.len().max(1).div_ceil(self.parts);
        let [across, down] = self.cells(rows);
        let bands = panes.div_ceil(self.per_band) as f32;
        let per_band = self.per_band as f32;
        let [left, top] = if self.upright { [0.0, self.names] } else { [self.names, 0.0] };
        // A point is lost to rounding.
        let width = (space.x / self.parts as f32 - left - per_band * GAP - 1.0) / per_band;
        let height = (space.y - top - bands * (TITLE + GAP)) / bands;
        let side = (height / down as f32 / aspect).min(width / across as f32).min(LARGEST);
        Self { tile: vec2(side, side * aspect), least: TITLED.min(width), ..self }
    }

    /// Somewhat less than the square root of the tiles' area: large ones are seen from afar.
    fn worth(&self) -> f32 {
        self.tile.x * (self.columns as f32).powf(0.35)
    }

    /// Tiles across and down of so many rows.
    fn cells(&self, rows: usize) -> [usize; 2] {
        if self.upright { [rows, self.columns] } else { [self.columns, rows] }
    }

    /// Size of a pane's tiles of so many rows, in points.
    pub fn size(&self, rows: usize) -> Vec2 {
        let [across, down] = self.cells(rows);
        vec2((across as f32 * self.tile.x).max(self.least), down as f32 * self.tile.y)
    }

    /// Where a tile lies among a pane's, in points.
    pub fn place(&self, row: usize, column: usize) -> Vec2 {
        let [x, y] = if self.upright { [row, column] } else { [column, row] };
        vec2(x as f32, y as f32) * self.tile
    }

    /// The row and the column of the tile at a place.
    pub fn tile_at(&self, place: Vec2) -> [usize; 2] {
        let at = place / self.tile;
        let [x, y] = [at.x as usize, at.y as usize];
        if self.upright { [x, y] } else { [y, x] }
    }

    /// Width of all, with names and gaps, in points.
    pub fn width(&self, panes: usize, rows: usize) -> f32 {
        let part = rows.div_ceil(self.parts);
        let names = if self.upright { 0.0 } else { self.names };
        let panes = self.per_band.min(panes) as f32;
        self.parts as f32 * (names + panes * (self.size(part).x + GAP)) - GAP
    }
}

/// Letters of the longest word of some names.
fn longest(names: &[&str]) -> f32 {
    let words = names.iter().flat_map(|name| name.split([' ', '-', '/']));
    words.map(|word| word.chars().count()).max().unwrap_or(0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 10] = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ];

    fn grid(rows: usize, columns: usize) -> Grid {
        Grid {
            rows: (0..rows).map(Some).collect(),
            columns,
            channels: 1,
            tile: [28, 28],
            ..Grid::default()
        }
    }

    fn arrange(space: Vec2, panes: usize, columns: usize) -> Arrangement {
        let way = Arrangement::new(space, panes, &grid(10, columns), &NAMES);
        let bands = panes.div_ceil(way.per_band) as f32;
        let top = if way.upright { way.names } else { 0.0 };
        let part = 10usize.div_ceil(way.parts);
        let down = top + bands * (TITLE + GAP + way.size(part).y);
        assert!(down <= space.y + 0.1, "{down} of {space:?}: {way:?}");
        assert!(way.width(panes, 10) <= space.x, "{space:?}: {way:?}");
        way
    }

    #[test]
    fn four_panes_fit_the_smallest_window() {
        // The centre at 1024 x 640.
        let small = arrange(vec2(500.0, 260.0), 4, 6);
        assert!(small.tile.x > 20.0 && small.columns >= 2, "{small:?}");
        let large = arrange(vec2(900.0, 700.0), 2, 6);
        assert!(large.tile.x > 60.0 && large.columns >= 3, "{large:?}");
    }

    #[test]
    fn tiles_take_the_room_there_is() {
        // The centre at 1280 x 800 and 1920 x 1080 with four panes, and with one before anything is picked.
        for (space, panes, least) in [
            (vec2(740.0, 430.0), 4, 55.0),
            (vec2(1330.0, 680.0), 4, 85.0),
            (vec2(1030.0, 620.0), 1, 95.0),
            (vec2(1660.0, 920.0), 1, 140.0),
            (vec2(3500.0, 1900.0), 1, 300.0),
        ] {
            let way = arrange(space, panes, 6);
            assert!(way.tile.x > least, "{space:?}: {way:?}");
        }
    }

    #[test]
    fn few_columns_in_a_wide_window_take_its_width() {
        // The centre at 1920 x 1080 with one picture of each class.
        let window = arrange(vec2(1370.0, 680.0), 4, 1);
        assert!(window.tile.x > 110.0, "{window:?}");
    }

    #[test]
    fn names_that_would_be_cut_stand_beside_the_tiles() {
        // A phone: tiles are smaller than the names are long.
        let phone = arrange(vec2(374.0, 300.0), 1, 6);
        assert!(!phone.upright, "{phone:?}");
        assert!(arrange(vec2(1030.0, 620.0), 1, 6).upright);
    }

    #[test]
    fn a_tile_is_found_where_it_lies() {
        for upright in [false, true] {
            let way = Arrangement { upright, ..arrange(vec2(700.0, 420.0), 1, 6) };
            let inside = way.place(7, 2) + way.tile * 0.5;
            assert_eq!(way.tile_at(inside), [7, 2]);
        }
    }
}
