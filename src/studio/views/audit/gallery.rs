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
    let card = |(place, changed): (usize, &Changed)| Card {
        place,
        changed: changed.clone(),
        told: String::new(),
        chosen: false,
    };
    let cards: Vec<Card> = changed.iter().enumerate().map(card).collect();
    ScrollArea::vertical().id_salt("changed").auto_shrink(false).show(ui, |ui| {
        cards_ui((texture, &grid), &cards, classes, "Test", ui);
    });
}

/// A picture whose answer changed.
pub struct Card {
    /// Its place in the grid of pictures.
    pub place: usize,
    pub changed: Changed,
    /// What a click does, and what else there is to say; where it is empty, there is nothing to click.
    pub told: String,
    pub chosen: bool,
}

/// Draws cards, as many beside one another as there is room for; the place of the one that was clicked.
/// `part`: of the data that they are from.
pub fn cards_ui(
    (texture, grid): (TextureId, &Grid),
    cards: &[Card],
    classes: &[String],
    part: &str,
    ui: &mut Ui,
) -> Option<usize> {
    let columns = (ui.available_width() / (CARD + 8.0)).floor().max(1.0) as usize;
    let mut clicked = None;
    for row in cards.chunks(columns) {
        ui.horizontal_top(|ui| {
            for card in row {
                let image = tile::image(texture, grid, [0, card.place], PICTURE);
                if card_ui(card, classes, image, part, ui) {
                    clicked = Some(card.place);
                }
            }
        });
    }
    clicked
}

/// Draws a card; whether its picture was clicked.
fn card_ui(card: &Card, classes: &[String], image: Image, part: &str, ui: &mut Ui) -> bool {
    let palette = theme::palette(ui);
    let Card { changed, told, chosen, .. } = card;
    let name = |class: usize| classes.get(class).map_or("?", String::as_str);
    let answer = |(class, p): (usize, f32)| format!("{} {:.0} %", name(class), p * 100.0);
    widgets::card_ui(ui, 8.0, |ui| {
        ui.set_width(CARD - 18.0);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            let sense = if told.is_empty() { Sense::hover() } else { Sense::click() };
            let what = format!("{part} picture {}", changed.index);
            let response = ui.add(image.alt_text(&what).sense(sense));
            if *chosen || response.has_focus() {
                let stroke = Stroke::new(2.0, palette.caution);
                ui.painter().rect_stroke(response.rect, 2.0, stroke, StrokeKind::Outside);
            }
            let color = if changed.forgotten { palette.accent_text } else { palette.strong };
            ui.label(RichText::new(name(changed.label)).color(color)).on_hover_text(what);
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
            explained(response, told, None).clicked()
        })
        .inner
    })
}
