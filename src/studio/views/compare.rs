//! The centre: the same pictures before, after, with a random mask, and by Retrain.

use crate::studio::prelude::*;
use crate::studio::{
    Content, Mark, Pane, PaneContext, Sheet, Spot, Swipe, commands, panes, strength,
};

/// The view's row.
pub static VIEW: View = View {
    name: "Compare",
    hint: "The same pictures before, after, with a random mask, and by Retrain",
    key: Key::C,
    tasks: &Task::ALL,
    draw: compare_ui,
};

/// Width of the class names, in points.
const NAMES: f32 = 84.0;
/// Height of a pane's title.
pub const TITLE: f32 = 22.0;
/// Between panes.
pub const GAP: f32 = 14.0;
/// Width that a pane's title asks for; narrower where there is no room.
const TITLED: f32 = 96.0;
/// Width of a pane that stays empty.
const STRIP: f32 = 54.0;
/// Side of a tile, in points.
const SMALLEST: f32 = 14.0;
const LARGEST: f32 = 180.0;
/// Columns that are shown, however small that makes them.
const FEWEST: usize = 2;
/// Above this width the legend stands beside the switches.
const ONE_ROW: f32 = 700.0;

/// Which panes are shown, and their textures.
pub struct Comparison {
    shown: [bool; 4],
    /// By pane.
    pub sheets: [Sheet; 4],
    pub swipe: Swipe,
}

impl Default for Comparison {
    fn default() -> Self {
        Self { shown: [true; 4], sheets: Default::default(), swipe: Swipe::default() }
    }
}

fn compare_ui(studio: &mut Studio, ui: &mut Ui) {
    let one_row = ui.available_width() > ONE_ROW;
    let comparison = studio.own.of::<Comparison>();
    ui.horizontal(|ui| {
        for &pane in tasks::of(studio.state.task).panes {
            ui.checkbox(&mut comparison.shown[pane as usize], pane.name())
                .on_hover_text("Show or hide this pane");
        }
        let hint = format!("{}; or hold B for Before everywhere", commands::SWIPE.tooltip());
        ui.checkbox(&mut comparison.swipe.on, commands::SWIPE.name).on_hover_text(hint);
        if one_row {
            ui.add_space(8.0);
            legend_ui(ui);
        }
    });
    if !one_row {
        ui.horizontal(legend_ui);
    }
    ui.add_space(4.0);
    match studio.state.session().seen().cloned() {
        Some(opened) => {
            stopped_ui(&mut studio.state, ui);
            let done = studio.state.session().run(Arm::Method).is_some();
            // In the gap that panes have below them, so that they stay where they are.
            panes_ui(studio, ui, &opened, if done { GAP } else { 0.0 });
            if done {
                strength::dials_ui(&mut studio.state, ui);
            }
        }
        None => opening_ui(&mut studio.state, ui),
    }
}

/// Says that the model was not opened to its end, and offers to open it again.
fn stopped_ui(state: &mut State, ui: &mut Ui) {
    if state.work.is_some() || state.session().opened.is_some() {
        return;
    }
    ui.horizontal(|ui| {
        ui.label("The model is not open: these are its first pictures");
        again_ui(state, ui);
    });
}

fn again_ui(state: &mut State, ui: &mut Ui) {
    if ui.button("Open again").clicked() {
        state.open();
    }
}

fn opening_ui(state: &mut State, ui: &mut Ui) {
    middle_ui(ui, |ui| {
        if state.work.is_some() {
            ui.label(RichText::new("Drawing the first pictures…").heading());
            ui.weak(tasks::of(state.task).opening);
        } else {
            ui.label(RichText::new("No model is open").heading());
            again_ui(state, ui);
        }
    });
}

/// Says what the frames mean.
fn legend_ui(ui: &mut Ui) {
    ui.spacing_mut().interact_size.y = 14.0;
    ui.spacing_mut().item_spacing.x = 4.0;
    for mark in Mark::ALL {
        let (rect, _) = ui.allocate_exact_size(vec2(16.0, 16.0), Sense::hover());
        panes::frame(ui.painter(), rect, mark);
        ui.label(small(mark.name()).weak()).on_hover_text(mark.means());
        ui.add_space(4.0);
    }
}

/// How panes are arranged: side by side in bands, with tiles as large as fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrangement {
    per_band: usize,
    /// In how many parts, side by side, the rows are shown.
    parts: usize,
    /// Columns of each pane that are shown: as many as are large enough.
    pub columns: usize,
    /// Size of a tile with its frame, in points.
    pub tile: Vec2,
    /// Width of a pane whose tiles take less.
    pub least: f32,
}

/// What a pane of tiles has for itself: its width, and the height of a row. `panes`: the widths of those
/// that are strips.
fn room(space: Vec2, panes: &[Option<f32>], grid: &Grid, per_band: usize, parts: usize) -> Vec2 {
    let rows = grid.rows.len().max(1).div_ceil(parts) as f32;
    // A point is lost to rounding.
    let across = space.x / parts as f32 - names_width(grid) - per_band as f32 * GAP - 1.0;
    let width = panes.chunks(per_band).map(|band| {
        let tiled = band.iter().filter(|strip| strip.is_none()).count();
        let points = band.iter().flatten().sum::<f32>();
        (across - points) / tiled.max(1) as f32
    });
    let down = panes.chunks(per_band).len() as f32;
    let row = (space.y - down * (TITLE + GAP)) / (down * rows);
    vec2(width.fold(f32::INFINITY, f32::min), row)
}

/// The largest tiles, where a column more makes up for tiles that are a little smaller.
fn arrange(space: Vec2, panes: &[Option<f32>], grid: &Grid) -> Arrangement {
    let aspect = grid.tile[0] as f32 / grid.tile[1].max(1) as f32;
    let all = grid.columns.max(1);
    let fit = |per_band: usize, parts: usize, columns: usize| {
        let room = room(space, panes, grid, per_band, parts);
        let side = (room.y / aspect).min(room.x / columns as f32).min(LARGEST);
        let least = TITLED.min(room.x);
        let tile = vec2(side, side * aspect);
        (side * (columns as f32).powf(0.25), Arrangement { per_band, parts, columns, tile, least })
    };
    let one_part = (1..=panes.len().max(1))
        .flat_map(|per_band| (FEWEST.min(all)..=all).map(move |columns| fit(per_band, 1, columns)));
    // More parts where all columns are shown and there is still room beside them.
    let more_parts = (2..=grid.rows.len().max(2))
        .rev()
        .map(|parts| fit(panes.len().max(1), parts, all))
        .filter(|(_, arrangement)| arrangement.least >= TITLED);
    let best = more_parts.chain(one_part).max_by(|a, b| a.0.total_cmp(&b.0));
    let mut best = best.unwrap_or_else(|| fit(1, 1, all)).1;
    let side = best.tile.x.max(SMALLEST);
    best.tile = vec2(side, side * aspect);
    best
}

/// Draws the panes; so many points `below` them are another's.
fn panes_ui(studio: &mut Studio, ui: &mut Ui, opened: &Arc<Opened>, below: f32) {
    let Studio { state, own, tour, .. } = studio;
    let (session, comparison) = (state.session(), own.of::<Comparison>());
    let mut shown = tasks::of(session.task).panes.to_vec();
    shown.retain(|pane| comparison.shown[*pane as usize]);
    let base = session.reference().unwrap_or(&opened.grid);
    let widths: Vec<_> = shown.iter().map(|p| strip(session, *p)).collect();
    let arrangement = arrange(ui.available_size(), &widths, base);
    let before = comparison.sheets[0].texture(ui.ctx(), base);
    let look = PaneContext {
        session,
        base,
        classes: &opened.classes,
        forgotten: session.forgotten(),
        arrangement,
        before,
        swipe: comparison.swipe.share(ui.ctx()),
        palette: theme::palette(ui),
    };
    let rows = base.rows.len();
    let part = rows.div_ceil(arrangement.parts).max(1);
    let mut swiped = None;
    let height = ui.available_height() - below;
    ScrollArea::both().auto_shrink(false).max_height(height).show(ui, |ui| {
        ui.spacing_mut().item_spacing = vec2(GAP, GAP);
        for band in shown.chunks(arrangement.per_band) {
            ui.horizontal_top(|ui| {
                for first in (0..rows).step_by(part) {
                    let rows = first..rows.min(first + part);
                    look.names_ui(ui, &rows);
                    // What stays empty is said once.
                    let filled = |pane: &&Pane| first == 0 || strip(session, **pane).is_none();
                    for &pane in band.iter().filter(filled) {
                        let sheet = &mut comparison.sheets[pane as usize];
                        let (rect, moved) = look.pane_ui(ui, pane, sheet, &rows);
                        swiped = moved.or(swiped);
                        match pane {
                            Pane::Before if first == 0 => tour.mark(Spot::Before, rect),
                            Pane::Random if first == 0 => tour.mark(Spot::Control, rect),
                            _ => {}
                        }
                    }
                }
            });
        }
    });
    if let Some(at) = swiped.filter(|_| comparison.swipe.on) {
        comparison.swipe.at = at;
        ui.ctx().request_repaint();
    }
}

/// A pane's width in points where it is not that of its tiles: Retrain without a twin stays empty and is a
/// strip; the others will be filled.
pub fn strip(session: &TaskState, pane: Pane) -> Option<f32> {
    matches!((pane, session.content(pane)), (Pane::Retrain, Content::Hint(_))).then_some(STRIP)
}

/// Width of the rows' names, in points: prompts are longer than classes.
pub fn names_width(grid: &Grid) -> f32 {
    if grid.names.is_empty() { NAMES } else { 1.5 * NAMES }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(columns: usize) -> Grid {
        Grid {
            rows: (0..10).map(Some).collect(),
            names: Vec::new(),
            columns,
            channels: 1,
            tile: [28, 28],
            pixels: Vec::new(),
            seen: Vec::new(),
        }
    }

    const PANES: [Option<f32>; 4] = [None, None, None, Some(STRIP)];

    /// Width of what is arranged, with all names and gaps.
    fn across(arrangement: &Arrangement, tiled: f32, strips: f32) -> f32 {
        let pane = (arrangement.columns as f32 * arrangement.tile.x).max(arrangement.least);
        let gaps = (tiled + strips) * GAP;
        arrangement.parts as f32 * (NAMES + gaps + tiled * pane) + strips * STRIP
    }

    #[test]
    fn four_panes_fit_the_smallest_window() {
        // The centre at 1024 x 640.
        let small = arrange(vec2(500.0, 260.0), &PANES, &grid(6));
        assert!(small.per_band == 4 && small.tile.x > 20.0 && small.columns >= 3, "{small:?}");
        assert!(across(&small, 3.0, 1.0) <= 500.0);
        let large = arrange(vec2(900.0, 700.0), &[None; 2], &grid(6));
        assert!(large.per_band == 2 && large.tile.x > 60.0 && large.columns == 6, "{large:?}");
    }

    #[test]
    fn tiles_are_as_large_as_the_height_allows() {
        // The centre at 1280 x 800, and at 1024 x 700 with all panes filled.
        for (space, panes) in [(vec2(711.0, 384.0), PANES), (vec2(518.0, 318.0), [None; 4])] {
            let window = arrange(space, &panes, &grid(6));
            let row = (space.y - TITLE - GAP) / 10.0;
            assert!(window.tile.y > 0.95 * row && window.columns >= 3, "{window:?}");
            assert!(window.tile.y * 10.0 + TITLE + GAP <= space.y + 0.01, "{window:?}");
        }
    }

    #[test]
    fn few_columns_in_a_wide_window_are_shown_in_parts() {
        // The centre at 1920 x 1080 with one picture of each class.
        let space = vec2(1370.0, 680.0);
        let window = arrange(space, &PANES, &grid(1));
        assert!(window.parts == 2 && window.tile.x > 110.0, "{window:?}");
        assert!(across(&window, 3.0, 1.0) <= space.x, "{window:?}");
        assert_eq!(arrange(space, &PANES, &grid(6)).parts, 1);
    }

    #[test]
    fn panes_of_one_column_leave_room_for_their_titles() {
        let window = arrange(vec2(700.0, 420.0), &PANES, &grid(1));
        assert!(window.per_band == 4 && window.least == TITLED, "{window:?}");
        let phone = arrange(vec2(374.0, 300.0), &PANES, &grid(1));
        assert!(across(&phone, 3.0, 1.0) <= 374.0, "{phone:?}");
    }
}
