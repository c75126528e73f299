//! The centre: the same pictures before, after, with a random mask, and by Retrain.

use std::sync::Arc;

use egui::{RichText, ScrollArea, Sense, Ui, Vec2, vec2};

use super::{
    app::Studio,
    panes::{self, Look},
    session::{Content, Pane, Session},
    state::State,
    swipe::Swipe,
    theme,
    tile::Sheet,
    tour::Spot,
};
use crate::{
    engine::job::{Grid, Opened},
    models::Task,
};

/// Width of the class names, in points.
const NAMES: f32 = 84.0;
/// Height of a pane's title.
pub const TITLE: f32 = 22.0;
/// Between panes.
pub const GAP: f32 = 14.0;
/// Width that a pane's title asks for; narrower where there is no room.
const TITLED: f32 = 96.0;

/// Which panes are shown, and their textures.
pub struct Comparison {
    shown: [bool; 4],
    sheets: [Sheet; 4],
    pub swipe: Swipe,
}

impl Default for Comparison {
    fn default() -> Self {
        Self { shown: [true; 4], sheets: Default::default(), swipe: Swipe::default() }
    }
}

impl Comparison {
    /// A pane's texture.
    pub fn sheet(&mut self, pane: Pane) -> &mut Sheet {
        &mut self.sheets[pane as usize]
    }
}

/// Draws the panes.
pub fn compare_ui(studio: &mut Studio, ui: &mut Ui) {
    let one_row = ui.available_width() > 640.0;
    ui.horizontal(|ui| {
        for &pane in Pane::of(studio.state.task) {
            ui.checkbox(&mut studio.comparison.shown[pane as usize], pane.name())
                .on_hover_text("Show or hide this pane");
        }
        ui.checkbox(&mut studio.comparison.swipe.on, "Swipe")
            .on_hover_text("Before and after in one pane (W); or hold B for Before everywhere");
        if one_row {
            ui.add_space(12.0);
            legend_ui(studio.state.task, ui);
        }
    });
    if !one_row {
        ui.horizontal(|ui| legend_ui(studio.state.task, ui));
    }
    ui.add_space(4.0);
    match studio.state.session().seen().cloned() {
        Some(opened) => panes_ui(studio, ui, &opened),
        None => opening_ui(&mut studio.state, ui),
    }
}

fn opening_ui(state: &mut State, ui: &mut Ui) {
    ui.vertical_centered(|ui| {
        ui.add_space(ui.available_height() * 0.4);
        if state.work.is_some() {
            ui.label(RichText::new("Drawing the first pictures…").heading());
            ui.weak(match state.task {
                Task::TextToImage => "The model shows what it draws, in every style that it knows",
                _ => "The model shows what it knows of every class",
            });
        } else {
            ui.label(RichText::new("No model is open").heading());
            if ui.button("Open again").clicked() {
                state.open();
            }
        }
    });
}

/// Says what the frames mean.
fn legend_ui(task: Task, ui: &mut Ui) {
    ui.spacing_mut().interact_size.y = 14.0;
    ui.spacing_mut().item_spacing.x = 6.0;
    let agreed = match task {
        Task::TextToImage => "seen as asked",
        _ => "seen as its class",
    };
    for (agrees, text) in [(true, agreed), (false, "seen as another")] {
        let (rect, _) = ui.allocate_exact_size(vec2(14.0, 14.0), Sense::hover());
        panes::frame(ui.painter(), rect, agrees);
        ui.label(RichText::new(text).small().weak());
        ui.add_space(8.0);
    }
}

/// How panes are arranged: side by side in bands, with tiles as large as fit.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Arrangement {
    per_band: usize,
    /// Size of a tile with its frame, in points.
    tile: Vec2,
    /// Width of a pane whose tiles take less.
    least: f32,
}

fn arrange(space: Vec2, panes: &[Width], grid: &Grid) -> Arrangement {
    let rows = grid.rows.len().max(1) as f32;
    let aspect = grid.tile[0] as f32 / grid.tile[1].max(1) as f32;
    // A column's width, were there no end to the height.
    let column = |per_band: usize| {
        // A point is lost to rounding.
        let room = space.x - names_width(grid) - per_band as f32 * GAP - 1.0;
        let width = panes.chunks(per_band).map(|band| {
            let [tiles, points] = band.iter().fold([0.0, 0.0], |sum, width| match width {
                Width::Tiles(n) => [sum[0] + *n as f32, sum[1]],
                Width::Points(points) => [sum[0], sum[1] + points],
            });
            (room - points) / tiles.max(1.0)
        });
        width.fold(f32::INFINITY, f32::min)
    };
    let side = |per_band: usize| {
        let down = panes.chunks(per_band).len() as f32;
        let height = (space.y - down * (TITLE + GAP)) / (down * rows);
        (height / aspect).min(column(per_band))
    };
    let best = (1..=panes.len().max(1)).max_by(|a, b| side(*a).total_cmp(&side(*b))).unwrap_or(1);
    let side = side(best).clamp(14.0, 72.0);
    let least = TITLED.min(column(best) * grid.columns as f32);
    Arrangement { per_band: best, tile: vec2(side, side * aspect), least }
}

fn panes_ui(studio: &mut Studio, ui: &mut Ui, opened: &Arc<Opened>) {
    let session = studio.state.session();
    let of_task = Pane::of(session.task).iter().copied();
    let shown: Vec<Pane> = of_task.filter(|p| studio.comparison.shown[*p as usize]).collect();
    let base = session.base().unwrap_or(&opened.grid);
    let widths: Vec<Width> = shown.iter().map(|p| width(session, base, *p)).collect();
    let arrangement = arrange(ui.available_size(), &widths, base);
    let before = studio.comparison.sheets[0].texture(ui.ctx(), base);
    let look = Look {
        session,
        base,
        classes: &opened.classes,
        forgotten: session.forgotten(),
        tile: arrangement.tile,
        least: arrangement.least,
        before,
        swipe: studio.comparison.swipe.share(ui.ctx()),
        palette: theme::palette(ui),
    };
    let mut swiped = None;
    ScrollArea::both().auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing = vec2(GAP, GAP);
        for band in shown.chunks(arrangement.per_band) {
            ui.horizontal_top(|ui| {
                look.names_ui(ui);
                for &pane in band {
                    let sheet = &mut studio.comparison.sheets[pane as usize];
                    let (rect, moved) = look.pane_ui(ui, pane, sheet);
                    swiped = moved.or(swiped);
                    match pane {
                        Pane::Before => studio.tour.mark(Spot::Before, rect),
                        Pane::Random => studio.tour.mark(Spot::Control, rect),
                        _ => {}
                    }
                }
            });
        }
    });
    if let Some(at) = swiped.filter(|_| studio.comparison.swipe.on) {
        studio.comparison.swipe.at = at;
        ui.ctx().request_repaint();
    }
}

/// A pane's width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Width {
    Tiles(usize),
    Points(f32),
}

/// Retrain without a twin stays empty and takes little; the others will be filled.
pub fn width(session: &Session, base: &Grid, pane: Pane) -> Width {
    match (pane, session.content(pane)) {
        (Pane::Retrain, Content::Hint(_)) => Width::Points(96.0),
        _ => Width::Tiles(base.columns),
    }
}

/// Width of the rows' names, in points: prompts are longer than classes.
pub fn names_width(grid: &Grid) -> f32 {
    if grid.names.is_empty() { NAMES } else { 1.5 * NAMES }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_panes_fit_the_smallest_window() {
        let grid = Grid {
            rows: (0..10).map(Some).collect(),
            names: Vec::new(),
            columns: 6,
            channels: 1,
            tile: [28, 28],
            pixels: Vec::new(),
            seen: Vec::new(),
        };
        // The centre at 1024 x 640.
        let tiles = Width::Tiles(6);
        let panes = [tiles, tiles, tiles, Width::Points(96.0)];
        let small = arrange(vec2(500.0, 260.0), &panes, &grid);
        assert!(small.per_band == 4 && small.tile.x > 14.0, "{small:?}");
        assert!(NAMES + 4.0 * GAP + 18.0 * small.tile.x + 96.0 <= 500.0);
        let large = arrange(vec2(900.0, 700.0), &[tiles; 2], &grid);
        assert!(large.per_band == 2 && large.tile.x > 60.0, "{large:?}");
    }

    #[test]
    fn panes_of_one_column_leave_room_for_their_titles() {
        let grid = Grid {
            names: Vec::new(),
            rows: (0..10).map(Some).collect(),
            columns: 1,
            channels: 1,
            tile: [28, 28],
            pixels: Vec::new(),
            seen: Vec::new(),
        };
        let panes = [Width::Tiles(1), Width::Tiles(1), Width::Tiles(1), Width::Points(96.0)];
        let window = arrange(vec2(700.0, 420.0), &panes, &grid);
        assert!(window.per_band == 4 && window.least == TITLED, "{window:?}");
        let phone = arrange(vec2(374.0, 300.0), &panes, &grid);
        assert!(NAMES + 4.0 * GAP + 3.0 * phone.least + 96.0 <= 374.0, "{phone:?}");
    }
}
