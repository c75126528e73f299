//! What a weights file does not say of itself, and a person may: how pixels are normalised, what the classes
//! are called.

use egui::TextEdit;

use super::prelude::*;
use crate::data;
use crate::error::Result;
use crate::models::{Normalise, Said, said};

/// Draws the two fields, where something had to be assumed or was said.
pub fn assumed_ui(state: &mut State, ui: &mut Ui) {
    let session = state.session();
    let Some(opened) = session.opened.clone().filter(|opened| opened.after.is_empty()) else {
        return;
    };
    let Ok((file, said)) = Said::of(&opened.name) else { return };
    let normalise = opened.assumed.normalisation || said.normalize.is_some();
    let classes = opened.assumed.classes || said.classes.is_some();
    if !normalise && !classes {
        return;
    }
    ui.heading("What the file does not say");
    let mut fresh = said.clone();
    ui.add_enabled_ui(!state.held(), |ui| {
        if normalise {
            pixels_ui(&mut fresh.normalize, ui);
        }
        if classes {
            let named = field_ui(ui, "Classes", |ui| classes_ui(&opened, &mut fresh, ui));
            state.tell(named);
        }
    });
    ui.add_space(8.0);
    if fresh != said {
        state.import(fresh.behind(file), None);
    }
}

/// How pixels are normalised.
fn pixels_ui(normalize: &mut Option<Normalise>, ui: &mut Ui) {
    let own = "As the data are";
    let title = |how: &Normalise| match how {
        Normalise::Unit => "From 0 to 1".to_string(),
        Normalise::Imagenet => "As ImageNet".into(),
        other => other.to_string(),
    };
    let sets = data::NAMES.iter().filter_map(|name| name.parse().ok());
    let known = [Normalise::Unit, Normalise::Imagenet].into_iter().chain(sets);
    let now = normalize.as_ref().map_or(own.into(), title);
    let combo = choice_ui(ui, "Pixels", &now, |ui| {
        ui.selectable_value(normalize, None, own);
        for how in known {
            let text = title(&how);
            ui.selectable_value(normalize, Some(how), text);
        }
    });
    let hint = "The file does not say how its pixels were normalised (--normalize)";
    explained(combo, hint, Some(WAIT));
}

/// The classes' names in their order, with commas between; taken over once the field is left.
fn classes_ui(opened: &Opened, fresh: &mut Said, ui: &mut Ui) -> Result<()> {
    let id = ui.make_persistent_id(("classes of", &opened.name));
    let now = opened.classes.join(",");
    let mut text = ui.data_mut(|d| d.get_temp(id)).unwrap_or_else(|| now.clone());
    let field = TextEdit::singleline(&mut text).desired_width(ui.available_width());
    let hint = "The file does not say what its classes are; names with commas (--classes)";
    let response = explained(ui.add(field), hint, Some(WAIT));
    let (left, given) = (response.lost_focus(), text.clone());
    if left && ui.input(|i| i.key_pressed(Key::Escape)) {
        ui.data_mut(|d| d.remove::<String>(id));
        return Ok(());
    }
    ui.data_mut(|d| d.insert_temp(id, text));
    if left && given != now {
        fresh.classes = Some(said::list(&given)?);
    }
    Ok(())
}
