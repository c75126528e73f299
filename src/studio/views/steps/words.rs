//! What each word of a prompt attends to: its cross-attention over the predicted picture, of every pane.

use super::panes::line;
use super::{Scrubber, Shown};
use crate::engine::{Attention, Trace};
use crate::studio::prelude::*;
use crate::studio::{Sheet, tile};

/// Width of the panes' names, height of the words, between maps, in points.
const NAMES: f32 = 86.0;
const WORDS: f32 = 18.0;
const GAP: f32 = 4.0;
/// Side of a map, in points.
const SMALLEST: f32 = 44.0;
const LARGEST: f32 = 220.0;
/// Side of a map that is painted, in pixels, at the most.
const PAINTED: usize = 128;

/// Which maps are shown: of which film, at which step or in the mean of all.
type Key = (Arc<Grid>, Option<usize>);

/// The maps of a pane as they were shown last.
#[derive(Default)]
pub struct Maps {
    sheet: Sheet,
    /// A map a word.
    shown: Option<(Key, Vec<Vec<f32>>)>,
    /// What was painted over which step's picture, with which share as the brightest.
    painted: Option<(Key, [f32; 2], Arc<Grid>)>,
}

fn same(a: &Key, b: &Key) -> bool {
    Arc::ptr_eq(&a.0, &b.0) && a.1 == b.1
}

impl Maps {
    /// The maps of a tile's words at a step, or their mean.
    fn of(&mut self, key: &Key, attention: &Attention) -> &[Vec<f32>] {
        if self.shown.as_ref().is_none_or(|(held, _)| !same(held, key)) {
            let map = |word: usize| match key.1 {
                Some(step) => attention.at(step, word).to_vec(),
                None => attention.mean(word),
            };
            self.shown = Some((key.clone(), (0..attention.words).map(map).collect()));
        }
        self.shown.as_ref().map_or(&[][..], |(_, maps)| maps)
    }

    /// The maps over the picture that is predicted at a step; a share of `most` is the brightest.
    fn painted(&mut self, key: &Key, step: usize, attention: &Attention, most: f32) -> Arc<Grid> {
        let how = [step as f32, most];
        if let Some((held, with, grid)) = &self.painted
            && same(held, key)
            && *with == how
        {
            return grid.clone();
        }
        let maps = self.of(key, attention);
        let grid = Arc::new(painted(&key.0, step, maps, attention.raster, most));
        self.painted = Some((key.clone(), how, grid.clone()));
        grid
    }
}

/// The mean of a map.
fn mean(map: &[f32]) -> f32 {
    map.iter().sum::<f32>() / map.len().max(1) as f32
}

/// Draws the maps of the first tile, a row a pane, a column a word, within so much height.
pub fn words_ui(scrubber: &mut Scrubber, trace: &Trace, shown: &[Shown], height: f32, ui: &mut Ui) {
    let words = trace.words.first().map_or(&[][..], |words| words);
    let mut rows = Vec::new();
    let mut most = 1e-6f32;
    for one in shown {
        let Some(attention) = one.film.attention.first().filter(|a| a.steps() > 0) else {
            continue;
        };
        // The finished picture has no step of its own: the last call's.
        let step = (!scrubber.mean).then(|| scrubber.at.min(attention.steps() - 1));
        let key = (one.film.predicted.clone(), step);
        let maps = scrubber.sheets[one.pane as usize].words.of(&key, attention);
        most = maps.iter().flatten().copied().fold(most, f32::max);
        let shares: Vec<f32> = maps.iter().map(|map| mean(map)).collect();
        rows.push((one, attention, key, shares));
    }
    let n = words.len().max(1) as f32;
    let across = (ui.available_width() - NAMES) / n - GAP;
    let down = (height - 3.0 * WORDS) / rows.len().max(1) as f32 - GAP;
    let side = across.min(down).clamp(SMALLEST, LARGEST);
    let palette = theme::palette(ui);
    let font = TextStyle::Small.resolve(ui.style());
    ScrollArea::horizontal().id_salt("words").show(ui, |ui| {
        ui.spacing_mut().item_spacing = Vec2::splat(GAP);
        let size = vec2(NAMES + n * (side + GAP), WORDS);
        let (head, _) = ui.allocate_exact_size(size, Sense::hover());
        for (i, word) in words.iter().enumerate() {
            let at = pos2(head.left() + NAMES + i as f32 * (side + GAP), head.top());
            line(ui.painter(), at, word, side, font.clone(), palette.strong);
        }
        for (one, attention, key, shares) in rows {
            let maps = &mut scrubber.sheets[one.pane as usize].words;
            let last = key.0.columns.saturating_sub(1);
            let step = key.1.map_or(last, |_| scrubber.at.min(last));
            let grid = maps.painted(&key, step, attention, most);
            let texture = maps.sheet.texture(ui.ctx(), &grid);
            ui.horizontal(|ui| {
                let (rect, _) = ui.allocate_exact_size(vec2(NAMES - GAP, side), Sense::hover());
                let at = rect.left_center() - vec2(0.0, font.size / 2.0);
                let (name, color) = (one.pane.name(), palette.of(one.pane));
                line(ui.painter(), at, name, NAMES - 2.0 * GAP, font.clone(), color);
                for (i, (word, share)) in words.iter().zip(shares).enumerate() {
                    let told = format!("{word}, {name}: {:.1} %", 100.0 * share);
                    let image = tile::image(texture, &grid, [0, i], side).alt_text(&told);
                    ui.add(image).on_hover_text(told);
                }
            });
        }
    });
    fact_ui(
        ui,
        format!(
            "Share of a word in what each place takes in from the prompt, mean over heads and layers; the brightest is \
             {:.0} %. The rest is with the tokens of the prompt's start and end, which are left out",
            100.0 * most
        ),
    );
}

/// A tile a word: the picture in weak grey, and over it the word's map [h, w] as heat; `most` is the brightest.
fn painted(
    predicted: &Grid,
    step: usize,
    maps: &[Vec<f32>],
    raster: [usize; 2],
    most: f32,
) -> Grid {
    let ([h, w], [mh, mw]) = (predicted.tile, raster);
    let scale = h.max(w).div_ceil(PAINTED).max(1);
    let (height, width) = (h / scale, w / scale);
    let picture = predicted.pixels_of(0, step);
    let place = |at: usize, n: usize, m: usize| (at as f32 + 0.5) * m as f32 / n as f32 - 0.5;
    let mut pixels = Vec::with_capacity(maps.len() * 3 * height * width);
    for map in maps {
        let colour = |i: usize| {
            let (y, x) = (i / width, i % width);
            let value = |c: usize| f32::from(picture[c * h * w + y * scale * w + x * scale]);
            let channels = predicted.channels.max(1);
            let grey = (0..channels).map(value).sum::<f32>() / channels as f32;
            let share = between(map, raster, [place(y, height, mh), place(x, width, mw)]) / most;
            let share = share.clamp(0.0, 1.0);
            let mix = |v: u8| (f32::from(v) * 0.85 + grey * 0.3 * (1.0 - share)).min(255.0) as u8;
            tile::hot(share).map(mix)
        };
        let all: Vec<[u8; 3]> = (0..height * width).map(colour).collect();
        pixels.extend((0..3).flat_map(|c| all.iter().map(move |rgb| rgb[c])));
    }
    Grid::row_of(maps.len(), 3, [height, width], pixels)
}

/// A map between the middles of its places, linearly.
fn between(map: &[f32], [h, w]: [usize; 2], [y, x]: [f32; 2]) -> f32 {
    let beside = |at: f32, n: usize| {
        let at = at.clamp(0.0, (n - 1) as f32);
        (at as usize, (at as usize + 1).min(n - 1), at.fract())
    };
    let ((top, bottom, down), (left, right, across)) = (beside(y, h), beside(x, w));
    let row = |y: usize| map[y * w + left] * (1.0 - across) + map[y * w + right] * across;
    row(top) * (1.0 - down) + row(bottom) * down
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_bright_where_it_is_attended_to() {
        let picture = Arc::new(Grid::row_of(1, 1, [4, 4], vec![0; 16]));
        let shares = vec![0.4, 0.0, 0.0, 0.0, 0.1, 0.1, 0.1, 0.1];
        let attention = Attention { raster: [2, 2], words: 2, shares };
        let (mut maps, key) = (Maps::default(), (picture, Some(0)));
        assert!((mean(&maps.of(&key, &attention)[0]) - 0.1).abs() < 1e-6);
        let grid = maps.painted(&key, 0, &attention, 0.4);
        let red = |word: usize, at: usize| grid.pixels_of(0, word)[at];
        assert!(red(0, 0) > 200 && red(0, 15) == 0, "{:?}", grid.pixels_of(0, 0));
        assert!((0..16).all(|i| red(1, i) == red(1, 0)), "an even map is evenly bright");
        assert!(Arc::ptr_eq(&grid, &maps.painted(&key, 0, &attention, 0.4)), "it is painted once");
        assert_eq!(between(&[0.0, 1.0, 2.0, 3.0], [2, 2], [0.5, 0.5]), 1.5);
    }
}
