//! A race: several runs of the same request, one after another, their pictures side by side, a table and the forget
//! map that fill as they end.

use egui::Grid as Table;

use super::{compare, map};
use crate::eval::Metric;
use crate::studio::prelude::*;
use crate::studio::{Entrant, Field, Lane, Mark, Sheet, Whose, strength, tile, verdict};
use crate::words::Metrics;

/// The view's row.
pub static VIEW: View = View {
    name: "Race",
    hint: "Several methods, masks, densities or seeds on the same request, side by side",
    key: Key::V,
    tasks: &Task::ALL,
    draw: race_ui,
};

/// Width of a run's card and of the forget map beside the table, in points.
const CARD: f32 = 190.0;
const MAP: f32 = 300.0;
/// Columns of pictures on a card, and the side of the largest, in points.
const COLUMNS: usize = 4;
const LARGEST: f32 = 44.0;

/// What is picked, and textures of the runs' pictures.
#[derive(Default)]
struct Picked {
    field: Field,
    entrants: Vec<Entrant>,
    sheets: Vec<Sheet>,
}

fn race_ui(studio: &mut Studio, ui: &mut Ui) {
    let racing = matches!(studio.state.working(), Some(JobKind::Race(_)));
    ScrollArea::vertical().id_salt("race").auto_shrink(false).show(ui, |ui| {
        if !racing {
            pick_ui(studio, ui);
            ui.add_space(4.0);
        }
        start_ui(studio, racing, ui);
        if studio.state.session().race.lanes.is_empty() {
            let text = "Pick what shall run on the same request, and press Race: the runs are made one after another, \
                        their pictures stand side by side, and each is a run of the list as any other.";
            return drop(ui.weak(text));
        }
        ui.add_space(6.0);
        let wide = ui.available_width() > 2.0 * MAP + 120.0;
        ui.horizontal_top(|ui| {
            let room = ui.available_width() - if wide { MAP + 12.0 } else { 0.0 };
            ui.vertical(|ui| {
                ui.set_max_width(room);
                ScrollArea::horizontal().id_salt("table").show(ui, |ui| table_ui(studio, ui));
            });
            if wide && let Some(number) = map::chart_ui(studio.state.session(), ui, vec2(MAP, 210.0)) {
                studio.state.recall_beside(number);
            }
        });
        ui.add_space(6.0);
        let lanes = studio.state.session().race.lanes.len();
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(8.0, 8.0);
            (0..lanes).for_each(|at| lane_ui(studio, at, ui));
        });
    });
}

/// Draws what can be picked.
fn pick_ui(studio: &mut Studio, ui: &mut Ui) {
    let task = studio.state.task;
    let picked = studio.own.of::<Picked>();
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        tabs_ui(ui, &mut picked.field, Field::ALL);
    });
    let all = picked.field.entrants(task);
    // Of another task or of another tab.
    picked.entrants.retain(|entrant| all.contains(entrant));
    ui.horizontal_wrapped(|ui| {
        for entrant in all {
            let mut on = picked.entrants.contains(&entrant);
            if ui.checkbox(&mut on, entrant.name()).changed() {
                match on {
                    true => picked.entrants.push(entrant),
                    false => picked.entrants.retain(|other| *other != entrant),
                }
            }
        }
    });
}

/// Draws the buttons that start, stop and go on.
fn start_ui(studio: &mut Studio, racing: bool, ui: &mut Ui) {
    let entrants = studio.own.of::<Picked>().entrants.clone();
    ui.horizontal_wrapped(|ui| {
        if racing {
            if ui.button("Stop the race").on_hover_text("What is finished stays").clicked() {
                studio.state.cancel();
            }
            return;
        }
        let blocked = studio.state.unraced(&entrants);
        let name = match entrants.len() {
            0 => "Race".into(),
            n => format!("Race {n} runs"),
        };
        let hint = "Makes them one after another: same request, same pictures, same seed";
        if button_ui(ui, primary(ui, &name), hint, blocked) {
            studio.state.race(&entrants);
        }
        let race = &studio.state.session().race;
        if !race.lanes.is_empty() && race.next().is_some() {
            let blocked = studio.state.unresumed();
            let hint = "Makes the runs that are not finished; the one that was stopped begins anew";
            if button_ui(ui, Button::new("Continue the race"), hint, blocked) {
                studio.state.resume_race();
            }
        }
    });
}

/// Draws the runs' figures.
fn table_ui(studio: &mut Studio, ui: &mut Ui) {
    let session = studio.state.session();
    let (race, task) = (&session.race, session.task.name());
    let reports: Vec<&Metrics> = race.finished().map(|(_, run)| &run.report.after).collect();
    let metrics: Vec<&Metric> = Metric::told(&reports).filter(|m| m.measured(&reports)).collect();
    let best = race.best();
    let mut chosen = None;
    Table::new("race").striped(true).spacing([14.0, 4.0]).show(ui, |ui| {
        ui.label(small("run").weak());
        for metric in &metrics {
            ui.label(small(metric.key).weak()).on_hover_text(metric.about(task));
        }
        heads_ui(ui, ["seconds", "frozen changed", "verdict"]);
        for (at, lane) in race.lanes.iter().enumerate() {
            chosen = name_ui(lane, best == Some(at), ui).or(chosen);
            figures_ui(lane, &metrics, ui);
            ui.end_row();
        }
    });
    if let Some(number) = chosen {
        studio.state.recall_beside(number);
        studio.view = &compare::VIEW;
    }
}

/// Draws a run's name, which shows it in Compare where it is pressed: its number in the list.
fn name_ui(lane: &Lane, best: bool, ui: &mut Ui) -> Option<usize> {
    let text = RichText::new(&lane.name).strong();
    let Some(number) = lane.number else {
        ui.label(text);
        return None;
    };
    let shown = ui.horizontal(|ui| {
        let pressed = ui.link(text).on_hover_text("Shows it side by side in Compare").clicked();
        if best {
            let palette = theme::palette(ui);
            ui.label(small("best so far").color(palette.good))
                .on_hover_text("Nearest to the corner of the forget map");
        }
        pressed
    });
    shown.inner.then_some(number)
}

fn figures_ui(lane: &Lane, metrics: &[&Metric], ui: &mut Ui) {
    let Some(run) = &lane.attempt.run else {
        metrics.iter().for_each(|_| drop(ui.label("")));
        ui.label("");
        ui.label("");
        return drop(match &lane.failed {
            Some(why) => ui.label(small("failed").color(theme::palette(ui).bad)).on_hover_text(why),
            None => ui.label(small(way(lane)).weak()),
        });
    };
    let report = &run.report;
    for metric in metrics {
        let value = metric.value(&report.after);
        ui.label(small(value.map_or("–".into(), |v| format!("{v:.1}"))));
    }
    let seconds = report.seconds.mask + report.seconds.unlearn;
    ui.label(small(format!("{seconds:.1}")));
    let frozen = report.mask.as_ref().map(|mask| format::count(mask.frozen_changed));
    ui.label(small(frozen.unwrap_or("–".into())));
    let (word, color) = verdict::word(report.verdict.label, theme::palette(ui));
    ui.label(small(word).color(color)).on_hover_text(&report.verdict.why);
}

/// How far a run is that is not finished.
fn way(lane: &Lane) -> String {
    let attempt = &lane.attempt;
    match attempt.losses.last() {
        _ if attempt.cancelled => "stopped".into(),
        None => "waits".into(),
        Some([step, _]) => {
            format!("step {} of {}", format::count(*step as usize), format::count(attempt.steps))
        }
    }
}

/// Draws a run's pictures, and how much of its change they show.
fn lane_ui(studio: &mut Studio, at: usize, ui: &mut Ui) {
    let Studio { state, own, .. } = studio;
    let session = state.session();
    let best = session.race.best() == Some(at);
    let lane = &session.race.lanes[at];
    let (name, part) = (lane.name.clone(), lane.attempt.part(session.base()));
    let (grid, told) = match part {
        Some((grid, strength)) => (grid.clone(), format!("strength {strength}")),
        None => {
            let (step, grid) = lane.attempt.at(None);
            (grid.clone(), format!("step {}", format::count(step)))
        }
    };
    let forgotten = session.forgotten();
    let sheets = &mut own.of::<Picked>().sheets;
    sheets.resize_with(sheets.len().max(at + 1), Sheet::default);
    let texture = sheets[at].texture(ui.ctx(), &grid);
    ui.allocate_ui(vec2(CARD, 0.0), |ui| {
        card_ui(ui, 6.0, |ui| {
            ui.set_width(CARD - 14.0);
            ui.vertical(|ui| {
                let title = if best { format!("{name}, best so far") } else { name.clone() };
                ui.add(Label::new(RichText::new(title).strong()).truncate());
                ui.add(Label::new(small(&told).weak()).truncate());
                pictures_ui(&grid, texture, &forgotten, &format!("{name}, {told}"), ui);
                let finished = state.session().race.lanes[at].attempt.run.is_some();
                if finished {
                    let whose = Whose::Lane(at);
                    let blocked = state.undialled(whose);
                    let strength = state.session().strength(whose);
                    let moved = ui.push_id(at, |ui| {
                        ui.horizontal(|ui| strength::dial_ui(ui, "Strength", strength, blocked))
                            .inner
                    });
                    if let Some(strength) = moved.inner {
                        state.set_strength(whose, strength);
                    }
                }
            });
        });
    });
}

/// Draws the first columns of a grid, each tile framed by what is seen in it.
fn pictures_ui(
    grid: &Grid,
    texture: TextureId,
    forgotten: &std::ops::Range<usize>,
    told: &str,
    ui: &mut Ui,
) {
    let columns = grid.columns.clamp(1, COLUMNS);
    // Many rows of few columns stand in two parts side by side.
    let rows = grid.rows.len().max(1);
    let parts = if rows > columns { 2 } else { 1 };
    let down = rows.div_ceil(parts);
    let side = (ui.available_width() / (columns * parts) as f32).min(LARGEST);
    let tall = side * grid.tile[0] as f32 / grid.tile[1].max(1) as f32;
    let size = vec2(side * (columns * parts) as f32, tall * down as f32);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, told));
    let painter = ui.painter_at(rect);
    for row in 0..grid.rows.len() {
        for column in 0..columns.min(grid.columns) {
            let (x, y) = (row / down * columns + column, row % down);
            let corner = rect.min + vec2(x as f32 * side, y as f32 * tall);
            let tile = Rect::from_min_size(corner, vec2(side, tall)).shrink(1.0);
            painter.image(texture, tile, tile::uv(grid, row, column), Color32::WHITE);
            if let Some(mark) = Mark::at(grid, row, column, forgotten.contains(&row)) {
                mark.frame(&painter, tile);
            }
        }
    }
}
