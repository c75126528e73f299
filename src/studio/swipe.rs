//! Before and after in one pane: a line that moves over the tiles.

use egui::{CursorIcon, Event, EventFilter};

use super::prelude::*;

/// Share of a pane's width that a press of an arrow moves the line.
const STEP: f32 = 0.05;

/// The line, at the same place in every pane.
#[derive(Debug)]
pub struct Swipe {
    pub on: bool,
    /// Share of a pane's width that shows Before, 0..=1.
    pub at: f32,
}

impl Default for Swipe {
    fn default() -> Self {
        Self { on: false, at: 0.5 }
    }
}

impl Swipe {
    /// The share that shows Before now, if any: all of it while B is held.
    pub fn share(&self, ctx: &Context) -> Option<f32> {
        let held = !ctx.text_edit_focused() && ctx.input(|i| i.key_down(Key::B));
        if held { Some(1.0) } else { self.on.then_some(self.at) }
    }
}

/// The two parts of a pane's tiles: Before on the left, after on the right.
pub fn halves(tiles: Rect, at: f32) -> [Rect; 2] {
    let x = tiles.left() + tiles.width() * at;
    // Frames reach a little over the tiles.
    let around = tiles.expand(4.0);
    [around.with_max_x(x), around.with_min_x(x)]
}

/// Draws the line over a pane's tiles and returns where it was moved to: by the pointer over the
/// tiles, or by the arrows while it has the focus.
pub fn line_ui(ui: &Ui, id: Id, tiles: Rect, at: f32, name: &str) -> Option<f32> {
    let palette = theme::palette(ui);
    let x = tiles.left() + tiles.width() * at;
    let grip = Rect::from_center_size(pos2(x, tiles.center().y), vec2(14.0, tiles.height()));
    let response = ui
        .interact(grip, id, Sense::click_and_drag())
        .on_hover_and_drag_cursor(CursorIcon::ResizeHorizontal);
    let label = format!("Swipe between Before and {name}");
    response.widget_info(|| WidgetInfo::slider(ui.is_enabled(), f64::from(at), &label));

    let focused = response.has_focus();
    let painter = ui.painter();
    let color = if focused { palette.accent_text } else { palette.strong };
    painter.vline(x, tiles.y_range(), Stroke::new(2.0, color));
    let middle = pos2(x, tiles.center().y);
    painter.circle(middle, 9.0, palette.card, Stroke::new(2.0, color));
    for side in [-1.0, 1.0] {
        let tip = middle + vec2(side * 6.0, 0.0);
        let back = middle.x + side * 2.0;
        let points = vec![tip, pos2(back, middle.y - 3.5), pos2(back, middle.y + 3.5)];
        painter.add(Shape::convex_polygon(points, color, Stroke::NONE));
    }

    let mut to = None;
    // Not where it rests: the arrows move the line, too.
    let moved = |event: &Event| matches!(event, Event::PointerMoved(_));
    let moving = ui.input(|i| i.events.iter().any(moved));
    let hand = ui.ctx().pointer_hover_pos().filter(|p| moving && tiles.contains(*p));
    if let Some(hand) = response.interact_pointer_pos().or(hand) {
        to = Some((hand.x - tiles.left()) / tiles.width().max(1.0));
    }
    if focused {
        let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|m| m.set_focus_lock_filter(id, filter));
        let presses = |key| ui.input_mut(|i| i.count_and_consume_key(Modifiers::NONE, key)) as f32;
        let by = presses(Key::ArrowRight) - presses(Key::ArrowLeft);
        if by != 0.0 {
            to = Some(at + by * STEP);
        }
    }
    to.map(|to| to.clamp(0.0, 1.0))
}
