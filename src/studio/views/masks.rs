//! How much the masks of different classes, seeds or estimators have in common.

use crate::saliency::{By, Overlap};
use crate::studio::Matrix;
use crate::studio::prelude::*;
use crate::studio::recorded;
use crate::studio::request::estimator;
use crate::words::Estimator;

/// The view's row: a prompt's masks are not those of a class.
pub static VIEW: View = View {
    name: "Masks",
    hint: "How much the masks of classes, seeds or estimators have in common",
    key: Key::O,
    tasks: &[Task::Generate, Task::Classify],
    draw: masks_ui,
};

fn masks_ui(studio: &mut Studio, ui: &mut Ui) {
    bar_ui(&mut studio.state, ui);
    ui.add_space(6.0);
    let session = studio.state.session();
    let recorded = recorded::overlap(&session.model);
    let Some(overlap) = session.overlap.as_ref().or(recorded) else {
        return drop(ui.weak(
            "Do two classes live in the same weights? Each pair of masks: what both keep, \
             over what either keeps.",
        ));
    };
    let [k, n] = [overlap.k, overlap.n].map(format::count);
    let mut text = format!(
        "Intersection over union of masks of {k} of {n} weights; two random ones share {:.2}",
        overlap.chance
    );
    if session.overlap.is_none() {
        text += "; recorded with the program: classes, seed 1, quick budget";
    }
    fact_ui(ui, text);
    let area = ScrollArea::both().id_salt("overlap").auto_shrink(false);
    area.show(ui, |ui| overlap_ui(overlap, ui));
}

fn bar_ui(state: &mut State, ui: &mut Ui) {
    let session = state.session();
    let free = state.work.is_none() && session.opened.is_some();
    let made = estimator(&session.request) != Estimator::None;
    let picked = session.what.is_some();
    ui.horizontal_wrapped(|ui| {
        ui.label("Compare masks of");
        for (by, name, hint) in [
            (By::Classes, "Classes", "A mask for every class"),
            (By::Seeds, "Seeds", "Masks of the forget set by three seeds"),
            (By::Estimators, "Estimators", "A mask by every way to score the weights"),
        ] {
            let blocked = match by {
                _ if !free => Some(WAIT),
                By::Seeds | By::Estimators if !picked => Some("Pick what to forget first"),
                By::Classes | By::Seeds if !made => {
                    Some("Without a mask there is nothing to compare")
                }
                _ => None,
            };
            if button_ui(ui, Button::new(name), hint, blocked) {
                state.compare_masks(by);
            }
        }
        if state.working() == Some(JobKind::Overlap) {
            ui.weak("Scoring…");
        }
    });
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
    Matrix {
        told,
        names: &overlap.names,
        axes: ["", ""],
        shade: &shade,
        text: &|row, column| format!("{:.2}", value(row, column)),
        means: &means,
        marked: None,
    }
    .ui(ui);
}
