//! A narrow window shows one pane at a time: a drag to the side or its name brings another.

use egui::UiBuilder;

use super::{Comparison, had, look, spot, steps_of};
use crate::studio::Pane;
use crate::studio::prelude::*;

/// Share of the width that a pane is dragged by until the next one comes.
const FAR: f32 = 0.2;
/// How fast a pane slides to its place, per second.
const PACE: f32 = 14.0;

/// Which pane is shown.
#[derive(Default)]
pub struct Pages {
    shown: Option<Pane>,
    /// What is in view, as the number of a pane; between two of them while it slides.
    position: f32,
    /// Whether a run was under way.
    ran: bool,
}

impl Pages {
    /// The place of the pane that is shown among those that there are: After, when a run begins.
    fn place(&mut self, panes: &[Pane], under_way: bool) -> usize {
        if under_way != std::mem::replace(&mut self.ran, under_way) {
            self.shown = Some(if under_way { Pane::After } else { Pane::Before });
        }
        let find = |pane| panes.iter().position(|p| *p == pane);
        self.shown.and_then(find).unwrap_or(0)
    }

    /// Slides towards a pane's place.
    fn slide(&mut self, to: usize, ui: &Ui) {
        let left = to as f32 - self.position;
        let still = ui.style().animation_time == 0.0 || left.abs() < 0.003;
        let by = 1.0 - (-PACE * ui.input(|i| i.stable_dt)).exp();
        self.position += if still { left } else { left * by };
        if !still {
            ui.ctx().request_repaint();
        }
    }
}

/// Draws the names of the panes and the one that is shown; so many points `below` it are another's.
pub fn pages_ui(studio: &mut Studio, ui: &mut Ui, opened: &Arc<Opened>, below: f32) {
    let Studio { state, own, .. } = studio;
    let (session, comparison) = (state.session(), own.of::<Comparison>());
    let panes = had(state);
    let at = comparison.pages.place(&panes, session.under_way());
    let mut chosen = at;
    if panes.len() > 1 {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            let all = panes.iter().enumerate().map(|(i, pane)| (i, pane.name(), ""));
            tabs_ui(ui, &mut chosen, all);
        });
    }
    let mut area = ui.available_rect_before_wrap();
    area.max.y -= below;
    // Below the panes, which take no drags of their own.
    let hand = ui.interact(area, ui.scope_id().with("pages"), Sense::drag());
    if hand.dragged() {
        let most = panes.len() as f32 - 1.0;
        let to = comparison.pages.position - hand.drag_delta().x / area.width();
        comparison.pages.position = to.clamp(0.0, most);
    } else {
        if hand.drag_stopped() {
            let moved = comparison.pages.position - at as f32;
            let by = if moved.abs() > FAR { moved.signum() as isize } else { 0 };
            chosen = at.saturating_add_signed(by).min(panes.len() - 1);
        }
        comparison.pages.slide(chosen, ui);
    }
    comparison.pages.shown = panes.get(chosen).copied();
    let position = comparison.pages.position;
    let look = look(session, comparison, opened, 1, &ui.new_child(UiBuilder::new().max_rect(area)));
    let across = look.arrangement.width(1, look.base.rows.len());
    let beside = ((area.width() - across) / 2.0).max(0.0);
    let mut swiped = None;
    for (i, &pane) in panes.iter().enumerate() {
        let off = i as f32 - position;
        if off.abs() >= 1.0 {
            continue;
        }
        let place = area.translate(vec2(off * area.width(), 0.0));
        let mut page = ui.new_child(UiBuilder::new().id_salt(pane.name()).max_rect(place));
        page.shrink_clip_rect(area);
        page.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = super::GAP;
            ui.add_space(beside);
            for rows in look.parts() {
                look.names_ui(ui, &rows);
                let sheet = &mut comparison.sheets[pane as usize];
                let (_, moved) = look.pane_ui(ui, pane, sheet, &rows, true);
                swiped = moved.or(swiped);
            }
        });
        if let Some(spot) = spot(pane) {
            spot.mark(ui.ctx(), area);
        }
    }
    ui.advance_cursor_after_rect(area);
    let chosen = look.chosen.get();
    comparison.swiped(swiped, ui.ctx());
    steps_of(studio, chosen);
}
