//! The top bar: task, device, save, theme, shortcuts; and the messages that hang below it.

use std::time::Duration;

use egui::{Area, Order, Popup, PopupCloseBehavior, Theme};

use super::commands;
#[cfg(not(target_arch = "wasm32"))]
use super::dialog::Ask;
use super::export::export_ui;
use super::prelude::*;
use crate::words::Piece;

/// Seconds for which it is said what was just done.
const NOTICE: f64 = 4.0;

/// Draws something of the bar.
type Draw = fn(&mut Studio, &mut Ui);

/// What can be done from the bar, from the right.
const ACTIONS: [(Piece, Draw); 5] = [
    (Piece::Tour, present_ui),
    (Piece::Tour, tour_ui),
    (Piece::Export, export_ui),
    (Piece::Share, share_ui),
    (Piece::Open, open_ui),
];

/// Draws what can be done, but for what a worksheet leaves out.
fn actions_ui(studio: &mut Studio, ui: &mut Ui) {
    for (piece, draw_ui) in ACTIONS {
        if !studio.state.hides(piece) {
            draw_ui(studio, ui);
        }
    }
}

/// Draws the bar.
pub fn top_bar_ui(studio: &mut Studio, ui: &mut Ui) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("SalUn Studio").heading().strong());
        ui.add_space(8.0);
        tasks_ui(studio, ui);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            help_ui(studio, ui);
            theme_ui(ui);
            actions_ui(studio, ui);
            // In the room that is left.
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add_space(8.0);
                device_ui(studio, ui);
            });
        });
    });
}

/// Draws the bar of a narrow window: the tasks, and a menu with the rest.
pub fn compact_bar_ui(studio: &mut Studio, ui: &mut Ui) {
    ui.horizontal(|ui| {
        tasks_ui(studio, ui);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.menu_button("Menu", |ui| {
                actions_ui(studio, ui);
                theme_ui(ui);
                calm_ui(studio, ui);
                device_ui(studio, ui);
            });
        });
    });
}

/// Draws what hangs below the bar for a while: a failure until it is dismissed, what was just done.
pub fn messages_ui(studio: &mut Studio, ctx: &Context, palette: &Palette) {
    let top = studio.bar_end + 6.0;
    if let Some(error) = studio.state.error.clone() {
        alert_ui("error", top, palette.bad, ctx, |ui| {
            ui.horizontal(|ui| {
                ui.vertical(|ui| {
                    ui.set_max_width(widest(ctx) - 90.0);
                    ui.add(Label::new(RichText::new(error).color(palette.bad)).wrap());
                });
                if ui.button("Dismiss").clicked() {
                    studio.state.error = None;
                }
            });
        });
    }
    let now = ctx.input(|i| i.time);
    if let Some((text, until)) = studio.notice.filter(|(_, until)| now < *until) {
        let at = pos2(ctx.content_rect().right() - 12.0, top);
        let area = Area::new(Id::unique("notice")).interactable(false).pivot(Align2::RIGHT_TOP);
        hanging_ui(area.fixed_pos(at), None, ctx, |ui| drop(ui.add(Label::new(text).extend())));
        ctx.request_repaint_after(Duration::from_secs_f64(until - now));
    }
}

/// Draws what a person has to see, in the middle below the bar, over what is there.
pub fn alert_ui(name: &str, top: f32, border: Color32, ctx: &Context, add: impl FnOnce(&mut Ui)) {
    let at = pos2(ctx.content_rect().center().x, top);
    let area = Area::new(Id::unique(name)).role(Role::Alert).pivot(Align2::CENTER_TOP);
    hanging_ui(area.fixed_pos(at), Some(border), ctx, |ui| {
        ui.set_max_width(widest(ctx));
        add(ui);
    });
}

/// Draws what lies over the panels on a card, which may have a border of its own.
fn hanging_ui(area: Area, border: Option<Color32>, ctx: &Context, add: impl FnOnce(&mut Ui)) {
    area.constrain_to(ctx.content_rect()).order(Order::Foreground).show(ctx, |ui| {
        let mut frame = Frame::popup(ui.style()).inner_margin(10.0);
        frame.stroke = border.map_or(frame.stroke, |color| Stroke::new(1.0, color));
        frame.show(ui, add);
    });
}

/// Points that such a thing is wide at the most.
fn widest(ctx: &Context) -> f32 {
    (ctx.content_rect().width() - 32.0).min(640.0)
}

fn tasks_ui(studio: &mut Studio, ui: &mut Ui) {
    if studio.state.hides(Piece::Tasks) {
        return;
    }
    let held = studio.state.held();
    ui.add_enabled_ui(!held, |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for row in &tasks::ALL {
            let button = Button::new(row.title).selected(studio.state.task == row.task);
            if explained(ui.add(button), "", Some(WAIT)).clicked() {
                studio.show_task(row.task);
            }
        }
    });
}

fn device_ui(studio: &Studio, ui: &mut Ui) {
    let Some(info) = &studio.state.device else {
        return drop(ui.weak("Looking for a device…"));
    };
    let badge = RichText::new(format::device(info)).weak();
    ui.add(Label::new(badge).truncate()).on_hover_text(&info.why);
}

fn present_ui(studio: &mut Studio, ui: &mut Ui) {
    commands::PRESENT.ui(studio, ui);
}

fn tour_ui(studio: &mut Studio, ui: &mut Ui) {
    let button = Button::new(commands::TOUR.name).selected(studio.tour.at.is_some());
    commands::TOUR.button_ui(button, studio, ui);
}

fn share_ui(studio: &mut Studio, ui: &mut Ui) {
    let hint = if studio.host.address.is_empty() {
        "Copies the request: add it to the page's address, or give it to salun unlearn"
    } else {
        "Copies a link to this request"
    };
    // A link holds one request, and no weights that others made.
    let later = studio.state.session().opened.as_ref().is_some_and(|o| !o.after.is_empty());
    let why = "A link holds a single request; Export, Run folders, keeps the ones before it, too";
    if button_ui(ui, Button::new("Share"), hint, later.then_some(why)) {
        ui.copy_text(studio.share());
        let done = if studio.host.address.is_empty() { "Request copied" } else { "Link copied" };
        note(studio, done, ui);
    }
}

/// Says for a while what was just done.
pub fn note(studio: &mut Studio, done: &'static str, ui: &Ui) {
    studio.notice = Some((done, ui.input(|i| i.time) + NOTICE));
}

/// A button that opens a file by the host's own dialog, or by its path.
fn open_ui(studio: &mut Studio, ui: &mut Ui) {
    let Some(ask) = &studio.host.ask_file else {
        #[cfg(not(target_arch = "wasm32"))]
        menu_ui(studio, ui);
        return;
    };
    let hint = "Opens a weights file (.safetensors or .pth); or drop one here";
    if button_ui(ui, Button::new("Open…"), hint, studio.state.waits()) {
        ask();
    }
}

/// A window's way to open something: a menu, because a desktop's dialog shows either files or folders.
#[cfg(not(target_arch = "wasm32"))]
fn menu_ui(studio: &mut Studio, ui: &mut Ui) {
    ui.add_enabled_ui(!studio.state.held(), |ui| {
        let menu = ui.menu_button("Open…", |ui| {
            for (ask, name, hint) in [
                (Ask::File, "Weights file…", ".safetensors, .pth, .pt or .ckpt"),
                (Ask::Folder, "Folder…", "The folder of a text-to-image model, or of a table"),
            ] {
                if ui.button(name).on_hover_text(hint).clicked() {
                    studio.ask(ask, ui.ctx());
                }
            }
            commands::COMPARE.ui(studio, ui);
        });
        let hint = "Opens a weights file, a model's folder or a table's; or drop one on the window";
        explained(menu.response, hint, Some(WAIT));
    });
}

/// A switch for those whom motion disturbs.
fn calm_ui(studio: &mut Studio, ui: &mut Ui) {
    let switch = ui.checkbox(&mut studio.host.calm, "Reduce motion");
    if switch.on_hover_text("Nothing slides or fades").changed() {
        theme::set_calm(ui.ctx(), studio.host.calm);
    }
}

fn theme_ui(ui: &mut Ui) {
    let (name, other) =
        if ui.visuals().dark_mode { ("Light", Theme::Light) } else { ("Dark", Theme::Dark) };
    if ui.button(name).on_hover_text("Switch between light and dark").clicked() {
        ui.ctx().set_theme(other);
    }
}

fn help_ui(studio: &mut Studio, ui: &mut Ui) {
    let button = ui.button("?").on_hover_text("Keyboard shortcuts, and less motion");
    let popup = Popup::from_toggle_button_response(&button);
    popup.close_behavior(PopupCloseBehavior::CloseOnClickOutside).show(|ui| {
        calm_ui(studio, ui);
        ui.separator();
        egui::Grid::new("shortcuts").num_columns(2).spacing([16.0, 4.0]).show(ui, |ui| {
            let shown = commands::ALL.iter().filter(|command| !command.hidden(studio));
            for [keys, does] in shown.map(commands::Command::help) {
                ui.monospace(keys);
                ui.label(does);
                ui.end_row();
            }
        });
    });
}
