//! Places that the tour and the lessons point at: what is drawn there notes where that is, and has the formula
//! of the lesson that is about it beside it.

use egui::{LayerId, Order};
use serde::Deserialize;

use super::lesson::Lesson;
use super::prelude::*;

/// A control, or a panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spot {
    Before,
    Pick,
    Saliency,
    Method,
    Density,
    Redirect,
    Forget,
    Control,
    Verdict,
    Audit,
}

/// Letters of a formula beside a control, in points.
const LETTERS: f32 = 14.0;
/// Frames after a lesson's beginning in which its control is scrolled to: until then the panels settle.
const SETTLES: u64 = 12;

/// Where a spot is, in the pass that it was drawn in.
type Marked = (u64, Rect);
/// What is taught in this frame, and since which pass.
type Taught = (Option<&'static Lesson>, u64);

impl Spot {
    fn id(self) -> Id {
        Id::unique(("spot", self))
    }

    /// Notes where it is.
    pub fn mark(self, ctx: &Context, rect: Rect) {
        let pass = ctx.cumulative_pass_nr();
        ctx.data_mut(|data| data.insert_temp::<Marked>(self.id(), (pass, rect)));
    }

    /// Where it is; nowhere where it is not drawn.
    pub fn rect(self, ctx: &Context) -> Option<Rect> {
        let (pass, rect) = ctx.data(|data| data.get_temp::<Marked>(self.id()))?;
        (pass == ctx.cumulative_pass_nr()).then_some(rect)
    }

    /// Draws what is there, below it the formula of the lesson that is about it, and notes where both are.
    pub fn around<R>(self, ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
        let drawn = ui.scope(|ui| {
            let result = add(ui);
            self.formula_ui(ui);
            result
        });
        self.mark(ui.ctx(), drawn.response.rect.intersect(ui.clip_rect()));
        let (lesson, since) = taught(ui.ctx());
        let fresh = ui.ctx().cumulative_pass_nr() < since + SETTLES;
        if fresh && lesson.is_some_and(|lesson| lesson.spot == self) {
            drawn.response.scroll_to_me(None);
        }
        drawn.inner
    }

    /// Draws the formula of the lesson that is about it, if one is being done.
    pub fn formula_ui(self, ui: &mut Ui) {
        let (lesson, _) = taught(ui.ctx());
        let Some(lesson) = lesson.filter(|lesson| lesson.spot == self) else { return };
        let frame = Frame::new().fill(theme::palette(ui).canvas).corner_radius(4).inner_margin(6.0);
        frame.show(ui, |ui| lesson.formula.ui(LETTERS, ui));
    }

    /// Draws a ring around it, if it is there.
    pub fn ring(self, ctx: &Context, palette: &Palette) {
        let Some(rect) = self.rect(ctx) else { return };
        let rect = rect.intersect(ctx.content_rect());
        if rect.is_positive() {
            let layer = LayerId::new(Order::Middle, Id::unique("ring"));
            let stroke = Stroke::new(2.0, palette.accent_text);
            let painter = ctx.layer_painter(layer);
            painter.rect_stroke(rect.expand(3.0), 6.0, stroke, StrokeKind::Outside);
        }
    }
}

/// Notes which lesson is being done in this frame, so that the control that it is about shows its formula.
pub fn teach(ctx: &Context, lesson: Option<&'static Lesson>) {
    let (before, since) = taught(ctx);
    let since = if before == lesson { since } else { ctx.cumulative_pass_nr() };
    ctx.data_mut(|data| data.insert_temp::<Taught>(Id::unique("taught"), (lesson, since)));
}

fn taught(ctx: &Context) -> Taught {
    ctx.data(|data| data.get_temp::<Taught>(Id::unique("taught"))).unwrap_or_default()
}
