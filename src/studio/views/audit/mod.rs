//! The audit: does the model still hold what it no longer shows?

mod attacks;
mod confusion;
mod gallery;
mod layers;
mod prompts;
mod relearn;

use std::sync::Arc;

use egui::{Button, RichText, ScrollArea, Ui};

use crate::{
    engine::job::Run,
    studio::{
        app::Studio, format, state::JobKind, task_state::Arm, theme, tile::Sheet,
        timeline::arm_name,
    },
    words::{audit::Audit, task::Task},
};

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum AuditTab {
    #[default]
    Confusion,
    Changed,
    Attacks,
    Relearn,
    Layers,
}

impl AuditTab {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Confusion, "Confusion", "Which classes are seen as which, before and after"),
        (Self::Changed, "Most changed", "Test pictures whose answers changed most"),
        (Self::Attacks, "Attacks", "Can the forgotten pictures be told from unseen ones?"),
        (Self::Relearn, "Relearn", "Does a short training bring it back?"),
        (Self::Layers, "Layers", "A probe on the features, and how alike the layers are"),
    ];
}

/// Which part is shown, of which run.
pub struct Auditor {
    part: AuditTab,
    arm: Arm,
    /// Whether a confusion matrix alone is the one after.
    after: bool,
    /// The attack whose curve is drawn.
    attack: usize,
    sheet: Sheet,
    attacked: prompts::Sheets,
}

impl Default for Auditor {
    fn default() -> Self {
        Self {
            part: AuditTab::default(),
            arm: Arm::Method,
            after: true,
            attack: 0,
            sheet: Sheet::default(),
            attacked: Default::default(),
        }
    }
}

/// Draws the view.
pub fn audit_ui(studio: &mut Studio, ui: &mut Ui) {
    let arm = studio.auditor.arm;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        if studio.state.task != Task::TextToImage {
            for (part, name, hint) in AuditTab::ALL {
                ui.selectable_value(&mut studio.auditor.part, part, name).on_hover_text(hint);
            }
            ui.add_space(10.0);
        }
        for arm in Arm::BOTH {
            let name = arm_name(studio.state.session(), arm).to_owned();
            ui.selectable_value(&mut studio.auditor.arm, arm, name)
                .on_hover_text("Whose audit is shown");
        }
    });
    ui.add_space(4.0);
    let Some(run) = studio.state.session().attempt(arm).and_then(|a| a.run.clone()) else {
        ui.weak("Finish a run first: the audit looks at what it left");
        return;
    };
    if studio.state.task == Task::TextToImage {
        return prompts::prompts_ui(studio, arm, &run, ui);
    }
    let part = studio.auditor.part;
    match (part, &run.report.audit) {
        (AuditTab::Confusion, _) => confusion::confusion_ui(&mut studio.auditor.after, &run, ui),
        (AuditTab::Changed, _) => gallery::changed_ui(&mut studio.auditor.sheet, &run, ui),
        (_, None) => offer_ui(studio, arm, &run, ui),
        (_, Some(audit)) => {
            let height = (ui.available_height() - 70.0).clamp(150.0, 300.0);
            ScrollArea::vertical().id_salt("audit").auto_shrink(false).show(ui, |ui| {
                match part {
                    AuditTab::Attacks => {
                        attacks::attacks_ui(&mut studio.auditor.attack, audit, height, ui)
                    }
                    AuditTab::Relearn => relearn::relearn_ui(audit, height, ui),
                    _ => layers::layers_ui(audit, ui),
                }
                facts_ui(&run, audit, ui);
            });
        }
    }
}

/// Offers to audit a run.
fn offer_ui(studio: &mut Studio, arm: Arm, run: &Arc<Run>, ui: &mut Ui) {
    let working = studio.state.work.as_ref().map(|w| w.kind);
    ui.label(format!(
        "The audit attacks the model that forgot {}, trains it again on a tenth of it, and looks \
         into its layers; the original and Retrain are examined alike.",
        format::forget_set(&run.report.forget.spec)
    ));
    ui.add_space(6.0);
    if working == Some(JobKind::Audit(arm)) {
        ui.weak("Auditing; it is shown here when it is done");
        return;
    }
    let fill = theme::palette(ui).accent;
    let text = RichText::new("Audit this run").color(egui::Color32::WHITE);
    let response = ui
        .add_enabled(working.is_none(), Button::new(text).fill(fill))
        .on_hover_text("Minutes on a CPU; it can be cancelled")
        .on_disabled_hover_text("Wait for the work in progress, or cancel it");
    if response.clicked() {
        studio.state.audit(arm);
    }
}

/// What the figures rest on.
fn facts_ui(run: &Run, audit: &Audit, ui: &mut Ui) {
    let report = &run.report;
    let hash: String = report.protocol.chars().take(12).collect();
    let text = format!(
        "{} forgot {}; {}; seed {}, {}, protocol {hash}; {:.0} s",
        format::method(&report.method),
        format::forget_set(&audit.forget),
        match &audit.retrain {
            Some(_) => "Retrain beside it",
            None => "no Retrain of this forget set is known",
        },
        report.seed,
        report.device.name,
        audit.seconds
    );
    ui.add(egui::Label::new(RichText::new(text).small().weak()).wrap());
}

/// The models that are examined alike: name, how its line is drawn, what was found.
fn examined<T>(
    audit: &Audit,
    found: impl Fn(&crate::words::audit::Examination) -> Option<T>,
) -> Vec<(&'static str, Model, T)> {
    [
        ("After", Model::After, Some(&audit.run)),
        ("Before", Model::Before, Some(&audit.original)),
        ("Retrain", Model::Retrain, audit.retrain.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, model, examination)| Some((name, model, found(examination?)?)))
    .collect()
}

/// A model in a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    After,
    Before,
    Retrain,
}

impl Model {
    fn color(self, ui: &Ui) -> egui::Color32 {
        let palette = theme::palette(ui);
        match self {
            Self::After => palette.accent_text,
            Self::Before => palette.weak,
            Self::Retrain => palette.good,
        }
    }
}

/// Names the lines of a drawing.
fn legend_ui(models: impl Iterator<Item = (&'static str, Model)>, ui: &mut Ui) {
    ui.horizontal_wrapped(|ui| {
        for (name, model) in models {
            let (rect, _) = ui.allocate_exact_size(egui::vec2(18.0, 12.0), egui::Sense::hover());
            let stroke = egui::Stroke::new(2.5, model.color(ui));
            ui.painter().hline(rect.x_range(), rect.center().y, stroke);
            ui.label(RichText::new(name).small());
        }
    });
}
