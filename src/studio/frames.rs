//! How long frames take, and a hidden overlay that says so (F12).

use std::collections::VecDeque;

use egui::{Align2, Color32, FontId};

/// Frames that are remembered.
const KEPT: usize = 600;

/// The latest frame times in seconds, the newest first.
#[derive(Debug, Default)]
pub struct Frames {
    seconds: VecDeque<f32>,
    pub shown: bool,
}

impl Frames {
    /// Takes in a frame time.
    pub fn push(&mut self, seconds: f32) {
        self.seconds.truncate(KEPT - 1);
        self.seconds.push_front(seconds);
    }

    /// Median, 95th percentile and maximum, in milliseconds; `None` before the first frame.
    pub fn summary(&self) -> Option<[f32; 3]> {
        percentiles(self.seconds.iter().copied())
    }

    /// Draws the overlay, if it is on.
    pub fn overlay_ui(&self, ctx: &egui::Context) {
        let Some([p50, p95, max]) = self.summary().filter(|_| self.shown) else { return };
        let text = format!(
            "frame p50 {p50:.1} ms   p95 {p95:.1} ms   max {max:.1} ms   of {}",
            self.seconds.len()
        );
        let painter = ctx.debug_painter();
        let at = ctx.content_rect().center_top() + egui::vec2(0.0, 10.0);
        let galley = painter.layout_no_wrap(text, FontId::monospace(12.0), Color32::WHITE);
        let rect = Align2::CENTER_TOP.anchor_size(at, galley.size());
        painter.rect_filled(rect.expand(6.0), 4.0, Color32::from_black_alpha(220));
        painter.galley(rect.min, galley, Color32::WHITE);
    }
}

/// Median, 95th percentile and maximum of some seconds, in milliseconds; `None` of none.
pub fn percentiles(seconds: impl IntoIterator<Item = f32>) -> Option<[f32; 3]> {
    let mut sorted: Vec<f32> = seconds.into_iter().collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some([0.5, 0.95, 1.0].map(|q: f32| sorted[(q * last as f32).round() as usize] * 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_latest_frames() {
        let mut frames = Frames::default();
        assert_eq!(frames.summary(), None);
        frames.push(9.0);
        for i in 0..KEPT {
            frames.push(i as f32 / 1e3);
        }
        assert_eq!(frames.summary(), Some([300.0, 569.0, 599.0]));
    }
}
