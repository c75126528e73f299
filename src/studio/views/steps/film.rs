//! Every step at once: a strip of predicted pictures for each pane, how far they are from Before below it. It is the
//! scrubber, too.

use egui::{CursorIcon, EventFilter};

use super::course::{Since, parting, seen_since};
use super::panes::{line, mosaic};
use super::{Look, Scrubber, Shown, moment};
use crate::engine::Trace;
use crate::studio::prelude::*;
use crate::studio::{Pane, round_up};

/// Width of the panes' names, in points.
const NAMES: f32 = 86.0;
/// Side of a picture, in points.
const SMALLEST: f32 = 20.0;
const LARGEST: f32 = 64.0;
/// Height of the curves, and of a line of text.
const CURVE: f32 = 62.0;
const LINE: f32 = 18.0;

/// Which steps have a picture, and how large it is.
struct Raster {
    /// Of all steps.
    steps: usize,
    shown: usize,
    cell: f32,
    side: f32,
}

impl Raster {
    fn new(steps: usize, rows: usize, space: Vec2) -> Self {
        let room = (space.x - NAMES).max(SMALLEST);
        let shown = ((room / SMALLEST) as usize).clamp(1, steps.max(1));
        let cell = room / shown as f32;
        let tallest = (space.y * 0.3 / rows.max(1) as f32).max(SMALLEST);
        Self { steps, shown, cell, side: (cell - 1.0).min(tallest).min(LARGEST) }
    }

    /// The step of a picture.
    fn step(&self, place: usize) -> usize {
        let middle = (place as f32 + 0.5) / self.shown as f32 * self.steps as f32;
        let last = self.steps.saturating_sub(1);
        if place + 1 == self.shown { last } else { (middle as usize).min(last) }
    }

    /// The middle of a step, in points from the end of the names.
    fn middle(&self, step: usize) -> f32 {
        (step as f32 + 0.5) / self.steps.max(1) as f32 * self.cell * self.shown as f32
    }

    /// The step at so many points.
    fn at(&self, x: f32) -> usize {
        let share = (x / (self.cell * self.shown as f32)).clamp(0.0, 1.0);
        ((share * self.steps as f32) as usize).min(self.steps.saturating_sub(1))
    }
}

/// Height that all of it takes, in points.
pub fn height(shown: &[Shown], space: Vec2) -> f32 {
    let steps = shown.first().map_or(0, |s| s.film.predicted.columns);
    let raster = Raster::new(steps, shown.len(), space);
    let sentences = if space.x > 600.0 { 2.0 } else { 4.0 };
    shown.len() as f32 * (raster.side + 2.0) + curve(shown) + sentences * LINE
}

/// Height of the curves: there are none of Before alone.
fn curve(shown: &[Shown]) -> f32 {
    if shown.len() > 1 { CURVE } else { 0.0 }
}

/// Draws it.
pub fn film_ui(
    scrubber: &mut Scrubber,
    session: &TaskState,
    trace: &Trace,
    shown: &[Shown],
    ui: &mut Ui,
) {
    let raster = Raster::new(
        trace.moments.len(),
        shown.len(),
        vec2(ui.available_width(), ui.clip_rect().height()),
    );
    let strips = shown.len() as f32 * (raster.side + 2.0);
    let size = vec2(ui.available_width(), strips + curve(shown));
    let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
    let response = response.on_hover_cursor(CursorIcon::ResizeHorizontal);
    focus_at_first(scrubber, &response, ui);
    moved(scrubber, &response, rect, &raster, ui);
    let said = sentences(session, shown);
    let label = format!("{}. {}", moment(trace, scrubber.at), said.join(". "));
    let at = scrubber.at as f64 + 1.0;
    response.widget_info(|| WidgetInfo::slider(ui.is_enabled(), at, &label));
    strips_ui(scrubber, shown, rect, &raster, ui);
    let below = Rect::from_min_max(rect.min + vec2(0.0, strips), rect.max);
    if shown.len() > 1 {
        curves_ui(shown, below, &raster, ui);
    }
    let palette = theme::palette(ui);
    let x = rect.left() + NAMES + raster.middle(scrubber.at);
    let color = if response.has_focus() { palette.accent_text } else { palette.strong };
    ui.painter().vline(x, rect.y_range(), Stroke::new(1.5, color));
    said.into_iter().for_each(|said| drop(ui.add(Label::new(said).wrap())));
}

/// Has the arrows move the step from the first frame on.
fn focus_at_first(scrubber: &mut Scrubber, response: &Response, ui: &Ui) {
    let frame = ui.ctx().cumulative_pass_nr();
    if frame > scrubber.frame + 2 && ui.memory(|m| m.focused().is_none()) {
        response.request_focus();
    }
    scrubber.frame = frame;
}

/// Follows the hand and the keys.
fn moved(scrubber: &mut Scrubber, response: &Response, rect: Rect, raster: &Raster, ui: &Ui) {
    if let Some(hand) = response.interact_pointer_pos() {
        response.request_focus();
        scrubber.hold(raster.at(hand.x - rect.left() - NAMES));
    }
    if !response.has_focus() {
        return;
    }
    let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
    ui.memory_mut(|m| m.set_focus_lock_filter(response.id, filter));
    let presses = |key| ui.input_mut(|i| i.count_and_consume_key(Modifiers::NONE, key)) as isize;
    let by = presses(Key::ArrowRight) - presses(Key::ArrowLeft);
    let last = raster.steps.saturating_sub(1);
    if by != 0 {
        scrubber.hold(scrubber.at.saturating_add_signed(by).min(last));
    }
    for (key, at) in [(Key::Home, 0), (Key::End, last)] {
        if presses(key) > 0 {
            scrubber.hold(at);
        }
    }
    if presses(Key::Space) % 2 == 1 {
        scrubber.toggle(last, ui);
    }
}

/// Draws the pictures of all steps, a row a pane; of the others how they differ, where that is looked at.
fn strips_ui(scrubber: &mut Scrubber, shown: &[Shown], rect: Rect, raster: &Raster, ui: &Ui) {
    let palette = theme::palette(ui);
    let font = TextStyle::Small.resolve(ui.style());
    let painter = ui.painter_at(rect);
    for (row, one) in shown.iter().enumerate() {
        let sheets = &mut scrubber.sheets[one.pane as usize];
        let predicted = &one.film.predicted;
        let top = rect.top() + row as f32 * (raster.side + 2.0);
        let (texture, grid) = match (scrubber.look, one.pane) {
            (Look::Difference, pane) if pane != Pane::Before => {
                let grid = sheets.differs.difference(predicted, &shown[0].film.predicted);
                (sheets.differs.texture(ui.ctx(), &grid), grid)
            }
            _ => (sheets.predicted.texture(ui.ctx(), predicted), predicted.clone()),
        };
        let place = pos2(rect.left(), top + (raster.side - 1.3 * font.size) / 2.0);
        let color = palette.of(one.pane);
        line(&painter, place, one.pane.name(), NAMES - 6.0, font.clone(), color);
        for place in 0..raster.shown {
            let left = rect.left() + NAMES + place as f32 * raster.cell;
            let corner = pos2(left + (raster.cell - raster.side) / 2.0, top);
            let cell = Rect::from_min_size(corner, Vec2::splat(raster.side));
            mosaic(&painter, cell, texture, &grid, raster.step(place));
        }
    }
}

/// Draws how far every pane is from Before, and where they part.
fn curves_ui(shown: &[Shown], rect: Rect, raster: &Raster, ui: &Ui) {
    let palette = theme::palette(ui);
    let painter = ui.painter_at(rect);
    let font = TextStyle::Small.resolve(ui.style());
    let plot = Rect::from_min_max(rect.min + vec2(NAMES, 6.0), rect.max - vec2(0.0, 4.0));
    painter.rect_filled(plot, 0.0, palette.card);
    let most = shown.iter().flat_map(|s| s.apart).copied().fold(0.0, f64::max);
    let end = round_up(most.max(1.0));
    let left = |text: String, y: f32, align| {
        painter.text(pos2(plot.left() - 5.0, y), align, text, font.clone(), palette.weak);
    };
    left(format!("{end} %"), plot.top() - 2.0, Align2::RIGHT_TOP);
    left("apart".into(), plot.center().y, Align2::RIGHT_CENTER);
    left("0".into(), plot.bottom() + 2.0, Align2::RIGHT_BOTTOM);
    painter.hline(plot.x_range(), plot.bottom(), Stroke::new(1.0, palette.border));
    for one in shown.iter().filter(|one| one.pane != Pane::Before) {
        let at = |step: usize| {
            let share = (one.apart[step] / end) as f32;
            pos2(plot.left() + raster.middle(step), plot.bottom() - share * plot.height())
        };
        let color = palette.of(one.pane);
        painter.line((0..one.apart.len()).map(at).collect(), Stroke::new(1.5, color));
        if let Some(step) = parting(one.apart) {
            painter.circle(at(step), 4.0, palette.canvas, Stroke::new(2.0, color));
        }
    }
}

/// What the curves and the judge say, in sentences.
pub fn sentences(session: &TaskState, shown: &[Shown]) -> Vec<String> {
    let Some((before, others)) = shown.split_first() else { return Vec::new() };
    let last = before.apart.len();
    let steps = last.saturating_sub(1);
    let mut said = Vec::new();
    let parts = others.iter().map(|one| match parting(one.apart) {
        Some(step) if step + 1 < last => format!("{} at step {}", one.pane.name(), step + 1),
        Some(_) => format!("{} in the end", one.pane.name()),
        None => format!("{} never", one.pane.name()),
    });
    let parts: Vec<String> = parts.collect();
    if !parts.is_empty() {
        said.push(format!("Parts from Before, of {steps} steps: {}", parts.join(", ")));
    }
    let row = session.place().and_then(|place| {
        let classes = &session.seen()?.classes;
        let class = before.film.predicted.rows.first().copied().flatten()?;
        Some(classes.get(class).cloned().unwrap_or_else(|| format!("row {}", place.row + 1)))
    });
    let since = |one: &Shown| match seen_since(&one.film.predicted) {
        Since::Step(step) if step + 1 < last => {
            Some(format!("{} from step {} on", one.pane.name(), step + 1))
        }
        Since::Step(_) => Some(format!("{} in the end", one.pane.name())),
        Since::Never => Some(format!("{} never", one.pane.name())),
        Since::Unknown => None,
    };
    let since: Vec<String> = shown.iter().filter_map(since).collect();
    if let Some(row) = row.filter(|_| !since.is_empty()) {
        said.push(format!("Seen as {row}: {}", since.join(", ")));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_lies_where_its_picture_does() {
        let raster = Raster::new(21, 3, vec2(700.0, 400.0));
        assert_eq!(raster.shown, 21);
        for step in 0..21 {
            assert_eq!((raster.step(step), raster.at(raster.middle(step))), (step, step));
        }
        // More steps than there is room for.
        let raster = Raster::new(51, 3, vec2(360.0, 300.0));
        assert!(raster.shown < 20 && raster.side >= 19.0, "{}", raster.shown);
        assert_eq!((raster.step(0), raster.step(raster.shown - 1)), (1, 50));
        assert_eq!((raster.at(-5.0), raster.at(1e4)), (0, 50));
    }
}
