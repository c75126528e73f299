//! The gallery: recorded runs worth seeing, each opened at once and made again by one press.

use egui::{TextureHandle, UiBuilder};

use super::compare;
use crate::run::Record;
use crate::run::gallery::{EXHIBITS, Exhibit};
use crate::studio::prelude::*;
use crate::studio::{Mark, recorded, tile, verdict};

/// The view's row.
pub static VIEW: View = View {
    name: "Gallery",
    hint: "Recorded runs worth seeing: opened at once, made again by one press",
    key: Key::G,
    tasks: &Task::ALL,
    draw: gallery_ui,
};

/// Least width of a card, and its height, in points.
const CARD: Vec2 = vec2(228.0, 190.0);
const GAP: f32 = 10.0;
/// Height of a card's pictures.
const PICTURES: f32 = 70.0;

/// Pictures before and after.
type Pair = [(TextureHandle, Arc<Grid>); 2];

/// Pictures of the exhibits, by their places.
#[derive(Default)]
struct Pictures(Vec<Option<Pair>>);

fn gallery_ui(studio: &mut Studio, ui: &mut Ui) {
    fact_ui(
        ui,
        "Recorded runs. Each opens at once; Replay makes it here, to the same bytes on such a processor",
    );
    let blocked = studio.state.waits();
    let columns = ((ui.available_width() + GAP) / (CARD.x + GAP)).floor().max(1.0);
    let width = (ui.available_width() + GAP) / columns - GAP;
    let mut chosen = None;
    // What does not come, or is no record, does not hang here.
    let all = EXHIBITS.iter().enumerate();
    let hung: Vec<_> =
        all.filter_map(|(at, one)| Some((at, one, recorded::exhibit(one).ok()?))).collect();
    if hung.is_empty() {
        ui.weak("No record is here");
    }
    ScrollArea::vertical().id_salt("gallery").auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing = Vec2::splat(GAP);
        for row in hung.chunks(columns as usize) {
            ui.horizontal(|ui| {
                for &(at, exhibit, record) in row {
                    let size = vec2(width.min(ui.available_width()), CARD.y);
                    let pictures = |ui: &mut Ui| match record {
                        Some(record) => pictures_ui(studio, at, record, ui),
                        None => drop(ui.weak("Coming…")),
                    };
                    let task = record.map(|record| &*record.run.report.task);
                    if card_ui(exhibit, task, size, blocked, ui, pictures) {
                        chosen = record;
                    }
                }
            });
        }
    });
    if let Some(record) = chosen {
        studio.state.show_record(record);
        studio.view = &compare::VIEW;
    }
}

/// Draws an exhibit, whose task is known once its record is there; whether it was pressed.
fn card_ui(
    exhibit: &Exhibit,
    task: Option<&str>,
    size: Vec2,
    blocked: Option<&str>,
    ui: &mut Ui,
    pictures_ui: impl FnOnce(&mut Ui),
) -> bool {
    let palette = theme::palette(ui);
    let (word, color) = verdict::word(exhibit.verdict, palette);
    let free = blocked.is_none() && task.is_some();
    let response = ui.add_enabled_ui(free, |ui| ui.add_sized(size, Button::new(""))).inner;
    response.widget_info(|| {
        let told = format!("{}: {}. {}", exhibit.title, word, exhibit.says);
        WidgetInfo::labeled(Role::Button, free, told)
    });
    let inner = response.rect.shrink(10.0);
    let layout = Layout::top_down(Align::Min);
    let mut card = ui.new_child(UiBuilder::new().max_rect(inner).layout(layout));
    card.set_clip_rect(inner.intersect(ui.clip_rect()));
    card.spacing_mut().item_spacing = vec2(6.0, 4.0);
    pictures_ui(&mut card);
    card.label(RichText::new(exhibit.title).strong().color(palette.strong));
    let line = task.map_or(word.to_string(), |task| format!("{word}, {task}"));
    card.label(small(line).color(color));
    card.add(Label::new(small(exhibit.says)).wrap());
    explained(response, "Shows the recorded run", blocked).clicked()
}

/// Draws what was forgotten, before and after.
fn pictures_ui(studio: &mut Studio, at: usize, record: &Record, ui: &mut Ui) {
    let Pictures(all) = studio.own.of::<Pictures>();
    all.resize_with(EXHIBITS.len(), || None);
    if all[at].is_none() {
        let steps = record.steps(&record.run);
        let ends = steps.first().zip(steps.last());
        all[at] = ends.map(|(first, last)| {
            [first, last].map(|(_, grid)| (tile::load(ui.ctx(), grid), grid.clone()))
        });
    }
    let Some([before, after]) = &all[at] else { return };
    // Of single pictures none is shown, but any will do.
    let row = record.forgotten[0].min(before.1.rows.len().saturating_sub(1));
    let most = ((ui.available_width() / 2.0 - 12.0) / PICTURES).floor().max(1.0) as usize;
    let columns = before.1.columns.min(most);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for (i, (texture, grid)) in [before, after].into_iter().enumerate() {
            if i > 0 {
                ui.add_space(4.0);
                ui.weak("to");
                ui.add_space(4.0);
            }
            for column in 0..columns {
                let picture = ui.add(tile::image(texture.id(), grid, [row, column], PICTURES));
                let forgotten = i > 0 && record.forgotten[0] < record.forgotten[1];
                if let Some(mark) = Mark::at(grid, row, column, forgotten) {
                    mark.frame(ui.painter(), picture.rect);
                }
            }
        }
    });
}

/// Draws what there is to say of a recorded run that is shown, and what makes it again.
pub fn record_ui(studio: &mut Studio, ui: &mut Ui) {
    let Some(record) = studio.state.session().record.clone() else { return };
    let exhibit = EXHIBITS.iter().find(|exhibit| exhibit.recipe() == record.recipe);
    ui.horizontal_wrapped(|ui| {
        let palette = theme::palette(ui);
        ui.label(RichText::new("Recorded").color(palette.caution));
        if let Some(Exhibit { title, says, .. }) = exhibit {
            ui.label(RichText::new(*title).strong());
            ui.label(small(*says).weak());
        }
        let hint =
            "Makes this run here, with its control, and says whether it comes to the same bytes";
        let blocked = studio.state.blocked();
        if button_ui(ui, primary(ui, "Replay"), hint, blocked) {
            studio.state.replay();
        }
        if ui.button("Gallery").on_hover_text("Back to the recorded runs").clicked() {
            studio.view = &VIEW;
        }
    });
    ui.add_space(2.0);
}
