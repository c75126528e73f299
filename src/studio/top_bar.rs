//! The top bar: task, device, save, theme, shortcuts; and the line that tells of a failure.

use egui::{Align, Button, Layout, Popup, RichText, Theme, Ui};

use super::{app::Studio, export::export_ui, keys, state::WAIT, theme, words};
use crate::models::Task;

/// Draws the bar.
pub fn top_bar_ui(studio: &mut Studio, ui: &mut Ui) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("SalUn Studio").heading().strong());
        ui.add_space(8.0);
        tasks_ui(studio, ui);
        ui.add_space(8.0);
        device_ui(studio, ui);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            help_ui(ui);
            theme_ui(ui);
            tour_ui(studio, ui);
            export_ui(studio, ui);
            share_ui(studio, ui);
            open_ui(studio, ui);
        });
    });
}

/// Draws the bar of a narrow window: the tasks, and a menu with the rest.
pub fn compact_bar_ui(studio: &mut Studio, ui: &mut Ui) {
    ui.horizontal(|ui| {
        tasks_ui(studio, ui);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.menu_button("Menu", |ui| {
                export_ui(studio, ui);
                share_ui(studio, ui);
                tour_ui(studio, ui);
                open_ui(studio, ui);
                theme_ui(ui);
                device_ui(studio, ui);
            });
        });
    });
}

/// Draws the line that tells of a failure.
pub fn error_ui(studio: &mut Studio, ui: &mut Ui) {
    let Some(error) = studio.state.error.clone() else { return };
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui.button("Dismiss").clicked() {
                studio.state.error = None;
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let color = theme::palette(ui).bad;
                ui.add(egui::Label::new(RichText::new(error).color(color)).truncate());
            });
        });
    });
}

fn tasks_ui(studio: &mut Studio, ui: &mut Ui) {
    let held = studio.state.held();
    ui.add_enabled_ui(!held, |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for task in Task::ALL {
            let button = Button::new(words::task(task)).selected(studio.state.task == task);
            let response = ui.add(button);
            let response = response.on_disabled_hover_text(WAIT);
            if response.clicked() {
                studio.state.switch(task);
            }
        }
    });
}

fn device_ui(studio: &Studio, ui: &mut Ui) {
    match &studio.state.device {
        Some(info) => {
            let badge = RichText::new(words::device(info)).weak();
            ui.add(egui::Label::new(badge).truncate()).on_hover_text(&info.why);
        }
        None => {
            ui.weak("Looking for a device…");
        }
    }
}

fn tour_ui(studio: &mut Studio, ui: &mut Ui) {
    let button = Button::new("Tour").selected(studio.tour.is_on());
    if ui.add(button).on_hover_text("Six steps through the main job (H)").clicked() {
        studio.toggle_tour();
    }
}

fn share_ui(studio: &Studio, ui: &mut Ui) {
    let hint = if studio.host.address.is_empty() {
        "Copies the request: add it to the page's address, or give it to salun unlearn"
    } else {
        "Copies a link to this request"
    };
    // A link holds one request, and no weights that others made.
    let later = studio.state.session().opened.as_ref().is_some_and(|o| !o.after.is_empty());
    let button = ui.add_enabled(!later, Button::new("Share")).on_hover_text(hint);
    let why = "A link holds a single request; Save run keeps the ones before this one, too";
    if button.on_disabled_hover_text(why).clicked() {
        ui.copy_text(studio.share());
    }
}

fn open_ui(studio: &Studio, ui: &mut Ui) {
    let Some(ask) = &studio.host.ask_file else { return };
    let free = !studio.state.held();
    let response = ui
        .add_enabled(free, Button::new("Open…"))
        .on_hover_text("Opens a weights file (.safetensors or .pth); or drop one here")
        .on_disabled_hover_text(WAIT);
    if response.clicked() {
        ask();
    }
}

fn theme_ui(ui: &mut Ui) {
    let (name, other) =
        if ui.visuals().dark_mode { ("Light", Theme::Light) } else { ("Dark", Theme::Dark) };
    if ui.button(name).on_hover_text("Switch between light and dark").clicked() {
        ui.ctx().set_theme(other);
    }
}

fn help_ui(ui: &mut Ui) {
    let button = ui.button("?").on_hover_text("Keyboard shortcuts");
    Popup::from_toggle_button_response(&button).show(|ui| {
        egui::Grid::new("shortcuts").num_columns(2).spacing([16.0, 4.0]).show(ui, |ui| {
            for (key, does) in keys::HELP {
                ui.monospace(key);
                ui.label(does);
                ui.end_row();
            }
        });
    });
}
