//! The centre: pictures side by side, and other ways to look at what was forgotten.
//!
//! A view is one file, which has its row of the list and what the view keeps for itself (see
//! [`super::own::Own`]), and one line of `views!`.

use egui::{Key, ScrollArea, Ui};

use super::app::Studio;
use crate::words::Task;

/// A way to look at what was forgotten.
#[derive(Debug)]
pub struct View {
    /// On its tab.
    pub name: &'static str,
    /// What it is for.
    pub hint: &'static str,
    /// The key that shows it.
    pub key: Key,
    /// The tasks that have it.
    pub tasks: &'static [Task],
    pub draw: fn(&mut Studio, &mut Ui),
}

/// Declares the views' files and lists their rows, in the order of the tabs.
macro_rules! views {
    ($($(#[$where:meta])* $view:ident,)*) => {
        $($(#[$where])* pub mod $view;)*

        impl View {
            /// All, in the order of the tabs.
            pub const ALL: &'static [&'static Self] = &[$($(#[$where])* &$view::VIEW,)*];
        }
    };
}

views! {
    compare,
    race,
    map,
    data,
    audit,
    masks,
    recipe,
    // Needs folders: not on a page.
    #[cfg(not(target_arch = "wasm32"))]
    table,
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

/// Draws the tabs and what they show.
pub fn centre_ui(studio: &mut Studio, ui: &mut Ui) {
    let task = studio.state.task;
    if !studio.view.tasks.contains(&task) {
        studio.view = &compare::VIEW;
    }
    ScrollArea::horizontal().id_salt("views").show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            for &view in View::ALL.iter().filter(|view| view.tasks.contains(&task)) {
                let hint = format!("{} ({})", view.hint, view.key.name());
                ui.selectable_value(&mut studio.view, view, view.name).on_hover_text(hint);
            }
        });
    });
    ui.add_space(4.0);
    (studio.view.draw)(studio, ui);
}
