//! What a weights file does not say of itself, and a person may: how pixels are normalised, what the classes
//! are called, who judges what it draws.

use egui::TextEdit;

use super::prelude::*;
use crate::data;
#[cfg(not(target_arch = "wasm32"))]
use crate::models;
use crate::models::{Normalise, Said, said};
#[cfg(not(target_arch = "wasm32"))]
use crate::words::JUDGE_IMAGENET;
use crate::words::JUDGE_NONE;

/// Draws a field for each thing that had to be assumed, is missing, or was said.
pub fn assumed_ui(state: &mut State, ui: &mut Ui) {
    let session = state.session();
    let Some(opened) = session.opened.clone().filter(|opened| opened.after.is_empty()) else {
        return;
    };
    let Ok((file, said)) = Said::of(&opened.name) else { return };
    let normalise = opened.assumed.normalisation || said.normalize.is_some();
    let classes = opened.assumed.classes || said.classes.is_some();
    let draws_classes = !opened.task.classifies() && !opened.task.prompted();
    let judged = opened.grid.seen.iter().any(Option::is_some);
    let judge = said.judge.is_some() || draws_classes && !judged;
    if !normalise && !classes && !judge {
        return;
    }
    ui.heading("What the file does not say");
    let mut fresh = said.clone();
    ui.add_enabled_ui(!state.held(), |ui| {
        if normalise {
            pixels_ui(&mut fresh.normalize, ui);
        }
        if classes {
            let hint = "The file does not say what its classes are; names with commas (--classes)";
            let given = line_ui("Classes", &opened.name, &opened.classes.join(","), hint, ui);
            if let Some(list) = given.and_then(|given| state.tell(said::list(&given))) {
                fresh.classes = Some(list);
            }
        }
        if judge {
            judge_ui(&mut fresh.judge, &opened.name, ui);
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

/// Who judges what is drawn: those that have a name, or a file or a folder that a line is written for.
fn judge_ui(judge: &mut Option<String>, model: &str, ui: &mut Ui) {
    let id = ui.make_persistent_id(("judge's file", model));
    let named = [None, Some(JUDGE_NONE), fetched()];
    let path = judge.clone().filter(|spec| !named.contains(&Some(spec)));
    let mut written = ui.data(|d| d.get_temp(id)).unwrap_or(path.is_some());
    let title = |spec: Option<&str>| match spec {
        None => "The shipped one, if there is one",
        Some(JUDGE_NONE) => "Nobody",
        Some(_) => "ImageNet's classes",
    };
    let file = "A file, or a folder of CLIP";
    let now = if written { file } else { title(judge.as_deref()) };
    let combo = choice_ui(ui, "Judge", now, |ui| {
        for (i, spec) in named.into_iter().enumerate().filter(|(i, spec)| *i == 0 || spec.is_some())
        {
            let chosen = !written && judge.as_deref() == spec;
            let row = ui.selectable_label(chosen, title(spec));
            let hint = if i == 0 { "As without --judge" } else { "" };
            if explained(row, hint, None).clicked() {
                (*judge, written) = (spec.map(String::from), false);
            }
        }
        written |= ui.selectable_label(written, file).clicked();
    });
    let hint =
        "Who says what this model draws (--judge); it says first how good it is on real pictures";
    explained(combo, hint, Some(WAIT));
    ui.data_mut(|d| d.insert_temp(id, written));
    if written {
        let hint = "A classifier of these classes (.safetensors, .pth), or a folder of CLIP in transformers' \
                    layout";
        let now = path.unwrap_or_default();
        if let Some(given) = line_ui("Its path", model, &now, hint, ui) {
            *judge = Some(given).filter(|file| !file.is_empty());
        }
    }
}

/// The judge of ImageNet's classes, once it was fetched (`salun model fetch imagenet`).
fn fetched() -> Option<&'static str> {
    #[cfg(not(target_arch = "wasm32"))]
    return models::fetched::find(JUDGE_IMAGENET).ok().filter(|m| m.present()).map(|m| m.name);
    #[cfg(target_arch = "wasm32")]
    None
}

/// A line of text that is taken over once it is left with another; Esc takes it back.
fn line_ui(name: &str, model: &str, now: &str, hint: &str, ui: &mut Ui) -> Option<String> {
    field_ui(ui, name, |ui| {
        let id = ui.make_persistent_id((name, model));
        let mut text = ui.data_mut(|d| d.get_temp(id)).unwrap_or_else(|| now.to_string());
        let field = TextEdit::singleline(&mut text).desired_width(ui.available_width());
        let left = explained(ui.add(field), hint, Some(WAIT)).lost_focus();
        if left && ui.input(|i| i.key_pressed(Key::Escape)) {
            ui.data_mut(|d| d.remove::<String>(id));
            return None;
        }
        ui.data_mut(|d| d.insert_temp(id, text.clone()));
        Some(text).filter(|given| left && given != now)
    })
}
