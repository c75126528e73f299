//! The pixels that an answer hangs on: pictures, and beside each what matters in it to every model.

use egui::Grid as Table;

use super::changed::{first_of, most_changed};
use super::{Looked, MOST, PANES, Whereabouts};
use crate::engine::{Attributed, PixelMaps};
use crate::saliency::picture;
use crate::studio::prelude::*;
use crate::studio::views::refused_ui;
use crate::studio::{Sheet, tile};
use crate::words::Attribution;

/// Sides of a picture, in points.
const SIDES: [f32; 2] = [56.0, 132.0];
/// The share of a map's pixels that may be brighter than its scale's end: a few pixels stand out of any.
const BRIGHTER: f32 = 0.005;

/// The painted maps, and what they were painted from.
#[derive(Default)]
pub struct Maps {
    of: Option<(Arc<Attributed>, bool)>,
    grids: [Option<Arc<Grid>>; PANES.len()],
    sheets: [Sheet; PANES.len()],
    pictures: Sheet,
}

impl Maps {
    /// Paints anew if the pixels or the scale changed.
    fn paint(&mut self, of: &Arc<Attributed>, one_scale: bool) {
        let same = |(known, scale): &(Arc<Attributed>, bool)| {
            Arc::ptr_eq(known, of) && *scale == one_scale
        };
        if self.of.as_ref().is_some_and(same) {
            return;
        }
        self.grids = of.maps.each_ref().map(|maps| {
            let maps = maps.as_ref()?;
            let pixels = (0..of.items.len()).flat_map(|i| painted(of, maps, i, one_scale));
            Some(Arc::new(Grid::row_of(of.items.len(), 3, of.side, pixels.collect())))
        });
        self.of = Some((of.clone(), one_scale));
    }
}

/// The map of one picture.
fn map_of<'a>(of: &Attributed, maps: &'a PixelMaps, i: usize) -> &'a [f32] {
    let n = of.side[0] * of.side[1];
    &maps.values[i * n..][..n]
}

/// The value that is as bright as can be.
fn end(values: &[f32]) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let at = (sorted.len() as f32 * (1.0 - BRIGHTER)) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

/// A map over its picture in grey, channels first.
fn painted(of: &Attributed, maps: &PixelMaps, i: usize, one_scale: bool) -> Vec<u8> {
    let values = map_of(of, maps, i);
    let own = || end(values);
    let all = || of.maps.iter().flatten().map(|maps| end(map_of(of, maps, i))).fold(0.0, f32::max);
    let most = if one_scale { all() } else { own() }.max(f32::MIN_POSITIVE);
    let grid = &of.pictures;
    let shade = |at: usize| {
        // A large picture's copy is smaller than its map.
        let [height, width] = of.side;
        let [y, x] = [at / width * grid.tile[0] / height, at % width * grid.tile[1] / width];
        let pixels = grid.pixels_of(0, i);
        let plane = grid.tile[0] * grid.tile[1];
        let sum: u32 =
            (0..grid.channels).map(|c| u32::from(pixels[c * plane + y * grid.tile[1] + x])).sum();
        sum as f32 / (255.0 * grid.channels.max(1) as f32)
    };
    let colours: Vec<[u8; 3]> =
        values.iter().enumerate().map(|(at, v)| picture::over(shade(at), v / most)).collect();
    (0..3).flat_map(|c| colours.iter().map(move |colour| colour[c])).collect()
}

/// Draws the pictures and their maps.
pub fn pixels_ui(shown: &mut Whereabouts, state: &mut State, looked: &Looked, ui: &mut Ui) {
    bar_ui(shown, ui);
    let items = match shown.chosen.is_empty() {
        true => some(looked),
        false => shown.chosen.clone(),
    };
    let refused = state.attribute(&items, shown.way);
    if refused {
        refused_ui(state, "The pixels could not be looked into", true, ui);
    }
    let Some(of) = state.session().insights.pixels().cloned() else {
        if !refused {
            ui.weak("Finding the pixels that matter…");
        }
        return;
    };
    shown.maps.paint(&of, shown.one_scale);
    let mut dropped = None;
    ScrollArea::both().id_salt("pixels").auto_shrink(false).show(ui, |ui| {
        let columns = 1 + of.maps.iter().flatten().count();
        let room = (ui.available_width() - 20.0) / columns as f32 - 10.0;
        let side = room.clamp(SIDES[0], SIDES[1]);
        Table::new("pixels").spacing(vec2(10.0, 8.0)).show(ui, |ui| {
            let there = PANES.iter().zip(&of.maps).filter(|(_, maps)| maps.is_some());
            heads_ui(ui, ["Picture"].into_iter().chain(there.map(|(pane, _)| pane.name())));
            for i in 0..of.items.len() {
                if row_ui(shown, looked, &of, i, side, ui) {
                    dropped = Some(of.items[i]);
                }
                ui.end_row();
            }
        });
        let text = format!(
            "How much each pixel moves the logarithm of the true class's probability; {}",
            of.way.about()[1].to_lowercase()
        );
        fact_ui(ui, text);
    });
    if let Some(item) = dropped {
        shown.choose(item);
    }
}

fn bar_ui(shown: &mut Whereabouts, ui: &mut Ui) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let ways = Attribution::ALL.iter().map(|&way| (way, way.about()[0], way.about()[1]));
        tabs_ui(ui, &mut shown.way, ways);
        ui.add_space(8.0);
        let hint = "The maps of a picture are as bright as their gradients are large beside each other; else \
                    each is as bright as it can be";
        ui.checkbox(&mut shown.one_scale, "One scale").on_hover_text(hint);
        if shown.chosen.is_empty() {
            ui.weak("Click pictures on the map to see theirs");
        } else if ui.button("Clear").on_hover_text("Lets go of the chosen pictures").clicked() {
            shown.chosen.clear();
        }
    });
}

/// Pictures to begin with: those that a run changed most, of the forget set and of the rest; before a run, some
/// of the forget set, or one of each class.
fn some(looked: &Looked) -> Vec<usize> {
    let embedding = looked.embedding;
    let order = match &embedding.maps {
        [Some(before), Some(after), ..] => most_changed(before, after, true),
        _ => (0..embedding.items.len()).collect(),
    };
    let mut places = first_of(&order, embedding, true, MOST / 2);
    if places.is_empty() {
        let first = |class| embedding.labels.iter().position(|label| *label == class);
        places = (0..looked.classes.len()).filter_map(first).take(MOST).collect();
    } else {
        places.extend(first_of(&order, embedding, false, MOST - places.len()));
    }
    places.into_iter().map(|place| embedding.items[place]).collect()
}

/// Draws a picture and its maps; whether it was clicked.
fn row_ui(
    shown: &mut Whereabouts,
    looked: &Looked,
    of: &Arc<Attributed>,
    i: usize,
    side: f32,
    ui: &mut Ui,
) -> bool {
    let palette = theme::palette(ui);
    let name = looked.class(of.labels[i]);
    let place = looked.place(of.items[i]);
    let forgotten = place.is_some_and(|place| looked.embedding.forgotten[place]);
    let texture = shown.maps.pictures.texture(ui.ctx(), &of.pictures);
    let clicked = ui
        .vertical(|ui| {
            let image = tile::image(texture, &of.pictures, [0, i], side).sense(Sense::click());
            let alt = format!("Training picture {}, {name}", of.items[i]);
            let response = ui.add(image.alt_text(alt));
            let color = if forgotten { palette.accent_text } else { palette.strong };
            ui.label(small(name).color(color));
            let chosen = shown.chosen.contains(&of.items[i]);
            response.on_hover_text(if chosen {
                "Click to let go of it"
            } else {
                "Click to keep it"
            })
        })
        .inner
        .clicked();
    for (pane, maps) in of.maps.iter().enumerate() {
        let (Some(maps), Some(grid)) = (maps, shown.maps.grids[pane].clone()) else { continue };
        let texture = shown.maps.sheets[pane].texture(ui.ctx(), &grid);
        ui.vertical(|ui| {
            let (seen, share) = maps.seen[i];
            let truth = 100.0 * maps.truth[i];
            let told = format!("{}: {name} {truth:.1} %", PANES[pane].name());
            let response = ui.add(tile::image(texture, &grid, [0, i], side).alt_text(told));
            response.on_hover_ui(|ui| {
                let most = end(map_of(of, maps, i));
                ui.label(format!("It sees {} with {:.1} %", looked.class(seen), 100.0 * share));
                ui.label(format!("{name} has {truth:.2} %"));
                ui.label(format!("The brightest pixels matter {most:.2e}"));
            });
            ui.set_max_width(side);
            let text = looked.answer((seen, share), of.labels[i], palette);
            ui.add(Label::new(text).truncate());
        });
    }
    clicked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_as_bright_as_they_can_be_or_as_their_gradients_are() {
        let maps = |most: f32| {
            Some(PixelMaps {
                values: vec![0.0, most, 0.0, 0.0],
                seen: vec![(0, 1.0)],
                truth: vec![1.0],
            })
        };
        let of = Attributed {
            items: vec![3],
            labels: vec![0],
            way: Attribution::Gradient,
            pictures: Arc::new(Grid::row_of(1, 1, [2, 2], vec![0, 0, 0, 255])),
            side: [2, 2],
            maps: [maps(1.0), maps(100.0), None, None],
        };
        let red = |one_scale| {
            let map = of.maps[0].as_ref().unwrap();
            painted(&of, map, 0, one_scale)[..4].to_vec()
        };
        assert!(red(false)[1] > 200 && red(true)[1] < 80, "{:?} {:?}", red(false), red(true));
        let dark = red(false);
        assert!(dark[0] == dark[2] && dark[3] > dark[0], "the picture is seen below");
    }
}
