//! A whole table of runs: means, gaps to Retrain, best and worst marked; of those that come with the program, or as
//! its folder tells it.

#[cfg(not(target_arch = "wasm32"))]
mod folder;

use egui::Grid;

use crate::eval::Spread;
use crate::studio::prelude::*;
use crate::studio::recorded;
use crate::table::{Compared, Line, Mark, Summary, TABLES, Value};

/// The view's row.
pub static VIEW: View = View {
    name: "Table",
    hint: "Every method beside its control, over seeds",
    key: Key::T,
    tasks: &Task::ALL,
    draw: table_ui,
};

/// Width of the choice of a table, in points.
const CHOICE: f32 = 460.0;

/// Which table is shown: the task's own until another is chosen.
#[derive(Default)]
pub struct Tables {
    chosen: Option<&'static str>,
    /// A folder that was asked for, and what is in it.
    #[cfg(not(target_arch = "wasm32"))]
    folder: folder::Folder,
}

impl Tables {
    /// Shows a table that comes with the program.
    pub fn show(&mut self, name: &'static str) {
        self.chosen = Some(name);
    }

    /// Opens a table's folder, which is read beside the frame.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(&mut self, path: std::path::PathBuf, ctx: &Context) {
        self.folder.open(path, ctx);
    }
}

/// The title of a table.
fn title(name: &str) -> &'static str {
    TABLES.iter().find(|(known, _)| *known == name).map_or("", |(_, title)| title)
}

fn table_ui(studio: &mut Studio, ui: &mut Ui) {
    let of_task = tasks::of(studio.state.task).table;
    let tables = studio.own.of::<Tables>();
    let now = tables.chosen.unwrap_or(of_task);
    let mut shown = now;
    #[cfg(not(target_arch = "wasm32"))]
    let own = tables.folder.is_open();
    #[cfg(target_arch = "wasm32")]
    let own = false;
    ui.scope(|ui| {
        ui.set_max_width(CHOICE.min(ui.available_width()));
        choice_ui(ui, "Recorded", if own { "A folder's" } else { title(now) }, |ui| {
            for name in recorded::tables() {
                let entry = ui.selectable_label(name == now && !own, title(name));
                if entry.clicked() {
                    shown = name;
                    #[cfg(not(target_arch = "wasm32"))]
                    tables.folder.close();
                }
            }
        });
    });
    if shown != now {
        tables.show(shown);
    }
    #[cfg(not(target_arch = "wasm32"))]
    if tables.folder.ui(ui) {
        return;
    }
    ui.add_space(6.0);
    match recorded::table(now) {
        Ok(Some(summary)) => whole_ui(summary, true, ui),
        Ok(None) => drop(ui.weak("Fetching the table…")),
        Err(error) => drop(ui.colored_label(theme::palette(ui).bad, error.to_string())),
    }
}

/// Draws a table with what it rests on.
fn whole_ui(summary: &Summary, recorded: bool, ui: &mut Ui) {
    let width = ui.available_width();
    let area = ScrollArea::both().id_salt(("table", &summary.name)).auto_shrink(false);
    area.show(ui, |ui| summary_ui(summary, recorded, width, ui));
}

/// Draws a table; what is said of it is as wide as what is seen, however wide the numbers are.
fn summary_ui(summary: &Summary, recorded: bool, width: f32, ui: &mut Ui) {
    ui.scope(|ui| {
        ui.set_max_width(width);
        about_ui(summary, recorded, ui);
    });
    for group in &summary.groups {
        ui.add_space(8.0);
        group_ui(summary, group, ui);
    }
    ui.scope(|ui| {
        ui.set_max_width(width);
        for note in &summary.notes {
            ui.add(Label::new(note).wrap());
        }
    });
}

fn about_ui(summary: &Summary, recorded: bool, ui: &mut Ui) {
    ui.horizontal_wrapped(|ui| {
        ui.heading(&summary.title);
        if recorded {
            ui.weak("recorded with the program");
        }
    });
    fact_ui(ui, &summary.conditions);
    let devices: Vec<&str> = summary.devices.iter().map(|d| d.name.as_str()).collect();
    let [done, all, failed] = [summary.done, summary.all, summary.failed].map(format::count);
    let (seeds, devices) = (summary.seeds.len(), devices.join(", "));
    let protocol = format::protocol(&summary.protocol);
    let runs = format!("{done} of {all} runs, {failed} failed");
    fact_ui(ui, format!("{runs}; {seeds} seeds; {devices}; {protocol}"));
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
