//! The centre: pictures side by side, and other ways to look at what was forgotten.

mod audit;
mod data;
mod map;
mod masks;
#[cfg(not(target_arch = "wasm32"))]
mod table;

use egui::{Key, RichText, ScrollArea, Ui};

use super::{app::Studio, compare};
use crate::words::task::Task;

pub use audit::Auditor;
pub use data::Browser;
pub use map::{chart_ui as map_chart_ui, figure as map_figure};
#[cfg(not(target_arch = "wasm32"))]
pub use table::Tables;

/// What the centre shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    #[default]
    Compare,
    Map,
    Data,
    Audit,
    Masks,
    /// Needs folders: not on a page.
    Table,
}

impl View {
    const EACH: [Self; 6] =
        [Self::Compare, Self::Map, Self::Data, Self::Audit, Self::Masks, Self::Table];
    /// Those that there are here.
    pub const ALL: &'static [Self] =
        if cfg!(target_arch = "wasm32") { Self::EACH.split_at(5).0 } else { &Self::EACH };

    /// Whether a task has it: prompts are written and not picked from a data set, and what a
    /// diffusion model holds is seen in its pictures.
    pub fn fits(self, task: Task) -> bool {
        match task {
            Task::TextToImage => !matches!(self, Self::Data | Self::Masks),
            Task::Generate => self != Self::Audit,
            Task::Classify => true,
        }
    }

    /// The name on its tab.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compare => "Compare",
            Self::Map => "Forget map",
            Self::Data => "Data",
            Self::Audit => "Audit",
            Self::Masks => "Masks",
            Self::Table => "Table",
        }
    }

    /// What it is for.
    fn hint(self) -> &'static str {
        match self {
            Self::Compare => "The same pictures before, after, with a random mask, and by Retrain",
            Self::Map => "Every finished run: what is left of the forgotten, what the rest lost",
            Self::Data => "The training pictures: pick which to forget",
            Self::Audit => "Confusion, changed answers, and whether it is only hidden",
            Self::Table => "A whole table of runs, from its folder",
            Self::Masks => "How much the masks of classes, seeds or estimators have in common",
        }
    }

    /// The key that shows it.
    pub fn key(self) -> Key {
        match self {
            Self::Compare => Key::C,
            Self::Map => Key::M,
            Self::Data => Key::D,
            Self::Audit => Key::A,
            Self::Masks => Key::O,
            Self::Table => Key::T,
        }
    }
}

/// Draws the tabs and what they show.
pub fn centre_ui(studio: &mut Studio, ui: &mut Ui) {
    let task = studio.state.task;
    if !studio.view.fits(task) {
        studio.view = View::Compare;
    }
    ScrollArea::horizontal().id_salt("views").show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            for &view in View::ALL.iter().filter(|view| view.fits(task)) {
                let hint = format!("{} ({})", view.hint(), view.key().name());
                let name = RichText::new(view.name());
                ui.selectable_value(&mut studio.view, view, name).on_hover_text(hint);
            }
        });
    });
    ui.add_space(4.0);
    match studio.view {
        View::Compare => compare::compare_ui(studio, ui),
        View::Map => map::map_ui(studio, ui),
        View::Data => data::data_ui(studio, ui),
        View::Audit => audit::audit_ui(studio, ui),
        #[cfg(not(target_arch = "wasm32"))]
        View::Table => table::table_ui(studio, ui),
        #[cfg(target_arch = "wasm32")]
        View::Table => {}
        View::Masks => masks::masks_ui(studio, ui),
    }
}
