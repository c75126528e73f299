//! What a person takes away of the shown runs to show it elsewhere: their page, and every chart of the studio
//! as a picture.

use super::arm_name;
use super::prelude::*;
use super::saver::SaveItem;
use super::views::map;
use crate::engine::LogLine;
use crate::error::Result;
use crate::run::{Page, animation, bundle, charts, figures};

/// What makes a file, away from the frame.
type Made = Arc<dyn Fn() -> Result<Vec<u8>> + Send + Sync>;
/// What draws a figure, away from the frame.
type Draw = Arc<dyn Fn() -> Page + Send + Sync>;

/// The page of a run beside its control, with its pictures over the updates.
pub fn page(studio: &Studio, run: &Arc<Run>) -> Made {
    let session = studio.state.session();
    let (run, control) = (run.clone(), session.run(Arm::Control).cloned());
    let steps = session.attempt(Arm::Method).map(|a| a.snapshots.clone()).unwrap_or_default();
    let address = studio.host.address.clone();
    Arc::new(move || Ok(bundle::page(&run, control.as_deref(), &steps, &address)?.into_bytes()))
}

/// A figure: its name in the menu, its file without an ending, and what draws it where it is there.
type Figure = (&'static str, &'static str, fn(&TaskState) -> Option<Draw>);

/// The charts of the studio, each as PNG and as SVG.
const CHARTS: [Figure; 6] = [
    ("Loss (PNG and SVG)", "loss", loss),
    ("Saliency (PNG and SVG)", "saliency", saliency),
    ("Audit, attacks (PNG and SVG)", "roc", |session| audit(session, charts::roc)),
    ("Audit, learnt again (PNG and SVG)", "relearn", |session| audit(session, charts::relearn)),
    ("Masks (PNG and SVG)", "masks", masks),
    ("Forget map (PNG and SVG)", "forget-map", forget_map),
];

/// Draws the menu of figures.
pub fn figures_ui(studio: &mut Studio, ui: &mut Ui, free: bool) {
    let menu = ui.menu_button("Figures", |ui| {
        let session = studio.state.session();
        let mut wanted = pictures_ui(session, ui, free);
        for (name, file, draw) in CHARTS {
            let drawn = draw(session);
            if entry_ui(ui, name, "", drawn.is_some() && free)
                && let Some(draw) = drawn
            {
                wanted = both(file, draw);
            }
        }
        let runs = session.run(Arm::Method).cloned();
        let hint = "Every metric before, after and with the random mask, with n and its interval";
        if entry_ui(ui, "Table (CSV)", hint, runs.is_some() && free)
            && let Some(run) = runs
        {
            let control = session.run(Arm::Control).cloned();
            let made = move || bundle::metrics(&run.report, control.as_ref().map(|c| &c.report));
            wanted = vec![SaveItem::File("figures.csv".into(), Arc::new(made))];
        }
        if !wanted.is_empty() {
            studio.saver.save(wanted);
        }
    });
    menu.response.on_hover_text("What the studio shows, as pictures");
}

/// Draws the entries of what panes show.
fn pictures_ui(session: &TaskState, ui: &mut Ui, free: bool) -> Vec<SaveItem> {
    let run = session.run(Arm::Method).cloned();
    let mut wanted = Vec::new();
    if entry_ui(ui, "Before and after (PNG)", "Side by side", run.is_some() && free)
        && let Some(run) = run
    {
        let made = move || Ok(bundle::file(&run, "side-by-side.png")?.unwrap_or_default());
        wanted.push(SaveItem::File("side-by-side.png".into(), Arc::new(made)));
    }
    let steps = session.attempt(Arm::Method).map(|a| a.snapshots.clone()).unwrap_or_default();
    let hint = "What After showed at each step, in a loop: browsers play it";
    if entry_ui(ui, "After over the updates (moving PNG)", hint, steps.len() > 1 && free) {
        let classes = session.seen().map(|opened| opened.classes.clone()).unwrap_or_default();
        let made = move || Ok(animation::over_steps(&steps, &classes)?.unwrap_or_default());
        wanted.push(SaveItem::File("after-over-updates.png".into(), Arc::new(made)));
    }
    wanted
}

fn entry_ui(ui: &mut Ui, name: &str, hint: &str, there: bool) -> bool {
    button_ui(ui, Button::new(name), hint, (!there).then_some("Nothing to draw yet"))
}

/// A figure in both forms.
fn both(file: &str, draw: Draw) -> Vec<SaveItem> {
    let again = draw.clone();
    vec![
        SaveItem::File(format!("{file}.png"), Arc::new(move || draw().png())),
        SaveItem::File(format!("{file}.svg"), Arc::new(move || Ok(again().svg().into_bytes()))),
    ]
}

fn loss(session: &TaskState) -> Option<Draw> {
    let of = |arm| Some((arm_name(session, arm).to_string(), session.run(arm)?.clone()));
    let runs: Vec<(String, Arc<Run>)> = Arm::BOTH.into_iter().filter_map(of).collect();
    runs.iter().any(|(_, run)| !run.log.is_empty()).then(|| -> Draw {
        Arc::new(move || {
            let logs = runs.iter().map(|(name, run)| (&**name, &*run.log));
            figures::loss(&logs.collect::<Vec<(&str, &[LogLine])>>())
        })
    })
}

fn saliency(session: &TaskState) -> Option<Draw> {
    let run = session.run(Arm::Method).filter(|run| run.report.mask.is_some())?.clone();
    Some(Arc::new(move || {
        let scores = run.ranking.as_deref().and_then(figures::scores);
        let mask = run.report.mask.as_ref();
        let draw = |m| figures::saliency(m, scores.as_ref(), &run.report.forget.spec);
        mask.map(draw).unwrap_or_default()
    }))
}

fn audit(session: &TaskState, draw: fn(&crate::words::Audit) -> Page) -> Option<Draw> {
    let audit = session.run(Arm::Method)?.report.audit.clone()?;
    Some(Arc::new(move || draw(&audit)))
}

fn masks(session: &TaskState) -> Option<Draw> {
    let (overlap, model) = (session.overlap.clone()?, session.model.clone());
    Some(Arc::new(move || figures::overlap(&overlap, &model)))
}

fn forget_map(session: &TaskState) -> Option<Draw> {
    let any = !session.history.entries.is_empty();
    any.then(|| -> Draw { Arc::new(map::figure(session)) })
}
