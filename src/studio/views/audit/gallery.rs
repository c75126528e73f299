//! Test pictures whose answers changed most.

use egui::Image;

use crate::studio::prelude::*;
use crate::studio::{Sheet, tile, widgets};
use crate::words::Changed;

/// Width of a card and side of its picture, in points.
const CARD: f32 = 150.0;
const PICTURE: f32 = 72.0;

/// Draws a card for every picture.
pub fn changed_ui(sheet: &mut Sheet, run: &Run, ui: &mut Ui) {
    let changed = &run.report.changed;
    let like = &run.before;
    let each = like.channels * like.tile[0] * like.tile[1];
    if changed.is_empty() || run.changed.len() != changed.len() * each {
        ui.weak("No answer changed");
        return;
    }
    let held = sheet.grid().filter(|held| held.pixels == run.changed).cloned();
    let grid = held.unwrap_or_else(|| {
        let pixels = run.changed.clone();
        Arc::new(Grid::row_of(changed.len(), like.channels, like.tile, pixels))
    });
    let texture = sheet.texture(ui.ctx(), &grid);
    let classes = run.model.classes();
    let columns = (ui.available_width() / (CARD + 8.0)).floor().max(1.0) as usize;
    let places: Vec<usize> = (0..changed.len()).collect();
    ScrollArea::vertical().id_salt("changed").auto_shrink(false).show(ui, |ui| {
        for row in places.chunks(columns) {
            ui.horizontal_top(|ui| {
                for &i in row {
                    let image = tile::image(texture, &grid, [0, i], PICTURE);
                    card_ui(&changed[i], classes, image, ui);
                }
            });
        }
    });
}

fn card_ui(changed: &Changed, classes: &[String], image: Image, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let name = |class: usize| classes.get(class).map_or("?", String::as_str);
    let answer = |(class, p): (usize, f32)| format!("{} {:.0} %", name(class), p * 100.0);
    widgets::card_ui(ui, 8.0, |ui| {
        ui.set_width(CARD - 18.0);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.add(image.alt_text(format!("Test picture {}", changed.index)));
            let color = if changed.forgotten { palette.accent_text } else { palette.strong };
            ui.label(RichText::new(name(changed.label)).color(color))
                .on_hover_text(format!("Test picture {}", changed.index));
            for (when, seen) in [("before", changed.before), ("after", changed.after)] {
                let right = seen.0 == changed.label;
                let color = if right { palette.good } else { palette.bad };
                let text = small(answer(seen)).color(color);
                ui.horizontal(|ui| {
                    ui.spacing_mut().item_spacing.x = 4.0;
                    ui.label(small(when).weak());
                    ui.add(Label::new(text).truncate());
                });
            }
        });
    });
}
