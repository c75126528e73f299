//! The pictures of a run folder.

mod loss;
mod overlap;
mod saliency;

use crate::data::brief;
use crate::engine::{Attack, Grid, Run};
use crate::error::{Error, Result};
use crate::eval::Metric;
use crate::run::canvas::{RED, Tile, ZOOM, wide};
use crate::run::{EMBER, GREEN, INK, MARGIN, PALE, Page, canvas};
use crate::words::{Report, Try, grouped};

pub use loss::loss;
pub use overlap::overlap;
pub use saliency::{saliency, scores};

/// Between tiles; the frame lies in it.
const GAP: usize = 8;
/// Tiles in a line before a row goes on in the next.
const WRAP: usize = 16;

/// A value in a few digits: `16.52` or `1.65e-5`.
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        v if (0.001..1.0).contains(&v) => format!("{value:.4}"),
        v if (1.0..10_000.0).contains(&v) => format!("{value:.2}"),
        _ => format!("{value:.2e}"),
    }
}

/// One grid: a row a class, each tile framed by whether the classifier sees that class. PNG.
///
/// # Errors
/// The picture is too large to hold.
pub fn grid(grid: &Grid, classes: &[String]) -> Result<Vec<u8>> {
    let mut page = Page::default();
    let left = names(&mut page, grid, classes, MARGIN);
    tiles(&mut page, grid, left, MARGIN);
    legend(&mut page, grid);
    page.png()
}

/// The same under a line of words.
///
/// # Errors
/// The picture is too large to hold.
pub fn titled(grid: &Grid, classes: &[String], words: &str) -> Result<image::RgbImage> {
    let mut page = Page::default();
    page.text(MARGIN, MARGIN + 16, 18, INK, words);
    let top = MARGIN + 34;
    let left = names(&mut page, grid, classes, top);
    tiles(&mut page, grid, left, top);
    page.picture()
}

/// One picture of a grid, of its own size. PNG.
///
/// # Errors
/// It cannot be packed.
pub fn picture(grid: &Grid, row: usize, column: usize) -> Result<Vec<u8>> {
    let [height, width] = grid.tile.map(|side| side as u32);
    let image = image::RgbImage::from_raw(width, height, rgb(grid, row, column).concat());
    canvas::packed(&image.ok_or_else(|| Error::Request("the picture cannot be packed".into()))?)
}

/// Before and after side by side, with what was measured. PNG.
///
/// # Errors
/// The picture is too large to hold.
pub fn side_by_side(Run { report, model, before, after, .. }: &Run) -> Result<Vec<u8>> {
    let mut page = Page::default();
    let mask = report.mask.as_ref().map_or("no mask".into(), |m| {
        format!("{} mask, {} of {} weights", m.estimator, grouped(m.k), grouped(m.n))
    });
    let earlier: Vec<_> = report.earlier.iter().map(|e| brief(&e.spec)).collect();
    let then = if earlier.is_empty() { "" } else { " after " };
    let Report { model: name, method, seed, device, .. } = report;
    let what = brief(&report.forget.spec);
    let title = format!("{name} forgets {what}{then}{}", earlier.join(", "));
    let [ua, ra, ta] = report.after.n.map(grouped);
    let conditions = format!(
        "{method}, {mask}; percent of {ua} (UA), {ra} (RA), {ta} (TA) pictures; seed {seed}; {}",
        device.name
    );
    page.heading(MARGIN, &title, &conditions);
    let verdict = format!("{}: {}", report.verdict.label.name(), report.verdict.why);
    page.text(MARGIN, MARGIN + 57, 13, INK, &verdict);
    let numbers = [&report.before, &report.after].map(|m| m.line(Metric::accuracies(), ", "));
    beside(&mut page, [before, after], model.classes(), MARGIN + 112, numbers);
    legend(&mut page, before);
    page.png()
}

/// Attacks one below the other: what each try drew before and after. PNG.
///
/// # Errors
/// The picture is too large to hold.
pub fn attacks(attacks: &[Attack]) -> Result<Vec<u8>> {
    let mut page = Page::default();
    let mut top = MARGIN;
    for Attack { report, before, after } in attacks {
        let title = format!("{}: {}", report.kind.title(), brief(&report.forget));
        let share = |Try { name, before, after, .. }: &Try| {
            format!("{name} {before:.0} % before, {after:.0} % after")
        };
        let shares: Vec<_> = report.tries.iter().map(share).collect();
        page.heading(top, &title, &format!("{} (n = {})", shares.join("; "), report.n));
        let below = top + 76;
        beside(&mut page, [before, after], &[], below, Default::default());
        top = below + before.rows.len() * lines(before)[0] * cell(before)[0] + 2 * MARGIN;
    }
    page.png()
}

/// Two grids side by side, each perhaps with a line above it.
fn beside(page: &mut Page, grids: [&Grid; 2], classes: &[String], top: usize, notes: [String; 2]) {
    let mut left = names(page, grids[0], classes, top);
    for ((title, grid), note) in ["Before", "After"].into_iter().zip(grids).zip(notes) {
        let room = if note.is_empty() { 0 } else { 18 };
        page.text(left, top - 8 - room, 16, INK, title);
        page.text(left, top - 8, 13, PALE, &note);
        tiles(page, grid, left, top);
        left += (lines(grid)[1] * cell(grid)[1]).max(wide(&note, 13)) + MARGIN;
    }
}

/// Height and width of a tile's cell.
fn cell(grid: &Grid) -> [usize; 2] {
    grid.tile.map(|side| side * ZOOM + GAP)
}

/// Lines that a row takes, and tiles in a line.
fn lines(grid: &Grid) -> [usize; 2] {
    [grid.columns.div_ceil(WRAP).max(1), grid.columns.min(WRAP)]
}

/// Draws the names of a grid's rows; returns where its tiles may begin.
fn names(page: &mut Page, grid: &Grid, classes: &[String], top: usize) -> usize {
    let height = cell(grid)[0];
    let mut width = 0;
    for (row, class) in grid.rows.iter().enumerate() {
        let name = match (grid.name(row, classes), class) {
            // A prompt may be of any length.
            (Some(name), _) => name.chars().take(40).collect(),
            (None, Some(c)) => format!("class {c}"),
            (None, None) => "null".into(),
        };
        let middle = top + row * lines(grid)[0] * height + height / 2;
        page.text(MARGIN, middle, 13, INK, &name);
        width = width.max(wide(&name, 13));
    }
    MARGIN + width + 12
}

/// The tiles of a grid with their frames; a mistaken tile's frame is also broken, for those who do
/// not tell red from green.
fn tiles(page: &mut Page, grid: &Grid, left: usize, top: usize) {
    let [height, width] = cell(grid);
    let [each, across] = lines(grid);
    for row in 0..grid.rows.len() {
        for column in 0..grid.columns {
            let x = left + column % across * width;
            let y = top + (row * each + column / across) * height;
            let frame = match (grid.rows[row], grid.seen_in(row, column)) {
                (Some(asked), Some((seen, _))) if seen == asked => Some((GREEN, false)),
                (Some(_), Some(_)) => Some((RED, true)),
                _ => None,
            };
            let (width, rgb) = (grid.tile[1], rgb(grid, row, column));
            page.tile(Tile { place: [x, y], width, rgb }, frame);
        }
    }
}

fn legend(page: &mut Page, grid: &Grid) {
    if grid.seen.iter().any(Option::is_some) {
        let what = if grid.names.is_empty() { "the class of the row" } else { "what is asked for" };
        page.below(&format!("Green: the classifier sees {what}. Red: another."));
    }
}

/// A tile's colours; one channel is grey.
fn rgb(grid: &Grid, row: usize, column: usize) -> Vec<[u8; 3]> {
    let plane = grid.tile[0] * grid.tile[1];
    let pixels = grid.pixels_of(row, column);
    let at = |channel: usize, i: usize| pixels[channel.min(grid.channels - 1) * plane + i];
    (0..plane).map(|i| [0, 1, 2].map(|channel| at(channel, i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Grid {
        Grid {
            rows: vec![Some(0), Some(1)],
            names: Vec::new(),
            columns: 2,
            channels: 1,
            tile: [4, 4],
            pixels: (0..64).map(|i| i * 4).collect(),
            seen: vec![Some((0, 0.9)), Some((1, 0.8)), None, Some((1, 0.7))],
        }
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1000, 701_466].map(grouped), ["0", "999", "1,000", "701,466"]);
    }

    #[test]
    fn a_grid_has_its_pixels_frames_and_words() {
        let png = grid(&small(), &["Bag & <co>".into(), "Coat".into()]).unwrap();
        let picture = image::load_from_memory(&png).unwrap().into_rgb8();
        let all: std::collections::HashSet<[u8; 3]> = picture.pixels().map(|p| p.0).collect();
        for value in (0..64u8).map(|i| i * 4) {
            assert!(all.contains(&[value; 3]), "pixel {value}");
        }
        let pure = |wanted: [u8; 3]| all.contains(&wanted);
        assert!(pure([0x1a, 0x7f, 0x37]) && pure([0xcf, 0x22, 0x2e]), "frames");
        let dark = picture.pixels().filter(|p| p.0 == [0x1f, 0x23, 0x28]).count();
        assert!(dark > 0, "words");
    }
}
