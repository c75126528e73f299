//! The application: state, textures, and the order of the panels.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use egui::{CentralPanel, Margin, UiBuilder};

use super::frames::Frames;
use super::keeper::{Keeper, SaveHook};
use super::leave::Leave;
use super::narrow::{NARROW, narrow_ui};
use super::own::Own;
use super::prelude::*;
use super::saver::{SaveItem, Saver};
use super::tour::Tour;
use super::views::View;
use super::{
    Backend, Given, Recalled, Spot, commands, forget_panel, leave, lesson, mine, present, prompt,
    saliency_panel, saver, timeline, top_bar, tour, views, wake,
};
use crate::run::Link;
use crate::words::Piece;

/// Height of the line at the bottom, in points.
const STATUS: f32 = 34.0;

/// Hears of a link's query.
pub type LinkHook = Box<dyn Fn(&str)>;

/// What is around the studio: a window's or a page's own ways.
#[derive(Default)]
pub struct Host {
    /// What a link begins with: the page's address; empty where there is no page.
    pub address: String,
    /// Told of the request whenever it changes, as a link's query.
    pub on_link: Option<LinkHook>,
    /// Asks for a weights file, which then comes through `files`.
    pub ask_file: Option<Box<dyn Fn()>>,
    /// Weights files that were given: name and content.
    pub files: Option<mpsc::Receiver<(String, Arc<[u8]>)>>,
    /// Pictures that were given.
    pub pictures: Option<mpsc::Receiver<Given>>,
    /// Asks for pictures of a camera, which then come through `pictures`.
    pub ask_camera: Option<Box<dyn Fn()>>,
    /// Told whenever there comes to be something to lose, or nothing any more.
    pub on_unsaved: Option<Box<dyn Fn(bool)>>,
    /// The desktop's own dialog for files and folders.
    #[cfg(not(target_arch = "wasm32"))]
    pub dialog: Option<super::dialog::Native>,
    /// What a page's browser tells of an earlier sitting.
    pub memory: Option<mpsc::Receiver<Recalled>>,
    /// Whether the studio is part of another page and leaves its top bar out.
    pub embedded: bool,
    /// The code of the language that the person speaks, where it is known.
    pub language: Option<String>,
    /// Whether nothing is to move by itself, as the platform says.
    pub calm: bool,
    /// The device that a window before this one drew on until it was lost.
    pub lost: Option<String>,
}

/// The studio: an [`eframe::App`], and drawable in any [`egui::Ui`] for tests.
pub struct Studio {
    pub state: State,
    /// What the centre shows.
    pub view: &'static View,
    /// How long the latest frames took.
    pub frames: Frames,
    pub(super) saver: Saver,
    /// What panels and views keep for themselves.
    pub(super) own: Own,
    pub(super) tour: Tour,
    pub(super) host: Host,
    /// Where the top bar ends, in points; messages hang there.
    pub(super) bar_end: f32,
    /// What was just done, and until when that is said, in seconds of the window's clock.
    pub(super) notice: Option<(&'static str, f64)>,
    pub(super) leave: Leave,
    /// Whether what earlier sittings left is not asked about again.
    pub(super) later: bool,
    /// What the host was told of work that is not saved.
    unsaved: bool,
    /// The link that the host knows.
    link: String,
}

impl Studio {
    /// A studio that opens the model of the first tab at once.
    pub fn new(backend: Box<dyn Backend>, on_save: SaveHook) -> Self {
        Self::kept(backend, Arc::new(on_save))
    }

    /// The same, with one who also keeps what was not saved.
    pub fn kept(backend: Box<dyn Backend>, keeper: Arc<dyn Keeper>) -> Self {
        Self::on(tasks::ALL[0].task, backend, keeper)
    }

    /// A studio that opens the model of a task at once.
    pub fn on(task: Task, backend: Box<dyn Backend>, keeper: Arc<dyn Keeper>) -> Self {
        let mut state = State::new(backend, task);
        state.keeper = Some(keeper.clone());
        Self {
            state,
            view: &views::compare::VIEW,
            frames: Frames::default(),
            saver: Saver::new(keeper),
            own: Own::default(),
            tour: Tour::default(),
            host: Host::default(),
            bar_end: 0.0,
            notice: None,
            leave: Leave::default(),
            later: false,
            unsaved: false,
            link: String::new(),
        }
    }

    /// The studio in its surroundings, with what a link asks for.
    pub fn in_host(mut self, host: Host, link: &str) -> Self {
        self.host = host;
        if !link.is_empty() {
            self.follow(link);
        }
        self
    }

    /// Shows a task; whoever comes to a field of words writes next.
    pub(super) fn show_task(&mut self, task: Task) {
        self.state.switch(task);
        self.own.of::<prompt::Draft>().comes = true;
    }

    /// Takes over what a link asks for, or says what is wrong with it.
    pub fn follow(&mut self, link: &str) {
        let followed = Link::parse(link).and_then(|link| lesson::follow(self, link));
        self.state.tell(followed);
    }

    /// The request as a link that others can open.
    pub fn share(&self) -> String {
        format!("{}?{}", self.host.address, lesson::link(self).query())
    }

    /// Whether nothing moves by itself.
    pub fn is_calm(&self) -> bool {
        self.host.calm
    }

    /// Takes in news and draws a frame.
    pub fn show(&mut self, ui: &mut Ui) {
        // The first frame: it is set there and nowhere else.
        if self.saver.wake.is_none() {
            theme::install(ui.ctx());
            theme::set_calm(ui.ctx(), self.host.calm);
            let wake = wake(ui.ctx());
            self.saver.wake = Some(wake.clone());
            let come = wake.clone();
            crate::assets::listen(move || come());
            self.state.backend.wake(wake);
        }
        self.take_news(ui.ctx());
        lesson::attend(self, ui.ctx());
        #[cfg(not(target_arch = "wasm32"))]
        super::letters::Letters::show(&mut self.own, &self.state, ui.ctx());
        leave::handle(self, ui.ctx());
        commands::handle_keys(self, ui.ctx());
        if !ui.input(|i| i.pointer.any_down()) {
            self.state.settle();
        }

        present::zoom(self, ui.ctx());
        if self.presents() {
            present::present_ui(self, ui);
        } else if ui.available_width() < NARROW {
            narrow_ui(self, ui);
        } else {
            self.wide_ui(ui);
        }
        top_bar::messages_ui(self, ui.ctx(), theme::palette(ui));
        leave::left_ui(self, ui.ctx(), theme::palette(ui));
        lesson::ring_ui(self, ui.ctx(), theme::palette(ui));
        tour::tour_ui(self, ui.ctx(), theme::palette(ui));
        #[cfg(not(target_arch = "wasm32"))]
        self.dialog_ui(ui.ctx());
        leave::leave_ui(self, ui.ctx());
        self.frames.overlay_ui(ui.ctx());
    }

    /// The bar on top.
    pub(super) fn bar_ui(&mut self, ui: &mut Ui, frame: Frame, bar_ui: fn(&mut Self, &mut Ui)) {
        self.bar_end = ui.available_rect_before_wrap().top();
        if !self.host.embedded {
            let bar = Panel::top("top bar").frame(frame).show(ui, |ui| bar_ui(self, ui));
            self.bar_end = bar.response.rect.bottom();
        }
        if let Some(lesson) = lesson::bar_ui(self, ui, frame) {
            self.bar_end = lesson.bottom();
        }
    }

    /// The line at the bottom: what is being done, and how far it is.
    pub(super) fn status_ui(&mut self, ui: &mut Ui, frame: Frame) {
        let line = Panel::bottom("status").frame(frame).exact_size(STATUS);
        line.show(ui, |ui| self.part_ui("status", ui, timeline::status_ui));
    }

    /// Draws what is in a panel under names of its own: what has the focus in it keeps that when a panel beside it
    /// comes or goes.
    pub(super) fn part_ui(&mut self, name: &str, ui: &mut Ui, draw: fn(&mut Self, &mut Ui)) {
        let part = UiBuilder::new().scope_id(Id::unique(("part", name)));
        ui.scope_builder(part, |ui| draw(self, ui));
    }

    /// Whether a panel has something to show, because of what was picked or asked for: what has not takes no room,
    /// unless the tour speaks of it.
    pub(super) fn has_panel(&self, spot: Spot) -> bool {
        let session = self.state.session();
        let there = match spot {
            Spot::Saliency => session.what.is_some(),
            Spot::Verdict => session.under_way(),
            _ => true,
        };
        let pieces = match spot {
            Spot::Saliency => [Piece::Saliency].as_slice(),
            Spot::Verdict => &[Piece::Timeline, Piece::Verdict],
            _ => &[],
        };
        let left_out = !pieces.is_empty() && pieces.iter().all(|piece| self.state.hides(*piece));
        !left_out && (there || self.tour.is_at(spot) || lesson::is_at(self, spot))
    }

    /// Everything side by side.
    fn wide_ui(&mut self, ui: &mut Ui) {
        let margin = |x, y| Frame::side_top_panel(ui.style()).inner_margin(Margin::symmetric(x, y));
        let (bar, line, side) = (margin(12, 8), margin(12, 3), margin(12, 10));
        let whole = ui.available_size();
        self.bar_ui(ui, bar, top_bar::top_bar_ui);
        self.status_ui(ui, line);
        if self.has_panel(Spot::Saliency) {
            Panel::right("saliency")
                .frame(side)
                .default_size((whole.x * 0.21).clamp(240.0, 340.0))
                .size_range(220.0..=480.0)
                .show(ui, |ui| {
                    ui.take_available_width();
                    self.part_ui("saliency", ui, saliency_panel::saliency_ui);
                });
        }
        if self.has_panel(Spot::Verdict) {
            Panel::bottom("timeline")
                .frame(bar)
                .resizable(true)
                .default_size((whole.y * 0.3).clamp(180.0, 320.0))
                .size_range(120.0..=420.0)
                .show(ui, |ui| self.part_ui("timeline", ui, timeline::timeline_ui));
        }
        let left = Panel::left("forget").frame(side);
        let width = (whole.x * 0.19).clamp(232.0, 320.0);
        left.default_size(width).size_range(216.0..=400.0).show(ui, |ui| {
            ui.take_available_width();
            self.part_ui("forget", ui, forget_panel::forget_ui);
        });
        CentralPanel::no_frame()
            .frame(side.fill(theme::palette(ui).canvas))
            .show(ui, |ui| self.part_ui("centre", ui, views::centre_ui));
    }

    /// Saves every finished run of the shown task.
    pub fn save(&mut self) {
        if !self.saver.busy() {
            let runs = self.state.finished().map(|(_, run)| SaveItem::Run(run.clone())).collect();
            self.saver.save(runs);
        }
    }

    fn take_news(&mut self, ctx: &Context) {
        self.state.poll();
        self.take_files(ctx);
        if let Some(tell) = &self.host.on_link {
            let link = lesson::link(self).query();
            if link != self.link {
                tell(&link);
                self.link = link;
            }
        }
        self.take_fresh();
        for (name, made) in std::mem::take(&mut self.state.made) {
            let bytes = move || Ok(made.bytes.clone());
            self.saver.save(vec![SaveItem::File(name, Arc::new(bytes))]);
        }
        while let Some(saved) = self.saver.poll() {
            self.state.note_saved(saved.run.as_ref(), saved.place);
            if let Some(recipe) = &saved.run {
                let remembered = self.saver.remember_page(&self.state, recipe);
                self.state.tell(remembered);
            }
            if let Some(told) = saver::told(&self.saver.places) {
                self.state.ended = told;
            }
        }
        let told = std::mem::take(&mut self.saver.recalled).into_iter();
        let told = told.chain(self.host.memory.iter().flat_map(|memory| memory.try_iter()));
        told.collect::<Vec<_>>().into_iter().for_each(|recalled| self.recalled(recalled));
        let unsaved = self.saver.unsaved() > 0 || self.state.held();
        if let Some(tell) = self.host.on_unsaved.as_ref().filter(|_| unsaved != self.unsaved) {
            tell(unsaved);
            self.unsaved = unsaved;
        }
        // What comes wakes the window by itself; how long the work takes is told by the second.
        if self.state.work.is_some() {
            ctx.request_repaint_after(Duration::from_secs(1));
        }
    }

    /// Opens a weights file, a model's folder or a table's.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn open_path(&mut self, path: &std::path::Path, ctx: &Context) {
        let other = path.is_dir() && !crate::models::registry::is_latent(&path.to_string_lossy());
        if other && !path.join("table.json").is_file() && self.state.take_pictures(path) {
            return;
        }
        if other {
            self.own.of::<views::table::Tables>().open(path.into(), ctx);
            self.view = &views::table::VIEW;
        } else {
            self.state.import(path.to_string_lossy().into_owned(), None);
        }
    }

    /// Opens weights files that were dropped or asked for, and takes pictures in.
    fn take_files(&mut self, ctx: &Context) {
        #[cfg(not(target_arch = "wasm32"))]
        for file in ctx.input(|i| i.raw.dropped_files.clone()) {
            let path = file.path();
            if is_picture(path) {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                mine::take(self, (name.into_owned(), crate::data::read_picture(path)));
            } else {
                self.open_path(path, ctx);
            }
        }
        // A page hands over what was dropped on it by itself.
        #[cfg(target_arch = "wasm32")]
        let _ = ctx;
        let given: Vec<_> = self.host.files.iter().flat_map(|files| files.try_iter()).collect();
        for (name, bytes) in given {
            self.state.import(name, Some(bytes));
        }
        let given: Vec<_> = self.host.pictures.iter().flat_map(|all| all.try_iter()).collect();
        given.into_iter().for_each(|picture| mine::take(self, picture));
    }

    /// Takes the window's device, and keeps the window no wider or taller than that can draw.
    #[cfg(not(target_arch = "wasm32"))]
    fn keep_within(&mut self, ui: &Ui, frame: &eframe::Frame) {
        let strips = &mut self.own.of::<super::heat::HeatMap>().strips;
        if strips.window.is_none() {
            strips.window = frame.wgpu_render_state().cloned();
            if let Some(window) = &strips.window {
                let most = window.device.limits().max_texture_dimension_2d as f32;
                let most = Vec2::splat(most / ui.pixels_per_point());
                ui.send_viewport_cmd(egui::ViewportCommand::MaxInnerSize(most));
            }
        }
    }
}

/// Whether a file is a picture, by its name.
#[cfg(not(target_arch = "wasm32"))]
fn is_picture(path: &std::path::Path) -> bool {
    let end = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    ["png", "jpg", "jpeg", "webp", "gif", "bmp"].contains(&end.as_str())
}

impl eframe::App for Studio {
    fn ui(&mut self, ui: &mut Ui, frame: &mut eframe::Frame) {
        if let Some(seconds) = frame.info().cpu_usage {
            self.frames.push(seconds);
        }
        #[cfg(not(target_arch = "wasm32"))]
        self.keep_within(ui, frame);
        self.show(ui);
    }

    #[cfg(target_arch = "wasm32")]
    fn as_any_mut(&mut self) -> Option<&mut dyn std::any::Any> {
        Some(self)
    }
}
