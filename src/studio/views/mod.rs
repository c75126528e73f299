//! The centre: pictures side by side, and other ways to look at what was forgotten.
//!
//! A view is one file, which has its row of the list and what the view keeps for itself (see
//! [`super::own::Own`]), and one line of `views!`.

use super::prelude::*;
use super::{Spot, commands};
use crate::words::Piece;

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
    steps,
    map,
    data,
    audit,
    whereabouts,
    network,
    masks,
    recipe,
    lessons,
    table,
    gallery,
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

fn tabs_ui(studio: &mut Studio, task: Task, ui: &mut Ui) {
    ScrollArea::horizontal().id_salt("views").show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            for &view in View::ALL.iter().filter(|view| view.tasks.contains(&task)) {
                let hint = format!("{} ({})", view.hint, view.key.name());
                let tab = ui.selectable_value(&mut studio.view, view, view.name);
                if *view == audit::VIEW {
                    // The way there, as long as something else is shown.
                    Spot::Audit.mark(ui.ctx(), tab.rect);
                }
                tab.on_hover_text(hint);
            }
        });
    });
}

/// Draws what a view of finished runs shows as long as there is none: a question, `why` it needs a run, and a button
/// that makes one.
pub fn needs_run_ui(studio: &mut Studio, ui: &mut Ui, question: &str, why: &str) {
    let session = studio.state.session();
    let example = (tasks::of(session.task).example)(session);
    let (Some(choice), Some(seen)) = (session.what.clone().or(example), session.seen()) else {
        return middle_ui(ui, |ui| drop(ui.weak(why)));
    };
    let what = choice.spec(seen).map(|spec| format::forget_set(&spec)).unwrap_or_default();
    let blocked = match session.what {
        Some(_) => (commands::FORGET.blocked)(studio),
        None => studio.state.waits(),
    };
    middle_ui(ui, |ui| {
        ui.label(RichText::new(question).heading());
        ui.add(Label::new(RichText::new(why).weak()).wrap());
        ui.add_space(8.0);
        let button = primary(ui, &format!("Forget {what}"));
        if button_ui(ui, button, commands::FORGET.hint, blocked) {
            // What is picked is being scored already.
            if studio.state.session().what.is_none() {
                studio.state.pick(choice);
            }
            studio.state.forget();
        }
    });
}

/// Says why nothing is there; where a look was refused, offers to look again.
pub fn refused_ui(state: &mut State, text: &str, refused: bool, ui: &mut Ui) {
    ui.weak(text);
    if refused && ui.button("Look again").clicked() {
        state.session_mut().insights.again();
    }
}

/// Draws the tabs and what they show.
pub fn centre_ui(studio: &mut Studio, ui: &mut Ui) {
    let task = studio.state.task;
    if !studio.view.tasks.contains(&task) {
        studio.view = &compare::VIEW;
    }
    if !studio.state.hides(Piece::Tabs) {
        tabs_ui(studio, task, ui);
        ui.add_space(4.0);
    }
    (studio.view.draw)(studio, ui);
}
