//! A whole table of runs as its folder tells it: means, gaps to Retrain, best and worst marked.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, TryRecvError},
};

use egui::{Grid, TextEdit};

use crate::eval::Spread;
use crate::studio::prelude::*;
use crate::studio::wake;
use crate::table::{Compared, Line, Mark, Summary, Value, folder};

/// The view's row.
pub static VIEW: View = View {
    name: "Table",
    hint: "A whole table of runs, from its folder",
    key: Key::T,
    tasks: &Task::ALL,
    draw: table_ui,
};

/// The folder that was asked for, and what is in it.
#[derive(Default)]
pub struct Tables {
    path: String,
    open: Option<Result<Summary, String>>,
    /// What is being read.
    reading: Option<Receiver<Result<Summary, String>>>,
}

impl Tables {
    /// Opens a table's folder, which is read beside the frame.
    pub fn open(&mut self, path: PathBuf, ctx: &Context) {
        self.path = path.to_string_lossy().into_owned();
        let (tell, told) = mpsc::channel();
        let wake = wake(ctx);
        std::thread::spawn(move || {
            // The window may be closed by now.
            let _ = tell.send(read(&path));
            wake();
        });
        self.reading = Some(told);
    }
}

fn read(path: &Path) -> Result<Summary, String> {
    if path.as_os_str().is_empty() {
        return Err("Write the folder of a table first".into());
    }
    if !path.exists() {
        return Err(format!("{}: no such folder", path.display()));
    }
    if !path.is_dir() {
        return Err(format!("{} is a file, and a folder is needed", path.display()));
    }
    folder::summary(path).map_err(|e| e.to_string())
}

fn table_ui(studio: &mut Studio, ui: &mut Ui) {
    let tables = studio.own.of::<Tables>();
    ui.horizontal(|ui| {
        let label = ui.label("Folder");
        let width = (ui.available_width() - 70.0).max(80.0);
        let edit = TextEdit::singleline(&mut tables.path)
            .desired_width(width)
            .hint_text("salun-tables/table1");
        let response = ui.add(edit).labelled_by(label.id);
        let entered = response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
        if ui.button("Open").clicked() || entered {
            tables.open(PathBuf::from(tables.path.trim()), ui.ctx());
        }
    });
    ui.add_space(6.0);
    match tables.reading.as_ref().map(|told| told.try_recv()) {
        Some(Ok(read)) => (tables.open, tables.reading) = (Some(read), None),
        Some(Err(TryRecvError::Disconnected)) => {
            let why = "The folder could not be read".to_string();
            (tables.open, tables.reading) = (Some(Err(why)), None);
        }
        Some(Err(TryRecvError::Empty)) => drop(ui.weak("Reading…")),
        None => {}
    }
    match &tables.open {
        None => {
            ui.weak("Make a table with salun table table1 --out DIR, then open DIR here, or drop it on the window");
        }
        Some(Err(error)) => drop(ui.colored_label(theme::palette(ui).bad, error)),
        Some(Ok(summary)) => {
            let area = ScrollArea::both().id_salt("table").auto_shrink(false);
            area.show(ui, |ui| summary_ui(summary, ui));
        }
    }
}

fn summary_ui(summary: &Summary, ui: &mut Ui) {
    ui.heading(&summary.title);
    fact_ui(ui, &summary.conditions);
    let devices: Vec<&str> = summary.devices.iter().map(|d| d.name.as_str()).collect();
    let [done, all, failed] = [summary.done, summary.all, summary.failed].map(format::count);
    let (seeds, devices) = (summary.seeds.len(), devices.join(", "));
    let protocol = format::protocol(&summary.protocol);
    let runs = format!("{done} of {all} runs, {failed} failed");
    fact_ui(ui, format!("{runs}; {seeds} seeds; {devices}; {protocol}"));
    for group in &summary.groups {
        ui.add_space(8.0);
        group_ui(summary, group, ui);
    }
    for note in &summary.notes {
        ui.add(Label::new(note).wrap());
    }
}

fn group_ui(summary: &Summary, group: &Compared, ui: &mut Ui) {
    let palette = theme::palette(ui);
    ui.label(RichText::new(&group.title).strong());
    Grid::new(("table", &group.title)).striped(true).spacing([14.0, 3.0]).show(ui, |ui| {
        let heads = ["Row"].into_iter().chain(summary.columns.iter().map(String::as_str));
        heads_ui(ui, heads.chain(["Avg gap", "RTE, s", "Against random"]));
        for line in &group.rows {
            line_ui(line, palette, ui);
            ui.end_row();
        }
    });
}

fn line_ui(line: &Line, palette: &Palette, ui: &mut Ui) {
    let label = ui.label(&line.label);
    label.on_hover_ui(|ui| {
        ui.label(format!("{}, mask {}", format::method(&line.method), line.mask));
        if !line.settings.is_empty() {
            ui.label(&line.settings);
        }
        for failed in &line.failed {
            ui.colored_label(palette.bad, failed);
        }
    });
    for value in line.values.iter().chain([&line.average, &line.seconds]) {
        value_ui(value, palette, ui);
    }
    let Some(versus) = &line.control else { return drop(ui.label("")) };
    let (word, color) = match versus.beats() {
        Some(true) => ("closer", palette.good),
        Some(false) => ("further", palette.bad),
        None => ("no difference", palette.weak),
    };
    let interval = versus.interval.map(|[low, high]| format!(" [{low:.2}, {high:.2}]"));
    let text = format!("{word} by {:.2}{}", versus.closer_by, interval.unwrap_or_default());
    ui.colored_label(color, text).on_hover_text(format!(
        "Average gap of {} less this row's, with a 95 % interval; {} pairs",
        versus.control, versus.n
    ));
}

/// A mean with its spread, the gap behind it; the best and the worst in colour and in words.
fn value_ui(value: &Value, palette: &Palette, ui: &mut Ui) {
    let Some(stat) = value.stat else {
        return drop(ui.weak("–"));
    };
    let gap = value.gap.map_or(String::new(), |g| format!(" ({:.2})", g.mean));
    let (word, color) = match value.mark {
        Some(Mark::Best) => (", best", palette.good),
        Some(Mark::Worst) => (", worst", palette.bad),
        None => ("", palette.text),
    };
    ui.label(RichText::new(format!("{}{gap}{word}", spread(stat))).color(color));
}

fn spread(stat: Spread) -> String {
    match stat.sd {
        Some(sd) => format!("{:.2} ± {sd:.2}", stat.mean),
        None => format!("{:.2}", stat.mean),
    }
}
