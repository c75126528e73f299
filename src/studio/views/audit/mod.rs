//! The audit: does the model still hold what it no longer shows?

mod attacks;
pub mod confusion;
pub mod gallery;
mod layers;
mod prompts;
mod relearn;

use crate::studio::prelude::*;
use crate::studio::views::needs_run_ui;
use crate::studio::{Pane, Sheet, Spot, arm_name};
use crate::words::{Audit, Examination};

/// The view's row: what a diffusion model of classes holds is seen in its pictures.
pub static VIEW: View = View {
    name: "Audit",
    hint: "Confusion, changed answers, and whether it is only hidden",
    key: Key::A,
    tasks: &[Task::Classify, Task::TextToImage],
    draw: audit_ui,
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

const TABS: [(AuditTab, &str, &str); 5] = [
    (AuditTab::Confusion, "Confusion", "Which classes are seen as which, before and after"),
    (AuditTab::Changed, "Most changed", "Test pictures whose answers changed most"),
    (AuditTab::Attacks, "Attacks", "Can the forgotten pictures be told from unseen ones?"),
    (AuditTab::Relearn, "Relearn", "Does a short training bring it back?"),
    (AuditTab::Layers, "Layers", "A probe on the features, and how alike the layers are"),
];

/// Which part is shown, of which run.
#[derive(Default)]
struct Auditor {
    part: AuditTab,
    arm: Arm,
    /// Whether a confusion matrix alone is the one before.
    before: bool,
    /// The attack whose curve is drawn.
    attack: usize,
    sheet: Sheet,
}

/// What an audit is for.
const WHY: &str = "An audit attacks a model that forgot, trains it again on a little of what is gone, and looks into \
                   its layers. It needs a finished run";

fn audit_ui(studio: &mut Studio, ui: &mut Ui) {
    Spot::Audit.mark(ui.ctx(), ui.max_rect());
    Spot::Audit.formula_ui(ui);
    let prompted = studio.state.task.prompted();
    if !studio.state.session().under_way() {
        return needs_run_ui(studio, ui, "Does it still hold what it no longer shows?", WHY);
    }
    let Studio { own, state, .. } = studio;
    let auditor = own.of::<Auditor>();
    let arm = auditor.arm;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        if !prompted {
            tabs_ui(ui, &mut auditor.part, TABS);
            ui.add_space(10.0);
        }
        let arms = Arm::BOTH.map(|arm| (arm, arm_name(state.session(), arm)));
        let arms = arms.map(|(arm, name)| (arm, name, "Whose audit is shown"));
        tabs_ui(ui, &mut auditor.arm, arms);
    });
    ui.add_space(4.0);
    let Some(run) = state.session().run(arm).cloned() else {
        return drop(ui.weak("The run goes on: the audit looks at what it leaves"));
    };
    if prompted {
        return prompts::prompts_ui(studio, arm, &run, ui);
    }
    match (auditor.part, &run.report.audit) {
        (AuditTab::Confusion, _) => confusion::confusion_ui(&mut auditor.before, &run, ui),
        (AuditTab::Changed, _) => gallery::changed_ui(&mut auditor.sheet, &run, ui),
        (_, None) => offer_ui(state, arm, &run, ui),
        (part, Some(audit)) => {
            let height = (ui.available_height() - 70.0).clamp(150.0, 300.0);
            ScrollArea::vertical().id_salt("audit").auto_shrink(false).show(ui, |ui| {
                match part {
                    AuditTab::Attacks => {
                        attacks::attacks_ui(&mut auditor.attack, audit, height, ui);
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
fn offer_ui(state: &mut State, arm: Arm, run: &Run, ui: &mut Ui) {
    ui.label(format!(
        "The audit attacks the model that forgot {}, trains it again on a tenth of it, and looks \
         into its layers; the original and Retrain are examined alike.",
        format::forget_set(&run.report.forget.spec)
    ));
    ui.add_space(6.0);
    if state.working() == Some(JobKind::Audit(arm)) {
        return drop(ui.weak("Auditing; it is shown here when it is done"));
    }
    let button = primary(ui, "Audit this run");
    let hint = "Minutes on a CPU; it can be cancelled";
    if button_ui(ui, button, hint, state.working().map(|_| WAIT)) {
        state.audit(arm);
    }
}

/// What the figures rest on.
fn facts_ui(run: &Run, audit: &Audit, ui: &mut Ui) {
    let report = &run.report;
    let text = format!(
        "{} forgot {}; {}; seed {}, {}, {}; {:.0} s",
        format::method(&report.method),
        format::forget_set(&audit.forget),
        match &audit.retrain {
            Some(_) => "Retrain beside it",
            None => "no Retrain of this forget set is known",
        },
        report.seed,
        report.device.name,
        format::protocol(&report.protocol),
        audit.seconds
    );
    fact_ui(ui, text);
}

/// The models that are examined alike, by the panes of what they show, and what was found.
fn examined<T>(audit: &Audit, found: impl Fn(&Examination) -> Option<T>) -> Vec<(Pane, T)> {
    let (run, original) = (Some(&audit.run), Some(&audit.original));
    let retrain = audit.retrain.as_ref();
    [(Pane::After, run), (Pane::Before, original), (Pane::Retrain, retrain)]
        .into_iter()
        .filter_map(|(pane, examination)| Some((pane, found(examination?)?)))
        .collect()
}

/// How wide a model's line is in a drawing.
fn width(model: Pane) -> f32 {
    if model == Pane::After { 2.5 } else { 1.5 }
}

/// Names the lines of a drawing.
fn legend_ui(models: impl Iterator<Item = (&'static str, Pane)>, ui: &mut Ui) {
    ui.horizontal_wrapped(|ui| {
        for (name, model) in models {
            let (rect, _) = ui.allocate_exact_size(vec2(18.0, 12.0), Sense::hover());
            let stroke = Stroke::new(2.5, theme::palette(ui).of(model));
            ui.painter().hline(rect.x_range(), rect.center().y, stroke);
            ui.label(small(name));
        }
    });
}
