//! What came of a run: the verdict in format, and the numbers that it rests on.

use egui::{Align, Button, Color32, Frame, Grid, Label, Layout, RichText, Ui};

use super::{
    attempt::{Attempt, Glance},
    format,
    state::WAIT,
    task_state::{Arm, TaskState},
    theme::{self, Palette},
    timeline::arm_name,
};
use crate::{
    engine::job::Run,
    eval::verdict::{Evidence, Versus, headline, versus},
    words::{
        metric::Metric,
        report::{Metrics, Report, VerdictLabel},
    },
};

/// Size of the verdict, in points.
const LARGE: f32 = 19.0;

/// Says which of the two runs came out better, once both are there.
pub fn winner_ui(session: &TaskState, ui: &mut Ui) {
    let report = |arm| Some(&session.attempt(arm)?.run.as_ref()?.report);
    let Some((run, control)) = report(Arm::Method).zip(report(Arm::Control)) else { return };
    let palette = theme::palette(ui);
    let Some(Versus { said, winner, n }) = versus(arm_name(session, Arm::Method), run, control)
    else {
        ui.weak("Too few pictures to say which mask is better");
        return;
    };
    let color = match winner {
        1 => palette.good,
        0 => palette.strong,
        _ => palette.caution,
    };
    let [forgotten, rest] = n.map(format::count);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        ui.label(RichText::new(format::unbroken(&said)).size(14.0).color(color));
        let n = format!("n = {forgotten} and {rest}");
        ui.label(RichText::new(n.replace(' ', "\u{a0}")).small().weak());
    })
    .response
    .on_hover_text(format!(
        "UA over {forgotten} pictures, RA or TA over {rest}, one run each with seed {}. A \
         difference of less than two standard errors counts as none",
        run.seed
    ));
}

/// Draws a run's card; whether its result is to be kept as the model.
pub fn card_ui(session: &TaskState, arm: Arm, free: bool, ui: &mut Ui) -> bool {
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
            // Beside the name where there is room, else below it.
            beside = more && ui.available_width() > 84.0;
            if beside {
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| keep = more_ui(free, ui));
            }
        });
        keep |= more && !beside && more_ui(free, ui);
        match (attempt, run) {
            (Some(attempt), Some(run)) => result_ui(session, attempt, run, ui),
            (Some(attempt), None) => progress_ui(session, attempt, ui),
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

/// A verdict as a word and its colour.
pub fn word(report: &Report, palette: &Palette) -> (&'static str, Color32) {
    let label = report.verdict.label;
    (format::verdict(label), color(label, palette))
}

/// The colour of a verdict.
fn color(label: VerdictLabel, palette: &Palette) -> Color32 {
    match label {
        VerdictLabel::Forgot => palette.good,
        VerdictLabel::UnderForgot | VerdictLabel::Hidden => palette.caution,
        VerdictLabel::OverForgot => palette.bad,
        VerdictLabel::TooFew => palette.weak,
    }
}

fn progress_ui(session: &TaskState, attempt: &Attempt, ui: &mut Ui) {
    let step = attempt.losses.last().map_or(0.0, |l| l[0]) as usize;
    let steps = format::count(attempt.steps);
    match (attempt.cancelled, attempt.steps) {
        (true, 0) => drop(ui.weak("Stopped before the first step")),
        (true, _) => drop(ui.weak(format!("Stopped at step {} of {steps}", format::count(step)))),
        (false, 0) => drop(ui.weak("Waiting for the first step")),
        (false, _) => drop(ui.weak(format!("Step {} of {steps}", format::count(step)))),
    }
    if attempt.steps > 0 {
        look_ui(&attempt.look_at(session.scrub, &session.forgotten()), ui);
    }
}

/// What the shown pictures say by themselves: those of the step that the timeline is held at.
fn look_ui(look: &Glance, ui: &mut Ui) {
    let part = |name: &str, share: Option<f64>| share.map(|s| format!("{name} {s:.0}"));
    let parts = [part("UA", look.gone), part("RA and TA", look.kept)];
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join("   ");
    if text.is_empty() {
        return;
    }
    ui.label(format::unbroken(&text));
    let over = format!("Pictures of step {}: their {} tiles", format::count(look.step), look.n);
    ui.label(RichText::new(format::unbroken(&over)).small().weak())
        .on_hover_text("A glance, not a measurement: RA and TA are the same tiles here");
}

fn result_ui(session: &TaskState, attempt: &Attempt, run: &Run, ui: &mut Ui) {
    let report = &run.report;
    verdict_ui(report, ui);
    if session.scrub.is_some_and(|held| held < attempt.steps) {
        look_ui(&attempt.look_at(session.scrub, &session.forgotten()), ui);
        ui.label(RichText::new("Measured at the end").small().weak());
    }
    metrics_ui(report, ui);
    facts_ui(report, ui);
    if let Some(place) = &attempt.saved {
        ui.label(RichText::new(format!("Saved to {}", place.display())).small());
    }
}

/// The verdict as a heading, and what it rests on, a line each.
fn verdict_ui(report: &Report, ui: &mut Ui) {
    let verdict = &report.verdict;
    let palette = theme::palette(ui);
    let text = headline(&Evidence::of(report), verdict.label);
    let color = color(verdict.label, palette);
    let heading = RichText::new(format::line(&text)).size(LARGE).color(color);
    ui.add(Label::new(heading).wrap());
    // Before the evidence, which may be long: whether it is 0 is to be seen without scrolling.
    if let Some(mask) = &report.mask {
        frozen_ui(mask.frozen_changed, ui);
    }
    for clause in verdict.why.split("; ") {
        ui.add(Label::new(RichText::new(format::line(clause)).small()).wrap());
    }
}

/// How many weights changed that the mask freezes.
fn frozen_ui(changed: usize, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let color = if changed == 0 { palette.weak } else { palette.caution };
    let text = format!("{} frozen weights changed", format::count(changed));
    ui.label(RichText::new(text).small().color(color))
        .on_hover_text("Weights outside the mask that differ in any bit from the original");
}

/// The mask, the seed, the time and the device, in small.
fn facts_ui(report: &Report, ui: &mut Ui) {
    let device = &report.device;
    let seconds = report.seconds.mask + report.seconds.unlearn;
    let mut facts = String::new();
    if let Some(mask) = &report.mask {
        let (free, all) = (format::count(mask.k), format::count(mask.n));
        facts += &format!("Mask {}, {free} of {all} weights free; ", mask.estimator);
    }
    facts += &format!("seed {}, {seconds:.0} s on {}", report.seed, device.name);
    if device.api != "cpu" {
        facts += &format!(", {}", format::api(&device.api));
    }
    ui.add(Label::new(RichText::new(format::line(&facts)).small().weak()).wrap());
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
        for metric in Metric::told() {
            if columns.iter().all(|(_, m)| (metric.value)(m).is_none()) {
                continue;
            }
            ui.label(small(metric.key.into())).on_hover_text(metric.about(&report.task));
            for (_, m) in &columns {
                ui.label(small((metric.value)(m).map_or("–".into(), |v| format!("{v:.1}"))));
            }
            let (n, others) = (metric.n)(&report.after);
            let count = ui.label(small(format::count(n)).weak());
            if let Some(others) = others {
                count.on_hover_text(format!("Against {} unseen ones", format::count(others)));
            }
            ui.end_row();
        }
    });
}
