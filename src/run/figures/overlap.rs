//! What masks have in common, as a matrix of colours.

use super::{EMBER, INK, MARGIN, PALE, Page, wide};
use crate::saliency::Overlap;
use crate::words::grouped;

/// Side of a cell, in pixels.
const CELL: usize = 44;

/// The matrix with its values: the darker, the more two masks have in common.
pub fn overlap(overlap: &Overlap, what: &str) -> Page {
    let mut page = Page::default();
    let [k, n] = [overlap.k, overlap.n].map(grouped);
    let line = format!(
        "intersection over union, {k} of {n} weights each; two random masks have {:.2}",
        overlap.chance
    );
    page.heading(MARGIN, "What the masks have in common", what);
    page.text(MARGIN, MARGIN + 57, 13, PALE, &line);
    let name = overlap.names.iter().map(|n| wide(n, 13)).max().unwrap_or(0) + 12;
    // Columns are numbered as the rows are: names would not fit above them.
    let (left, top) = (MARGIN + name + 24, MARGIN + 98);
    for (row, (name, values)) in overlap.names.iter().zip(&overlap.iou).enumerate() {
        let y = top + row * CELL;
        page.text(MARGIN, y + CELL / 2 + 5, 13, INK, &format!("{}  {name}", row + 1));
        page.text(left + row * CELL + CELL / 2 - 4, top - 8, 13, INK, &format!("{}", row + 1));
        for (column, value) in values.iter().enumerate() {
            let x = left + column * CELL;
            let side = CELL as f64 - 2.0;
            page.shade([x as f64, y as f64], [side, side], EMBER, *value);
            page.text(x + 8, y + CELL / 2 + 4, 12, INK, &format!("{value:.2}"));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saliency::By;

    #[test]
    fn the_matrix_is_drawn_with_its_diagonal_darkest() {
        let matrix = Overlap {
            by: By::Seeds,
            names: vec!["seed 1".into(), "seed 2 & <more>".into()],
            iou: vec![vec![1.0, 0.25], vec![0.25, 1.0]],
            density: 0.5,
            k: 5,
            n: 10,
            chance: 1.0 / 3.0,
        };
        let png = overlap(&matrix, "tiny, class:Bag").png().unwrap();
        let picture = image::load_from_memory(&png).unwrap().into_rgb8();
        let name = wide("seed 2 & <more>", 13) + 12;
        let (left, top) = (MARGIN + name + 24, MARGIN + 98);
        let colour = |row: usize, column: usize| {
            let at = |origin: usize, cell: usize| (origin + cell * CELL + 3) as u32;
            picture.get_pixel(at(left, column), at(top, row)).0
        };
        assert_eq!(colour(0, 0), [0xd9, 0x62, 0x2b]);
        assert_eq!(colour(0, 1), colour(1, 0));
        assert!(colour(0, 1)[2] > colour(0, 0)[2] + 100, "{:?}", colour(0, 1));
    }
}
