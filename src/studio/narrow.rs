//! The studio on a phone, or on a small screen that is scaled up: pictures above, one panel at a time below.

use egui::{CentralPanel, Margin};

use super::prelude::*;
use super::top_bar::compact_bar_ui;
use super::{forget_panel, saliency_panel, timeline, views};
use crate::words::Piece;

/// Below this width, in points, the panels do not fit side by side.
pub const NARROW: f32 = 960.0;

/// The panel that is shown below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tab {
    #[default]
    Forget,
    Saliency,
    Timeline,
}

/// Draws everything.
pub fn narrow_ui(studio: &mut Studio, ui: &mut Ui) {
    let frame = Frame::side_top_panel(ui.style()).inner_margin(Margin::symmetric(8, 6));
    let height = ui.available_height();
    studio.bar_ui(ui, frame, compact_bar_ui);
    Panel::bottom("sheet").frame(frame).exact_size(height * 0.52).show(ui, |ui| {
        ui.horizontal(|ui| {
            let mut tabs = vec![
                (Tab::Forget, "Forget", ""),
                (Tab::Saliency, "Saliency", ""),
                (Tab::Timeline, "Timeline and verdict", ""),
            ];
            tabs.retain(|(tab, ..)| *tab != Tab::Saliency || !studio.state.hides(Piece::Saliency));
            let chosen = studio.own.of::<Tab>();
            if tabs.iter().all(|(tab, ..)| tab != chosen) {
                *chosen = Tab::Forget;
            }
            tabs_ui(ui, chosen, tabs);
        });
        ui.separator();
        match *studio.own.of::<Tab>() {
            Tab::Forget => forget_panel::forget_ui(studio, ui),
            Tab::Saliency => saliency_panel::saliency_ui(studio, ui),
            Tab::Timeline => timeline::timeline_ui(studio, ui),
        }
    });
    CentralPanel::no_frame()
        .frame(frame.fill(theme::palette(ui).canvas))
        .show(ui, |ui| views::centre_ui(studio, ui));
}
