//! The application: state, textures, and the order of the panels.

use std::time::Duration;

use egui::{CentralPanel, Frame, Margin, Panel};

use super::{
    Backend, compare, compare::Comparison, forget_panel, frames::Frames, heat::HeatMap, keys,
    saliency_panel, saver::SaveHook, saver::Saver, state::State, theme, timeline, top_bar,
};

/// The studio: an [`eframe::App`], and drawable in any [`egui::Ui`] for tests.
pub struct Studio {
    pub state: State,
    pub(super) saver: Saver,
    pub(super) comparison: Comparison,
    pub(super) heat: HeatMap,
    /// How long the latest frames took.
    pub frames: Frames,
    /// Whether the saliency panel lists biases and norms, too.
    pub(super) show_small: bool,
    themed: bool,
}

impl Studio {
    /// A studio that opens the diffusion model at once.
    pub fn new(backend: Box<dyn Backend>, on_save: SaveHook) -> Self {
        Self {
            state: State::new(backend),
            saver: Saver::new(on_save),
            comparison: Comparison::default(),
            heat: HeatMap::default(),
            frames: Frames::default(),
            show_small: false,
            themed: false,
        }
    }

    /// Takes in news and draws a frame.
    pub fn show(&mut self, ui: &mut egui::Ui) {
        if !std::mem::replace(&mut self.themed, true) {
            theme::install(ui.ctx());
        }
        self.take_news(ui.ctx());
        keys::handle(self, ui.ctx());
        if !ui.input(|i| i.pointer.any_down()) {
            self.state.settle();
        }

        let margin = |x, y| Frame::side_top_panel(ui.style()).inner_margin(Margin::symmetric(x, y));
        let (bar, side) = (margin(12, 8), margin(12, 10));
        let whole = ui.available_size();
        Panel::top("top bar").frame(bar).show(ui, |ui| top_bar::top_bar_ui(self, ui));
        if self.state.error.is_some() {
            Panel::top("error").frame(bar).show(ui, |ui| top_bar::error_ui(self, ui));
        }
        Panel::right("saliency")
            .frame(side)
            .default_size((whole.x * 0.24).clamp(256.0, 320.0))
            .size_range(240.0..=480.0)
            .show(ui, |ui| {
                ui.take_available_width();
                saliency_panel::saliency_ui(self, ui);
            });
        Panel::bottom("timeline")
            .frame(bar)
            .resizable(true)
            .default_size((whole.y * 0.33).clamp(210.0, 300.0))
            .size_range(150.0..=420.0)
            .show(ui, |ui| timeline::timeline_ui(self, ui));
        Panel::left("forget").frame(side).default_size(232.0).size_range(216.0..=320.0).show(
            ui,
            |ui| {
                ui.take_available_width();
                forget_panel::forget_ui(self, ui);
            },
        );
        CentralPanel::no_frame()
            .frame(side.fill(theme::palette(ui).canvas))
            .show(ui, |ui| compare::compare_ui(self, ui));
        self.frames.overlay_ui(ui.ctx());
    }

    /// Saves every finished run of the shown task.
    pub fn save(&mut self) {
        if !self.saver.busy() {
            let runs = self.state.finished().map(|(arm, run)| (arm, run.clone())).collect();
            self.saver.save(runs);
        }
    }

    fn take_news(&mut self, ctx: &egui::Context) {
        self.state.poll();
        while let Some(saved) = self.saver.poll() {
            self.state.note_saved(saved.arm, &saved.run, saved.place);
        }
        let again = if self.state.work.is_some() || self.saver.busy() {
            Duration::from_millis(50)
        } else if self.state.device.is_none() {
            Duration::from_millis(200)
        } else {
            return;
        };
        ctx.request_repaint_after(again);
    }
}

impl eframe::App for Studio {
    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        if let Some(seconds) = frame.info().cpu_usage {
            self.frames.push(seconds);
        }
        self.show(ui);
    }
}
