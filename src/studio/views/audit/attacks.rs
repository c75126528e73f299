//! Can the forgotten pictures be told from pictures that were never trained on?

use egui::Grid;

use super::{examined, legend_ui, width};
use crate::studio::prelude::*;
use crate::studio::{Chart, Pane};
use crate::words::{Attack, Audit};

/// Draws the list of attacks, and the curve of one of them.
pub fn attacks_ui(chosen: &mut usize, audit: &Audit, height: f32, ui: &mut Ui) {
    let attacks = &audit.run.attacks;
    *chosen = (*chosen).min(attacks.len().saturating_sub(1));
    let Some(attack) = attacks.get(*chosen) else {
        return drop(ui.weak("No attack was possible on so few pictures"));
    };
    let models = examined(audit, |e| e.attacks.iter().find(|a| a.name == attack.name).cloned());
    let size = vec2(ui.available_width().min(1.5 * height), height);
    legend_ui(models.iter().map(|(model, _)| (model.name(), *model)), ui);
    curve_ui(attack, &models, size, ui);
    ui.add_space(4.0);
    list_ui(chosen, audit, ui);
}

fn curve_ui(attack: &Attack, models: &[(Pane, Attack)], size: Vec2, ui: &mut Ui) {
    let axes = [("unseen pictures taken for members", 1.0), ("members found", 1.0)];
    let told = format!("ROC of {}, area {:.3}", attack.name, attack.auc);
    let chart = Chart::new(ui, size, axes, &told);
    chart.dashed([chart.at(0.0, 0.0), chart.at(1.0, 1.0)], ui);
    for (model, attack) in models.iter().rev() {
        let ends = [[0.0, 0.0]].into_iter().chain(attack.roc.iter().copied());
        chart.line(ends.chain([[1.0, 1.0]]), width(*model), theme::palette(ui).of(*model));
    }
}

fn list_ui(chosen: &mut usize, audit: &Audit, ui: &mut Ui) {
    Grid::new("attacks").spacing([14.0, 2.0]).striped(true).show(ui, |ui| {
        for (head, means) in [
            ("Attack", ""),
            (
                "Area",
                "Area under the curve; 0.5 is chance, after forgetting it should be Retrain's",
            ),
            ("Retrain", "Retrain's area"),
            ("TPR at 1 % FPR", "Members found where 1 % of unseen pictures are taken for members"),
            ("Members, unseen", "Pictures behind it"),
        ] {
            explained(ui.label(small(head).weak()), means, None);
        }
        ui.end_row();
        for (i, attack) in audit.run.attacks.iter().enumerate() {
            ui.selectable_value(chosen, i, &attack.name);
            ui.label(small(format!("{:.3} ± {:.3}", attack.auc, attack.auc_error)));
            let retrain = audit.retrain.iter().flat_map(|r| &r.attacks);
            let retrain = retrain.into_iter().find(|a| a.name == attack.name);
            ui.label(small(retrain.map_or("–".into(), |r| format!("{:.3}", r.auc))));
            ui.label(small(format!("{:.1} %", attack.tpr_at_1_fpr * 100.0)));
            ui.label(small(attack.n.map(format::count).join(", ")));
            ui.end_row();
        }
    });
}
