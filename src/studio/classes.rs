//! What to forget of a model that knows classes: one of them, or a part of the training pictures; and what
//! a class is to become.

use super::mine::{self, Gathered};
use super::prelude::*;
use super::request::items_spec;
use super::views::compare::Comparison;
use super::{Choice, Pane, tile, views};
use crate::data::sets;
use crate::models::registry;
use crate::words::{ForgetKind, Redirect};

/// The class that the demo forgets, or the first one.
pub fn example(session: &TaskState) -> Option<Choice> {
    let classes = &session.seen()?.classes;
    let place = classes.iter().position(|name| name == "Sneaker").unwrap_or(0);
    (!classes.is_empty()).then_some(Choice::Class(place))
}

/// Draws a chip for each class. Of a shipped model they are known before it is open, and nothing moves
/// when it is.
pub fn classes_ui(studio: &mut Studio, ui: &mut Ui, seen: Option<&Arc<Opened>>) {
    let session = studio.state.session();
    let picked = session.what.clone();
    let set = registry::shipped(&session.model).and_then(|shipped| sets::find(shipped.data));
    let names: Vec<String> = match (seen, set) {
        (Some(seen), _) => seen.classes.clone(),
        (None, Some(set)) => set.classes.iter().map(|name| name.to_string()).collect(),
        (None, None) => return drop(ui.weak("The classes appear once the model is open")),
    };
    let sheet = &mut studio.own.of::<Comparison>().sheets[Pane::Before as usize];
    let grid = seen.map(|seen| (sheet.texture(ui.ctx(), &seen.grid), &seen.grid));
    let blocked = studio.state.waits();
    let pressed = chips_ui(names.len(), blocked, ui, |class| {
        let picture = grid.and_then(|(texture, grid)| {
            let row = grid.rows.iter().position(|r| *r == Some(class))?;
            Some(tile::image(texture, grid, [row, 0], CHIP))
        });
        Some((&names[class], picture, picked == Some(Choice::Class(class))))
    });
    if let Some(class) = pressed {
        studio.state.pick(Choice::Class(class));
    }
}

/// Every share of the training pictures: its name, what it is.
const SHARES: [(ForgetKind, &str, &str); 3] = [
    (ForgetKind::Random, "A random share", "Of all training pictures"),
    (ForgetKind::Hardest, "The hardest share", "The training pictures with the largest loss"),
    (ForgetKind::Easiest, "The easiest share", "The training pictures with the smallest loss"),
];

/// Draws the choice of a part of some classes.
pub fn parts_ui(studio: &mut Studio, ui: &mut Ui) {
    let Studio { own, state, view, .. } = studio;
    let picked = state.session().what.clone();
    let (now, mut percent) = match &picked {
        Some(Choice::Share(kind, percent)) => (Some(*kind), *percent),
        _ => (None, 10),
    };
    let blocked = state.waits();
    ui.add_enabled_ui(blocked.is_none(), |ui| {
        let share = SHARES.iter().find(|(kind, ..)| Some(*kind) == now);
        let name = match (&picked, share) {
            (_, Some((_, name, _))) => name.to_string(),
            (Some(Choice::Items(list)), _) => format::forget_set(&items_spec(list)),
            (Some(Choice::Mine(name)), _) => format::forget_set(&format!("mine:{name}")),
            _ => "Some pictures…".into(),
        };
        let combo = choice_ui(ui, "Or", &name, |ui| {
            for (kind, name, hint) in SHARES {
                let entry = ui.selectable_label(now == Some(kind), name);
                if entry.on_hover_text(hint).clicked() {
                    state.pick(Choice::Share(kind, percent));
                }
            }
            let on = matches!(picked, Some(Choice::Items(_)));
            let entry = ui.selectable_label(on, "Picked pictures…");
            if entry.on_hover_text("Pick them from the data set").clicked() {
                *view = &views::data::VIEW;
                own.of::<Gathered>().shown = false;
            }
            if mine::entry_ui(matches!(picked, Some(Choice::Mine(_))), ui) {
                *view = &views::data::VIEW;
                own.of::<Gathered>().shown = true;
            }
        });
        explained(combo, "", blocked);
        let Some(now) = now else { return };
        let slider = Slider::new(&mut percent, 1..=50).suffix(" %");
        let response = field_ui(ui, "Share", |ui| ui.add(slider));
        if response.changed() {
            state.aim(Choice::Share(now, percent));
        }
        // Score once, when the hand rests.
        if response.drag_stopped() || (response.changed() && !response.dragged()) {
            state.pick(Choice::Share(now, percent));
        }
    });
}

/// Draws the choice of what a class is to become.
pub fn redirect_ui(state: &mut State, ui: &mut Ui) {
    let session = state.session_mut();
    let Some(opened) = session.opened.clone() else { return };
    let forgotten = match &session.what {
        Some(Choice::Class(class)) => opened.classes.get(*class),
        _ => None,
    };
    let redirect = &mut session.request.redirect;
    let name = |r: &Redirect| match r {
        Redirect::Next => "Next class".to_string(),
        Redirect::Null => "No class".to_string(),
        Redirect::Random => "A random class".to_string(),
        Redirect::Noise => "Noise".to_string(),
        Redirect::Class(class) => class.clone(),
    };
    choice_ui(ui, "Redirect", &name(redirect), |ui| {
        let classes = opened.classes.iter().filter(|c| Some(*c) != forgotten);
        let classes = classes.map(|c| Redirect::Class(c.clone()));
        let general = [Redirect::Next, Redirect::Random, Redirect::Null, Redirect::Noise];
        for option in general.into_iter().chain(classes) {
            let text = name(&option);
            ui.selectable_value(redirect, option, text);
        }
    })
    .on_hover_text("What the model makes instead of the forgotten class");
}
