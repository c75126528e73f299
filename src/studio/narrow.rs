//! The studio on a phone, or on a small screen that is scaled up: pictures above, one panel at a time below.

use egui::{CentralPanel, Margin};

use super::prelude::*;
use super::top_bar::compact_bar_ui;
use super::{Spot, forget_panel, saliency_panel, timeline, views};

/// Below this width, in points, the panels do not fit side by side.
pub const NARROW: f32 = 960.0;
/// Share of the height that a panel below the pictures takes.
const BELOW: f32 = 0.46;

/// The panel that is shown below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tab {
    #[default]
    Forget,
    Saliency,
    Timeline,
}

/// Whether a run was under way in the frame before.
#[derive(Default)]
struct Ran(bool);

/// The panels that have something to show, and their names.
fn tabs(studio: &Studio) -> Vec<(Tab, &'static str)> {
    let mut tabs = vec![(Tab::Forget, "Pick")];
    let later = [
        (Spot::Saliency, Tab::Saliency, "Saliency"),
        (Spot::Verdict, Tab::Timeline, "Timeline and verdict"),
    ];
    let later = later.into_iter().filter(|(spot, ..)| studio.has_panel(*spot));
    tabs.extend(later.map(|(_, tab, name)| (tab, name)));
    tabs
}

/// Draws everything.
pub fn narrow_ui(studio: &mut Studio, ui: &mut Ui) {
    let frame = Frame::side_top_panel(ui.style()).inner_margin(Margin::symmetric(8, 6));
    studio.bar_ui(ui, frame, compact_bar_ui);
    studio.status_ui(ui, frame);
    let height = ui.available_height();
    let tabs = tabs(studio);
    // Whoever presses Forget looks at what comes of it.
    let runs = studio.state.session().under_way();
    if runs && !std::mem::replace(&mut studio.own.of::<Ran>().0, runs) {
        *studio.own.of() = Tab::Timeline;
    }
    studio.own.of::<Ran>().0 = runs;
    let chosen = studio.own.of::<Tab>();
    if tabs.iter().all(|(tab, _)| tab != chosen) {
        *chosen = Tab::default();
    }
    Panel::bottom("sheet").frame(frame).exact_size(height * BELOW).show(ui, |ui| {
        if tabs.len() > 1 {
            ui.horizontal(|ui| {
                let tabs = tabs.iter().map(|(tab, name)| (*tab, *name, ""));
                tabs_ui(ui, studio.own.of::<Tab>(), tabs);
            });
            ui.separator();
        }
        match *studio.own.of::<Tab>() {
            Tab::Forget => studio.part_ui("forget", ui, forget_panel::forget_ui),
            Tab::Saliency => studio.part_ui("saliency", ui, saliency_panel::saliency_ui),
            Tab::Timeline => studio.part_ui("timeline", ui, timeline::timeline_ui),
        }
    });
    CentralPanel::no_frame()
        .frame(frame.fill(theme::palette(ui).canvas))
        .show(ui, |ui| studio.part_ui("centre", ui, views::centre_ui));
}
