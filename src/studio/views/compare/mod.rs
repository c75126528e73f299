//! The centre: the same pictures before, after, with a random mask, and by Retrain.

mod arrange;
mod pages;

pub use arrange::{Arrangement, GAP, TITLE};

use egui::Checkbox;

use super::gallery;
use crate::studio::narrow::NARROW;
use crate::studio::prelude::*;
use crate::studio::views::steps;
use crate::studio::{
    Content, Mark, Pane, PaneContext, Sheet, Spot, Swipe, commands, key_ui, strength,
};
use crate::words::Piece;
use pages::Pages;

/// The view's row.
pub static VIEW: View = View {
    name: "Compare",
    hint: "The same pictures before, after, with a random mask, and by Retrain",
    key: Key::C,
    tasks: &Task::ALL,
    draw: compare_ui,
};

/// Above this width the legend stands beside the switches.
const ONE_ROW: f32 = 860.0;

/// Which panes are shown, and their textures.
pub struct Comparison {
    shown: [bool; 4],
    /// By pane.
    pub sheets: [Sheet; 4],
    pub swipe: Swipe,
    /// Whether the other panes show how they differ from Before.
    difference: bool,
    /// Which pane a narrow window shows.
    pages: Pages,
}

impl Comparison {
    /// Moves the swipe to where it was dragged, if it is on.
    fn swiped(&mut self, to: Option<f32>, ctx: &Context) {
        if let Some(at) = to.filter(|_| self.swipe.on) {
            self.swipe.at = at;
            ctx.request_repaint();
        }
    }
}

impl Default for Comparison {
    fn default() -> Self {
        let (sheets, swipe, pages) = Default::default();
        Self { shown: [true; 4], sheets, swipe, difference: false, pages }
    }
}

fn compare_ui(studio: &mut Studio, ui: &mut Ui) {
    let narrow = ui.ctx().content_rect().width() < NARROW;
    match (studio.state.session().under_way(), narrow) {
        (true, false) => switches_ui(studio, ui),
        // On a phone there is room for what has a meaning already.
        (false, true) => {}
        _ => drop(ui.horizontal_wrapped(legend_ui)),
    }
    ui.add_space(4.0);
    gallery::record_ui(studio, ui);
    match studio.state.session().seen().cloned() {
        Some(opened) => {
            stopped_ui(&mut studio.state, ui);
            let done = studio.state.session().run(Arm::Method).is_some();
            // In the gap that panes have below them, so that they stay where they are.
            let below = if done { GAP } else { 0.0 };
            if narrow {
                // Its panel has less of a margin.
                pages::pages_ui(studio, ui, &opened, below * 1.5);
            } else {
                panes_ui(studio, ui, &opened, below);
            }
            if done && !studio.state.hides(Piece::Strength) {
                strength::dials_ui(&mut studio.state, ui);
            }
        }
        None => opening_ui(&mut studio.state, ui),
    }
}

/// The panes that have something to show, but for what a worksheet leaves out.
fn had(state: &State) -> Vec<Pane> {
    let session = state.session();
    let panes = tasks::of(session.task).panes.iter().copied();
    panes.filter(|pane| session.has(*pane) && !left_out(state, *pane)).collect()
}

/// Whether a worksheet leaves a pane out.
fn left_out(state: &State, pane: Pane) -> bool {
    let piece = match pane {
        Pane::Random => Piece::Control,
        Pane::Retrain => Piece::Retrain,
        Pane::Before | Pane::After => return false,
    };
    state.hides(piece)
}

/// Draws what shows and hides panes, the swipe, and the legend.
fn switches_ui(studio: &mut Studio, ui: &mut Ui) {
    let one_row = ui.available_width() > ONE_ROW;
    let Studio { own, state, .. } = studio;
    let (comparison, session) = (own.of::<Comparison>(), state.session());
    ui.horizontal(|ui| {
        let panes = tasks::of(session.task).panes.iter();
        for &pane in panes.filter(|pane| !left_out(state, **pane)) {
            match session.content(pane) {
                // What is not there takes no room, and says why.
                Content::Hint(why) => {
                    let mut off = false;
                    let off = Checkbox::new(&mut off, pane.name());
                    ui.add_enabled(false, off).on_disabled_hover_text(why)
                }
                _ => ui
                    .checkbox(&mut comparison.shown[pane as usize], pane.name())
                    .on_hover_text("Show or hide this pane"),
            };
        }
        let hint = format!("{}; or hold B for Before everywhere", commands::SWIPE.tooltip());
        ui.checkbox(&mut comparison.swipe.on, commands::SWIPE.name).on_hover_text(hint);
        if draws(session) {
            ui.checkbox(&mut comparison.difference, "Difference")
                .on_hover_text("How every tile differs from Before, as heat");
        }
        if one_row {
            ui.add_space(8.0);
            legend_ui(ui);
        }
    });
    if !one_row {
        ui.horizontal(legend_ui);
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
    ui.spacing_mut().item_spacing = vec2(8.0, 2.0);
    ui.label(small("No frame: as asked").weak()).on_hover_text(Mark::Kept.means());
    for mark in Mark::FRAMED {
        let draw = |painter: &Painter, at| {
            mark.frame(painter, Rect::from_center_size(at, Vec2::splat(14.0)));
        };
        key_ui(ui, mark.name(), draw).on_hover_text(mark.means());
    }
}

/// Draws the panes; so many points `below` them are another's.
fn panes_ui(studio: &mut Studio, ui: &mut Ui, opened: &Arc<Opened>, below: f32) {
    let mut shown = had(&studio.state);
    let comparison = studio.own.of::<Comparison>();
    shown.retain(|pane| comparison.shown[*pane as usize]);
    shown_ui(studio, ui, opened, &shown, below);
}

/// Draws these panes as large as there is room; so many points `below` them are another's.
pub fn shown_ui(
    studio: &mut Studio,
    ui: &mut Ui,
    opened: &Arc<Opened>,
    shown: &[Pane],
    below: f32,
) {
    let Studio { state, own, .. } = studio;
    let (session, comparison) = (state.session(), own.of::<Comparison>());
    let look = look(session, comparison, opened, shown.len(), ui);
    let across = look.arrangement.width(shown.len(), look.base.rows.len());
    let beside = (ui.available_width() - across) / 2.0;
    let mut swiped = None;
    let height = ui.available_height() - below;
    ScrollArea::both().auto_shrink(false).max_height(height).show(ui, |ui| {
        ui.spacing_mut().item_spacing = vec2(GAP, GAP);
        for (band, panes) in shown.chunks(look.arrangement.per_band).enumerate() {
            ui.horizontal_top(|ui| {
                ui.add_space(beside.max(0.0));
                for rows in look.parts() {
                    look.names_ui(ui, &rows);
                    for &pane in panes {
                        let sheet = &mut comparison.sheets[pane as usize];
                        let (rect, moved) = look.pane_ui(ui, pane, sheet, &rows, band == 0);
                        swiped = moved.or(swiped);
                        if let Some(spot) = spot(pane).filter(|_| rows.start == 0) {
                            spot.mark(ui.ctx(), rect);
                        }
                    }
                }
            });
        }
    });
    let chosen = look.chosen.get();
    comparison.swiped(swiped, ui.ctx());
    steps_of(studio, chosen);
}

/// Where the tour and the lessons find a pane.
fn spot(pane: Pane) -> Option<Spot> {
    match pane {
        Pane::Before => Some(Spot::Before),
        Pane::Random => Some(Spot::Control),
        Pane::After | Pane::Retrain => None,
    }
}

/// Whether pictures are drawn: they have steps, and can differ.
fn draws(session: &TaskState) -> bool {
    steps::VIEW.tasks.contains(&session.task)
}

/// Shows the steps of a tile that was asked for, where it has some.
fn steps_of(studio: &mut Studio, chosen: Option<[usize; 2]>) {
    if let Some(tile) = chosen.filter(|_| draws(studio.state.session())) {
        steps::open(studio, tile);
    }
}

/// What `n` panes in the room that is left have in common.
fn look<'a>(
    session: &'a TaskState,
    comparison: &mut Comparison,
    opened: &'a Opened,
    n: usize,
    ui: &Ui,
) -> PaneContext<'a> {
    let base = session.reference().unwrap_or(&opened.grid);
    let names = (0..base.rows.len()).map(|row| base.name(row, &opened.classes).unwrap_or(""));
    let names: Vec<&str> = names.collect();
    PaneContext {
        session,
        base,
        classes: &opened.classes,
        forgotten: session.forgotten(),
        arrangement: Arrangement::new(ui.available_size(), n, base, &names),
        before: comparison.sheets[0].texture(ui.ctx(), base),
        swipe: comparison.swipe.share(ui.ctx()),
        difference: comparison.difference && draws(session),
        chosen: Default::default(),
        palette: theme::palette(ui),
    }
}
