//! What a weights file does not say of itself, and a person may: how pixels are normalised, what the classes
//! are called, how large its pictures are, who judges what it draws; what is laid over a text-to-image model.

use egui::TextEdit;

use super::prelude::*;
use crate::data;
use crate::error::Result;
#[cfg(not(target_arch = "wasm32"))]
use crate::models;
use crate::models::{Lora, Normalise, Said, registry, said};
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
    let side = opened.assumed.side || said.side.is_some();
    let groups = opened.assumed.groups || said.groups.is_some();
    let laid = opened.task.prompted() && registry::shipped(file).is_none();
    if ![normalise, classes, judge, side, groups, laid].contains(&true) {
        return;
    }
    ui.heading(if laid { "Laid over the model" } else { "What the file does not say" });
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
        if laid {
            laid_ui(&mut fresh, &opened, state, ui);
        }
        if side {
            let hint = "The file does not say how large its pictures are, in pixels (--side)";
            let now = opened.grid.tile[0].to_string();
            if let Some(given) = line_ui("Side", &opened.name, &now, hint, ui) {
                fresh.side = state.tell(said::side(&given)).or(fresh.side);
            }
        }
        if groups {
            let hint = "The file does not say by how many groups it normalises; the official code has 32 (--groups)";
            let now = said.groups.map(|groups| groups.to_string()).unwrap_or_default();
            if let Some(given) = line_ui("Groups", &opened.name, &now, hint, ui) {
                fresh.groups = state.tell(said::groups(&given)).or(fresh.groups);
            }
        }
        if judge || laid {
            judge_ui(&mut fresh.judge, &opened.name, ui);
        }
    });
    ui.add_space(8.0);
    if fresh != said {
        state.import(fresh.behind(file), None);
    }
}

/// What a person lays over a text-to-image model, and the pictures with words that it is about.
fn laid_ui(said: &mut Said, opened: &Opened, state: &mut State, ui: &mut Ui) {
    #[cfg(not(target_arch = "wasm32"))]
    pictures_ui(said, opened, ui);
    let hint =
        "A LoRA's file to merge, FILE or FILE@STRENGTH; several with commas between (--lora)";
    let now: Vec<String> = said.loras.iter().map(Lora::to_string).collect();
    let given = line_ui("LoRA", &opened.name, &now.join(","), hint, ui);
    let each = |given: String| -> Result<Vec<Lora>> {
        given.split(',').map(str::trim).filter(|l| !l.is_empty()).map(str::parse).collect()
    };
    if let Some(loras) = given.and_then(|given| state.tell(each(given))) {
        said.loras = loras;
    }
    let hint = "A U-Net's file, or a part of one, to lay over the model's own (--unet)";
    let now = said.unet.clone().unwrap_or_default();
    if let Some(given) = line_ui("U-Net", &opened.name, &now, hint, ui) {
        said.unet = Some(given).filter(|file| !file.is_empty());
    }
}

/// Which pictures are forgotten and kept, and how a folder's are captioned.
#[cfg(not(target_arch = "wasm32"))]
fn pictures_ui(said: &mut Said, opened: &Opened, ui: &mut Ui) {
    let (data, caption) = data::uncaptioned(&opened.data);
    let hint = "What is forgotten and kept: emoji, folder:PATH, or made:FILE.txt for prompts that the model draws \
                by itself (--data)";
    let given = line_ui("Pictures", &opened.name, &data, hint, ui);
    let folder = given.as_ref().unwrap_or(&data).starts_with("folder:");
    let mut template = None;
    if folder {
        let hint = "How a class's pictures are captioned, as in: an image of a {class}; empty where a metadata file \
                    says it (--caption)";
        let now = caption.clone().unwrap_or_default();
        template = line_ui("Captions", &opened.name, &now, hint, ui);
    }
    if given.is_none() && template.is_none() {
        return;
    }
    let data = given.unwrap_or(data);
    let template = template.or(caption).filter(|text| folder && !text.is_empty());
    said.data = Some(match template {
        Some(template) => data::captioned(&data, &template),
        None => data::corpus::worded(&data),
    })
    .filter(|data| !data.is_empty());
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
