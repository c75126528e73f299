//! What came of a run: the verdict in words, and the numbers that it rests on.

use egui::Grid;

use super::attempt::{Attempt, Glance};
use super::prelude::*;
use super::{Content, arm_name};
use crate::eval::{Evidence, Metric, Versus, headline, versus};
use crate::words::{Metrics, Report, VerdictLabel};

/// Size of the verdict, in points.
const LARGE: f32 = 19.0;
/// Below this width, in points, a card has no room for n in a column of its own.
const NARROW: f32 = 280.0;

/// Says which of the two runs came out better, once both are there.
pub fn winner_ui(session: &TaskState, ui: &mut Ui) {
    let reports = session.report(Arm::Method).zip(session.report(Arm::Control));
    let Some((run, control)) = reports else { return };
    let palette = theme::palette(ui);
    let Some(Versus { said, winner, n }) = versus(arm_name(session, Arm::Method), run, control)
    else {
        let why = match run.after.judged() && control.after.judged() {
            true => "Too few pictures to say which mask is better",
            false => "Nobody judged which mask is better",
        };
        return drop(ui.weak(why));
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
        ui.label(small(n.replace(' ', "\u{a0}")).weak());
    })
    .response
    .on_hover_text(format!(
        "UA over {forgotten} pictures, RA or TA over {rest}, one run each with seed {}. A \
         difference of less than two standard errors counts as none",
        run.seed
    ));
}

/// Draws a run's card.
pub fn run_ui(state: &mut State, arm: Arm, ui: &mut Ui) {
    card_ui(ui, 8.0, |ui| {
        ui.set_min_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 3.0;
        ui.spacing_mut().interact_size.y = 14.0;
        let more = arm == Arm::Method && state.session().run(arm).is_some();
        let room = ui.horizontal(|ui| {
            ui.label(RichText::new(arm_name(state.session(), arm)).strong());
            // Beside the name where there is room, else below it.
            let room = ui.available_width() > 84.0;
            if more && room {
                let beside = Layout::right_to_left(Align::Center);
                ui.with_layout(beside, |ui| more_ui(state, ui));
            }
            room
        });
        if more && !room.inner {
            more_ui(state, ui);
        }
        let session = state.session();
        match session.attempt(arm) {
            Some(attempt) => match attempt.report() {
                Some(report) => result_ui(session, arm, attempt, report, ui),
                None => progress_ui(session, attempt, ui),
            },
            None => drop(ui.weak(match arm {
                Arm::Method => "The verdict appears here",
                Arm::Control => "The control appears here: if it does as well, the mask is not why",
            })),
        }
    });
}

fn more_ui(state: &mut State, ui: &mut Ui) {
    let hint = "Keeps this result as the model, so that another request can follow";
    if button_ui(ui, Button::new("Forget more").small(), hint, state.waits()) {
        state.adopt();
    }
}

/// A verdict as a word and its colour.
pub fn word(label: VerdictLabel, palette: &Palette) -> (&'static str, Color32) {
    match label {
        VerdictLabel::Forgot => ("Forgot", palette.good),
        VerdictLabel::UnderForgot => ("Under-forgot", palette.caution),
        VerdictLabel::OverForgot => ("Over-forgot", palette.bad),
        VerdictLabel::Hidden => ("Hidden", palette.caution),
        VerdictLabel::TooFew => ("Too few pictures", palette.weak),
        VerdictLabel::Unjudged => ("Not judged", palette.weak),
    }
}

fn progress_ui(session: &TaskState, attempt: &Attempt, ui: &mut Ui) {
    let step = attempt.losses.last().map_or(0.0, |l| l[0]) as usize;
    let steps = format::count(attempt.steps);
    match (attempt.cancelled, attempt.steps) {
        (true, 0) => ui.weak("Stopped before the first step"),
        (true, _) => ui.weak(format!("Stopped at step {} of {steps}", format::count(step))),
        (false, 0) => ui.weak("Waiting for the first step"),
        (false, _) => ui.weak(format!("Step {} of {steps}", format::count(step))),
    };
    if let Some(measured) = attempt.measured.as_ref().filter(|m| m.judged()) {
        return measured_ui(measured, ui);
    }
    if attempt.steps > 0 {
        look_ui(session, attempt, ui);
    }
}

/// What was measured so far, with intervals that narrow from round to round.
fn measured_ui(so_far: &Metrics, ui: &mut Ui) {
    ui.label("Measuring, in rounds until the intervals are narrow");
    Grid::new("so far").spacing([12.0, 1.0]).show(ui, |ui| {
        ui.label("");
        heads_ui(ui, ["so far", INTERVAL, "n"]);
        for metric in Metric::accuracies() {
            ui.label(small(metric.key));
            ui.label(small(metric.value(so_far).map_or("–".into(), |v| format!("{v:.1}"))));
            interval_ui(metric, so_far, ui);
            ui.label(small(format::count((metric.n)(so_far).0)).weak());
            ui.end_row();
        }
    });
}

/// The heading over intervals.
const INTERVAL: &str = "95 %";

/// The interval of an accuracy.
fn interval_ui(metric: &Metric, of: &Metrics, ui: &mut Ui) {
    let text = metric.interval(of).map(|[low, high]| format!("{low:.1}–{high:.1}"));
    ui.label(small(text.unwrap_or_default()).weak())
        .on_hover_text("95 % interval of the share (Wilson): few pictures leave it wide");
}

/// What the shown pictures say by themselves: those of the step that the timeline is held at.
fn look_ui(session: &TaskState, attempt: &Attempt, ui: &mut Ui) {
    let (step, grid) = attempt.at(session.scrub);
    let look = Glance::of(step, grid, &session.forgotten());
    glance_ui(&look, &format!("of step {}", format::count(step)), ui);
}

/// Draws a look at the pictures of a step or a strength.
fn glance_ui(look: &Glance, whose: &str, ui: &mut Ui) {
    let part = |name: &str, share: Option<f64>| share.map(|s| format!("{name} {s:.0}"));
    let parts = [part("UA", look.gone), part("RA and TA", look.kept)];
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join("   ");
    if text.is_empty() {
        return;
    }
    ui.label(format::unbroken(&text));
    let over = format!("Pictures {whose}: their {} tiles", look.n);
    fact_ui(ui, format::unbroken(&over))
        .on_hover_text("A glance, not a measurement: RA and TA are the same tiles here");
}

fn result_ui(session: &TaskState, arm: Arm, attempt: &Attempt, report: &Report, ui: &mut Ui) {
    verdict_ui(report, ui);
    if session.scrub.is_some_and(|held| held < attempt.steps) {
        look_ui(session, attempt, ui);
        fact_ui(ui, "Measured at the end");
    } else if let Content::Part(grid, strength) = session.content(arm.pane()) {
        let look = Glance::of(attempt.steps, grid, &session.forgotten());
        glance_ui(&look, &format!("at strength {strength}"), ui);
        fact_ui(ui, "Measured at strength 1");
    }
    metrics_ui(report, ui);
    facts_ui(report, ui);
    if let Some(place) = &attempt.saved {
        ui.label(small(format!("Saved to {}", place.display())));
    }
}

/// The verdict as a heading, and what it rests on, a line each.
fn verdict_ui(report: &Report, ui: &mut Ui) {
    let verdict = &report.verdict;
    let text = headline(&Evidence::of(report), verdict.label);
    let (_, color) = word(verdict.label, theme::palette(ui));
    let heading = RichText::new(format::line(&text)).size(LARGE).color(color);
    ui.add(Label::new(heading).wrap());
    // Before the evidence, which may be long: whether it is 0 is to be seen without scrolling.
    if let Some(mask) = &report.mask {
        match mask.said_of_given() {
            Some(said) => drop(ui.label(small(format::line(&said)).weak()).on_hover_text(
                "Which weights were free is not known; the mask is the saliency of Before",
            )),
            None => frozen_ui(mask.frozen_changed, ui),
        }
    }
    for clause in verdict.why.split("; ") {
        ui.label(small(format::line(clause)));
    }
}

/// How many weights changed that the mask freezes.
fn frozen_ui(changed: usize, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let color = if changed == 0 { palette.weak } else { palette.caution };
    let text = format!("{} frozen weights changed", format::count(changed));
    ui.label(small(text).color(color))
        .on_hover_text("Weights outside the mask that differ in any bit from the original");
}

/// The mask, the seed, the time and the device, in small.
fn facts_ui(report: &Report, ui: &mut Ui) {
    let device = &report.device;
    let seconds = report.seconds.mask + report.seconds.unlearn;
    let mut facts = String::new();
    if let Some(mask) = &report.mask {
        let (free, all) = (format::count(mask.k), format::count(mask.n));
        let which = if mask.given.is_some() { "" } else { " free" };
        facts += &format!("Mask {}, {free} of {all} weights{which}; ", mask.estimator);
    }
    facts += &format!("seed {}, {seconds:.0} s on {}", report.seed, device.name);
    if device.api != "cpu" {
        facts += &format!(", {}", format::api(&device.api));
    }
    fact_ui(ui, format::line(&facts));
}

/// UA, RA and TA before and after, Retrain's where it was measured, and the pictures behind them.
fn metrics_ui(report: &Report, ui: &mut Ui) {
    let mut columns = vec![("before", &report.before), ("after", &report.after)];
    columns.extend(report.retrain.as_ref().map(|metrics| ("Retrain", metrics)));
    let intervals = !report.after.intervals.is_empty();
    // In a narrow card n is told beside the metric's name.
    let narrow = ui.available_width() < NARROW;
    let gap = if narrow { 8.0 } else { 12.0 };
    Grid::new(("metrics", &report.protocol)).spacing([gap, 1.0]).show(ui, |ui| {
        ui.label("");
        let interval = intervals.then_some(INTERVAL);
        let names = columns.iter().map(|(name, _)| *name);
        // Beside what it is of.
        let names = names.clone().take(2).chain(interval).chain(names.skip(2));
        heads_ui(ui, names.chain((!narrow).then_some("n")));
        let all: Vec<&Metrics> = columns.iter().map(|(_, m)| *m).collect();
        for metric in Metric::told(&all) {
            if !metric.measured(&all) {
                continue;
            }
            let (n, others) = (metric.n)(&report.after);
            let n = format::count(n);
            let about = metric.about(&report.task);
            let hint = if narrow { format!("{about}; n = {n}") } else { about.into() };
            ui.label(small(metric.key)).on_hover_text(hint);
            for (i, (_, m)) in columns.iter().enumerate() {
                ui.label(small(metric.value(m).map_or("–".into(), |v| format!("{v:.1}"))));
                if i == 1 && intervals {
                    interval_ui(metric, m, ui);
                }
            }
            if !narrow {
                let count = ui.label(small(n).weak());
                if let Some(others) = others {
                    count.on_hover_text(format!("Against {} unseen ones", format::count(others)));
                }
            }
            ui.end_row();
        }
    });
}
