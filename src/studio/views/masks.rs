//! How much the masks of different classes, seeds or estimators have in common.

use egui::{Button, RichText, ScrollArea, Ui};

use crate::{
    saliency::overlap::{By, Overlap},
    studio::{
        app::Studio,
        format,
        matrix::{Matrix, matrix_ui},
        state::JobKind,
    },
    words::estimator::Estimator,
};

/// Draws the view.
pub fn masks_ui(studio: &mut Studio, ui: &mut Ui) {
    bar_ui(studio, ui);
    ui.add_space(6.0);
    let session = studio.state.session();
    match &session.overlap {
        Some(overlap) => {
            facts_ui(overlap, ui);
            ScrollArea::both().id_salt("overlap").auto_shrink(false).show(ui, |ui| {
                overlap_ui(overlap, ui);
            });
        }
        None => {
            ui.weak(
                "Do two classes live in the same weights? Each pair of masks: what both keep, \
                 over what either keeps.",
            );
        }
    }
}

fn bar_ui(studio: &mut Studio, ui: &mut Ui) {
    let state = &mut studio.state;
    let running = state.work.as_ref().is_some_and(|w| w.kind == JobKind::Overlap);
    let made = state.session().request.estimator() != Estimator::None;
    ui.horizontal_wrapped(|ui| {
        ui.label("Compare masks of");
        for (by, name, hint) in [
            (By::Classes, "Classes", "A mask for every class"),
            (By::Seeds, "Seeds", "Masks of the forget set by three seeds"),
            (By::Estimators, "Estimators", "A mask by every way to score the weights"),
        ] {
            let picked = by == By::Classes || state.session().request.what.is_some();
            let free = state.work.is_none() && state.session().opened.is_some();
            let ready = free && picked && (made || by == By::Estimators);
            let why = match (free, picked) {
                (false, _) => "Wait for the work in progress, or cancel it",
                (_, false) => "Pick what to forget first",
                _ => "Without a mask there is nothing to compare",
            };
            let response = ui
                .add_enabled(ready, Button::new(name))
                .on_hover_text(hint)
                .on_disabled_hover_text(why);
            if response.clicked() {
                state.compare_masks(by);
            }
        }
        if running {
            ui.weak("Scoring…");
        }
    });
}

fn facts_ui(overlap: &Overlap, ui: &mut Ui) {
    let text = format!(
        "Intersection over union of masks of {} of {} weights; two random ones share {:.2}",
        format::count(overlap.k),
        format::count(overlap.n),
        overlap.chance
    );
    ui.add(egui::Label::new(RichText::new(text).small().weak()).wrap());
}

fn overlap_ui(overlap: &Overlap, ui: &mut Ui) {
    let value = |row: usize, column: usize| overlap.iou[row][column];
    // From what chance gives to all.
    let shade = |row, column| {
        (value(row, column) - overlap.chance).max(0.0) / (1.0 - overlap.chance).max(1e-9)
    };
    let name = |i: usize| &overlap.names[i];
    let means =
        |row, column| format!("{} and {}: {:.3}", name(row), name(column), value(row, column));
    let pairs = (0..overlap.names.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
    let most = pairs.max_by(|x, y| value(x.0, x.1).total_cmp(&value(y.0, y.1)));
    let told = match most {
        Some((a, b)) => format!("Overlap of masks; the most alike are {}", means(a, b)),
        None => "Overlap of masks".into(),
    };
    matrix_ui(
        ui,
        &Matrix {
            told,
            rows: &overlap.names,
            columns: &overlap.names,
            axes: ["", ""],
            shade: &shade,
            text: &|row, column| format!("{:.2}", value(row, column)),
            means: &means,
            marked: None,
        },
    );
}
