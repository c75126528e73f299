//! Nothing is lost by a click: the window asks before it closes, and offers at its start what an
//! earlier sitting left.

use egui::{Modal, ViewportCommand};

use super::commands;
use super::prelude::*;
use super::top_bar::alert_ui;

/// Where the window is with being closed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    #[default]
    Stays,
    /// It asks what becomes of the runs.
    Asks,
    /// It closes once all is saved.
    Saves,
    /// It may close.
    Goes,
}

/// Holds up the closing of a window in which there is something to lose.
pub fn handle(studio: &mut Studio, ctx: &Context) {
    if studio.leave == Leave::Saves && !studio.saver.writing() {
        let all = studio.saver.unsaved() == 0;
        studio.leave = if all { Leave::Goes } else { Leave::Asks };
        if all {
            ctx.send_viewport_cmd(ViewportCommand::Close);
        }
    }
    if !ctx.input(|i| i.viewport().close_requested()) {
        return;
    }
    let loses = studio.saver.unsaved() > 0 || studio.saver.busy() || studio.state.held();
    // Without a place to save in there is nothing to ask.
    if studio.leave != Leave::Goes && loses && studio.saver.keeper.folder().is_some() {
        ctx.send_viewport_cmd(ViewportCommand::CancelClose);
        if studio.leave == Leave::Stays {
            studio.leave = Leave::Asks;
        }
    } else {
        studio.saver.end();
    }
}

/// Draws the question.
pub fn leave_ui(studio: &mut Studio, ctx: &Context) {
    if !matches!(studio.leave, Leave::Asks | Leave::Saves) {
        return;
    }
    let answer = Modal::new(Id::unique("leave")).show(ctx, |ui| {
        ui.set_width(380.0);
        question_ui(studio, ui)
    });
    let left = answer.should_close() && studio.leave == Leave::Asks;
    let Some(leave) = answer.inner.or(left.then_some(Leave::Stays)) else { return };
    studio.leave = leave;
    if leave != Leave::Stays {
        studio.state.cancel();
    }
    match leave {
        Leave::Saves => studio.saver.save_unsaved(),
        Leave::Goes => ctx.send_viewport_cmd(ViewportCommand::Close),
        _ => {}
    }
}

/// Says what would be lost; the answer, if it was given.
fn question_ui(studio: &Studio, ui: &mut Ui) -> Option<Leave> {
    let unsaved = studio.saver.unsaved();
    ui.heading(match (unsaved, studio.state.held()) {
        (0, true) => "Close while a run is in progress?",
        (0, false) => "Close while something is being saved?",
        _ => "Save before closing?",
    });
    ui.add_space(4.0);
    if unsaved > 0 {
        unsaved_ui(studio, unsaved, "", ui);
    }
    if studio.state.held() {
        ui.label("A run is in progress; closing ends it, and nothing of it is kept");
    }
    ui.add_space(10.0);
    let mut answer = None;
    ui.add_enabled_ui(studio.leave == Leave::Asks, |ui| {
        ui.horizontal(|ui| {
            let mut choices = vec![("Discard", Leave::Goes), ("Cancel", Leave::Stays)];
            if unsaved > 0 {
                choices.insert(0, ("Save", Leave::Saves));
            } else if studio.state.held() {
                choices[0].0 = "End it and close";
            }
            for (name, leave) in choices {
                if ui.button(name).clicked() {
                    answer = Some(leave);
                }
            }
        });
    });
    if studio.leave == Leave::Saves {
        ui.weak("Saving…");
    }
    answer
}

/// Draws what earlier sittings left, until something is done about it.
pub fn left_ui(studio: &mut Studio, ctx: &Context, palette: &Palette) {
    let (n, earlier) = (studio.saver.left.len(), studio.saver.earlier);
    // Gone on with, it is not offered any more.
    studio.saver.interrupted.take_if(|run| !run.state.exists());
    let pending = studio.state.unfinished.is_some();
    let under_way = studio.saver.interrupted.clone().filter(|_| !pending);
    let nothing = n == 0 && earlier.is_none() && under_way.is_none();
    if nothing || studio.later || studio.saver.busy() {
        return;
    }
    alert_ui("left behind", studio.bar_end + 6.0, palette.accent, ctx, |ui| {
        if let Some(device) = &studio.host.lost {
            ui.label(format!(
                "{device} was lost, and the window with it: this one computes on the CPU"
            ));
        }
        if let Some(run) = &under_way {
            ui.label(format!("A run was under way: {}", run.what()));
        }
        match (n, earlier) {
            (0, None) => {}
            (0, Some(bytes)) => {
                ui.label("The studio can come back as it was left");
                ui.weak(format!("{:.1} MB are remembered", bytes as f64 / 1e6));
            }
            _ => unsaved_ui(studio, n, " of an earlier sitting", ui),
        }
        ui.horizontal(|ui| {
            if under_way.is_some() {
                commands::GO_ON.button_ui(primary(ui, commands::GO_ON.name), studio, ui);
            }
            if earlier.is_some() {
                commands::BACK.button_ui(primary(ui, commands::BACK.name), studio, ui);
            }
            if n > 0 && ui.button("Save").clicked() {
                studio.saver.save_left();
            }
            if ui.button("Discard").clicked() {
                studio.saver.discard_left();
            }
            if ui.button("Later").on_hover_text("They are offered at the next start").clicked() {
                studio.later = true;
            }
        });
    });
}

/// Says how many runs are not saved, and where they would be.
fn unsaved_ui(studio: &Studio, n: usize, which: &str, ui: &mut Ui) {
    ui.label(match n {
        1 => format!("1 finished run{which} is not saved"),
        n => format!("{n} finished runs{which} are not saved"),
    });
    if let Some(folder) = studio.saver.keeper.folder() {
        ui.weak(format!("Save puts them into {}", folder.display()));
    }
}
