//! What came of a run: the verdict in words, and the numbers that it rests on.

use egui::{Align, Button, Color32, Frame, Grid, Layout, RichText, Ui};

use super::{
    attempt::Attempt,
    session::{Arm, Session},
    state::WAIT,
    theme::{self, Palette},
    timeline::arm_name,
    words,
};
use crate::{
    engine::job::Run,
    models::Task,
    run::report::{Metrics, Report, VerdictLabel},
};

/// Draws a run's card; whether its result is to be kept as the model.
pub fn card_ui(session: &Session, arm: Arm, free: bool, ui: &mut Ui) -> bool {
    let (mut keep, mut beside) = (false, false);
    let palette = theme::palette(ui);
    Frame::group(ui.style()).fill(palette.card).inner_margin(8.0).show(ui, |ui| {
        ui.set_min_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 3.0;
        ui.spacing_mut().interact_size.y = 14.0;
        let attempt = session.attempt(arm);
        let run = attempt.and_then(|a| a.run.as_ref());
        // A request to forget a prompt follows no other.
        let more = arm == Arm::Method && run.is_some_and(|run| run.model.plain().is_some());
        ui.horizontal(|ui| {
            ui.label(RichText::new(arm_name(session, arm)).strong());
            if let Some(verdict) = attempt.and_then(|a| a.verdict.as_ref()) {
                let label = verdict.label;
                ui.label(RichText::new(label.name()).strong().color(color(label, palette)));
            }
            // Beside the verdict where there is room, else below it.
            beside = more && ui.available_width() > 84.0;
            if beside {
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| keep = more_ui(free, ui));
            }
        });
        match (attempt, run) {
            (Some(attempt), Some(run)) => {
                keep |= more && !beside && more_ui(free, ui);
                result_ui(attempt, run, ui);
            }
            (Some(attempt), None) => progress_ui(attempt, ui),
            (None, _) => drop(ui.weak(match arm {
                Arm::Method => "The verdict appears here",
                Arm::Control => "The control appears here: if it does as well, the mask is not why",
            })),
        }
    });
    keep
}

fn more_ui(free: bool, ui: &mut Ui) -> bool {
    ui.add_enabled(free, Button::new("Forget more").small())
        .on_hover_text("Keeps this result as the model, so that another request can follow")
        .on_disabled_hover_text(WAIT)
        .clicked()
}

/// The colour of a verdict.
pub fn color(label: VerdictLabel, palette: &Palette) -> Color32 {
    match label {
        VerdictLabel::Forgot => palette.good,
        VerdictLabel::UnderForgot | VerdictLabel::Hidden => palette.caution,
        VerdictLabel::OverForgot => palette.bad,
    }
}

fn progress_ui(attempt: &Attempt, ui: &mut Ui) {
    let step = attempt.losses.last().map_or(0.0, |l| l[0]) as usize;
    let steps = words::count(attempt.steps);
    match (attempt.cancelled, attempt.steps) {
        (true, 0) => drop(ui.weak("Stopped before the first step")),
        (true, _) => drop(ui.weak(format!("Stopped at step {} of {steps}", words::count(step)))),
        (false, 0) => drop(ui.weak("Waiting for the first step")),
        (false, _) => drop(ui.weak(format!("Step {} of {steps}", words::count(step)))),
    }
    if let Some((_, m)) = attempt.glances.last() {
        ui.label(format!("UA {:.0}   RA {:.0}   TA {:.0}", m.UA, m.RA, m.TA));
        ui.label(RichText::new("At a glance, over the shown tiles").small().weak());
    }
}

fn result_ui(attempt: &Attempt, run: &Run, ui: &mut Ui) {
    let report = &run.report;
    ui.label(attempt.verdict.as_ref().map_or("", |v| &v.why));
    metrics_ui(report, ui);
    if let Some(mask) = &report.mask {
        ui.label(
            RichText::new(format!(
                "{}: {} of {} weights free, {} frozen weights changed",
                mask.estimator,
                words::count(mask.k),
                words::count(mask.n),
                words::count(mask.frozen_changed)
            ))
            .small(),
        );
    }
    let device = &report.device;
    let seconds = report.seconds.mask + report.seconds.unlearn;
    let mut facts = format!("Seed {}, {seconds:.0} s on {}", report.seed, device.name);
    if device.api != "cpu" {
        facts += &format!(", {}", words::api(&device.api));
    }
    ui.label(RichText::new(facts).small().weak());
    if let Some(place) = &attempt.saved {
        ui.label(RichText::new(format!("Saved to {}", place.display())).small());
    }
}

/// UA, RA and TA before and after, Retrain's where it was measured, and the pictures behind them.
fn metrics_ui(report: &Report, ui: &mut Ui) {
    let columns: Vec<(&str, &Metrics)> =
        [("before", Some(&report.before)), ("after", Some(&report.after))]
            .into_iter()
            .chain([("Retrain", report.retrain.as_ref())])
            .filter_map(|(name, metrics)| Some((name, metrics?)))
            .collect();
    let small = |text: String| RichText::new(text).small();
    Grid::new(("metrics", &report.protocol)).spacing([12.0, 1.0]).show(ui, |ui| {
        ui.label("");
        for (name, _) in &columns {
            ui.label(small((*name).into()).weak());
        }
        ui.label(small("n".into()).weak());
        ui.end_row();
        type Row = (&'static str, &'static str, fn(&Metrics) -> f64);
        let [ra, ta] = match report.task == Task::TextToImage.name() {
            true => [
                "Retain accuracy within the domain: other concepts, or other styles, still drawn",
                "Retain accuracy across: the asked styles, or concepts, still drawn",
            ],
            false => [
                "Remaining accuracy: on what was to be kept",
                "Testing accuracy: on pictures never trained on",
            ],
        };
        let rows: [Row; 3] = [
            ("UA", "Unlearning accuracy: share of the forget set no longer recognised", |m| m.UA),
            ("RA", ra, |m| m.RA),
            ("TA", ta, |m| m.TA),
        ];
        for (i, (name, means, value)) in rows.into_iter().enumerate() {
            ui.label(small(name.into())).on_hover_text(means);
            for (_, metrics) in &columns {
                ui.label(small(format!("{:.1}", value(metrics))));
            }
            ui.label(small(words::count(report.after.n[i])).weak());
            ui.end_row();
        }
        if columns.iter().all(|(_, m)| m.MIA.is_none()) {
            return;
        }
        let means = "Membership inference attack: share of the forget set that it takes for \
                     pictures never trained on";
        ui.label(small("MIA".into())).on_hover_text(means);
        for (_, metrics) in &columns {
            ui.label(small(metrics.MIA.map_or("–".into(), |mia| format!("{mia:.1}"))));
        }
        let [members, others] = report.after.MIA_n.map(words::count);
        ui.label(small(members).weak()).on_hover_text(format!("Against {others} unseen ones"));
        ui.end_row();
    });
}
