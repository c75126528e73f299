//! What the steps of several models say of each other: how far they are apart, where they part, what is seen in them.

use crate::engine::{Film, Grid};

/// Percent of the range that two films are apart, at the most, where they are taken to be one.
const SAME: f64 = 1.0;

/// How far a film's predicted pictures are from another's at every step: root mean square difference of their values,
/// in percent of the range, mean over tiles.
pub fn apart(film: &Film, from: &Film) -> Vec<f64> {
    let (a, b) = (&film.predicted, &from.predicted);
    let tiles = a.rows.len().min(b.rows.len());
    let squares = |step: usize, tile: usize| {
        let (a, b) = (a.pixels_of(tile, step), b.pixels_of(tile, step));
        let square = |(a, b): (&u8, &u8)| (f64::from(a.abs_diff(*b)) / 255.0).powi(2);
        a.iter().zip(b).map(square).sum::<f64>() / a.len().max(1) as f64
    };
    let root = |step| (0..tiles).map(|tile| squares(step, tile).sqrt()).sum::<f64>();
    let steps = 0..a.columns.min(b.columns);
    steps.map(|step| 100.0 * root(step) / tiles.max(1) as f64).collect()
}

/// The step at which two films part: the first at which they are half as far apart as they ever are; `None` where
/// they never are.
pub fn parting(apart: &[f64]) -> Option<usize> {
    let most = apart.iter().copied().fold(0.0, f64::max);
    if most < SAME { None } else { apart.iter().position(|d| *d >= most / 2.0) }
}

/// Since when a film's pictures are seen as what they are asked to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// From this step on, to the end.
    Step(usize),
    /// Not in the end.
    Never,
    /// Nobody judges them.
    Unknown,
}

/// Since when more than half of a film's predicted pictures are seen as what they are asked to show.
pub fn seen_since(predicted: &Grid) -> Since {
    let tiles = predicted.rows.len();
    let judged = |tile: &usize| predicted.columns > 0 && predicted.seen_in(*tile, 0).is_some();
    if tiles == 0 || !(0..tiles).all(|tile| judged(&tile) && predicted.rows[tile].is_some()) {
        return Since::Unknown;
    }
    let seen = |step: usize| {
        let right = |tile: &usize| {
            predicted.seen_in(*tile, step).map(|(class, _)| class) == predicted.rows[*tile]
        };
        2 * (0..tiles).filter(right).count() > tiles
    };
    match (0..predicted.columns).rev().take_while(|step| seen(*step)).last() {
        Some(step) => Since::Step(step),
        None => Since::Never,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Tiles of one value, which change from step to step.
    fn film(values: &[&[u8]], seen: &[usize]) -> Film {
        let (rows, steps) = (values.len(), values[0].len());
        let pixels = values.iter().flat_map(|row| row.iter().flat_map(|v| [*v; 4])).collect();
        let seen = (0..rows).flat_map(|_| seen.iter().map(|class| Some((*class, 0.9)))).collect();
        assert_eq!(steps * rows * 4, Vec::<u8>::len(&pixels));
        let grid = Arc::new(Grid::new(vec![Some(7); rows], [1, 2, 2], pixels, seen));
        Film { noisy: grid.clone(), predicted: grid, attention: Vec::new() }
    }

    #[test]
    fn two_films_part_where_they_are_half_as_far_apart_as_ever() {
        let before = film(&[&[0, 0, 0, 0]], &[7; 4]);
        let after = film(&[&[0, 51, 102, 204]], &[7; 4]);
        let apart = apart(&after, &before);
        assert_eq!(apart.iter().map(|d| d.round()).collect::<Vec<_>>(), [0.0, 20.0, 40.0, 80.0]);
        assert_eq!(parting(&apart), Some(2));
        assert_eq!(parting(&super::apart(&before, &before)), None);
    }

    #[test]
    fn pictures_are_seen_from_a_step_on_or_not_in_the_end() {
        let since = |seen: &[usize]| seen_since(&film(&[&[0, 0, 0, 0]], seen).predicted);
        assert_eq!(since(&[7, 1, 7, 7]), Since::Step(2));
        assert_eq!(since(&[7, 7, 7, 1]), Since::Never);
        let mut grid = Grid::clone(&film(&[&[0, 0]], &[7, 7]).predicted);
        grid.seen = vec![None; 2];
        assert_eq!(seen_since(&grid), Since::Unknown);
    }
}
