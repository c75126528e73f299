//! The rows of the task's recorded table, behind a person's own runs.

use std::sync::Arc;

use super::labels::Labels;
use super::{DOT, Mark};
use crate::eval::{Evidence, Place};
use crate::studio::prelude::*;
use crate::studio::{key_ui, recorded};
use crate::table::{Compared, Line, ORIGINAL, RETRAIN, Summary, places};
use crate::words::{ForgetKind, Metrics};

/// Height of what is said of the table below the runs, in points.
pub const HEIGHT: f32 = 130.0;
/// From here on a row is far off the others, in percent points.
const FAR: f64 = 30.0;
/// Radius of a recorded row's point, in points.
const SMALL: f32 = 4.0;

/// The recorded rows, and where they stand.
pub struct Backdrop {
    summary: Option<&'static Arc<Summary>>,
    task: Task,
}

impl Backdrop {
    /// The table of a session's task, if it is there.
    pub fn of(session: &TaskState) -> Self {
        let table = recorded::table(tasks::of(session.task).table);
        Self { summary: table.ok().flatten(), task: session.task }
    }

    fn group(&self) -> Option<(&'static Summary, &'static Compared)> {
        let summary: &'static Summary = self.summary?;
        Some((summary, summary.groups.first()?))
    }

    fn rows(&self) -> Vec<(&'static Line, Place)> {
        let rows = self.group().map(|(summary, group)| places(summary, group, self.task));
        let mut rows = rows.unwrap_or_default();
        // It is far off the others.
        rows.retain(|(line, _)| line.method != ORIGINAL);
        rows
    }

    /// Where its rows stand, but for those that are far off the others.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        let near = |place: &Place| place.left.max(place.damage) <= FAR;
        self.rows().into_iter().map(|(_, place)| place).filter(near)
    }

    /// How far a run may be from the origin and count as forgotten.
    pub fn allowed(&self) -> Option<Place> {
        let (_, group) = self.group()?;
        let set = ForgetKind::of(group.forgets.first()?)?;
        let (none, task) = (Metrics::default(), self.task);
        let (audit, attacks, earlier) = (None, [].as_slice(), [].as_slice());
        let (before, after, retrain) = (&none, &none, None);
        let of = Evidence { task, set, before, after, retrain, audit, attacks, earlier };
        let [left, damage] = of.limits();
        Some(Place { left, damage })
    }

    /// What it is, in a line.
    pub fn told(&self) -> Option<String> {
        let (summary, group) = self.group()?;
        let n = self.rows().len();
        Some(format!("{n} recorded rows, {}: {}", summary.title.to_lowercase(), group.title))
    }

    /// Draws its points, with their names where they are `alone`.
    pub fn draw(&self, labels: &mut Labels, alone: bool, ui: &Ui) {
        let (chart, palette) = (labels.chart, theme::palette(ui));
        let is_in =
            |place: &Place| chart.rect.expand(1.0).contains(chart.at(place.left, place.damage));
        // What is off the map lies at its edge.
        let at = |place: &Place| chart.rect.clamp(chart.at(place.left, place.damage));
        let mut rows = self.rows();
        // A person's own runs say how far the map goes.
        rows.retain(|(_, place)| alone || is_in(place));
        for (line, place) in &rows {
            let control = line.control.as_ref().map(|versus| &versus.control);
            let control =
                control.and_then(|name| rows.iter().find(|(line, _)| line.label == *name));
            if let Some((_, control)) = control {
                let stroke = Stroke::new(1.0, palette.border);
                let ends = [at(place), at(control)];
                chart.painter.extend(Shape::dashed_line(&ends, stroke, 3.0, 3.0));
            }
        }
        for (line, place) in &rows {
            kind(line).draw(&chart.painter, at(place), palette);
            labels.avoid(at(place));
            self.point_ui(line, place, at(place), ui);
        }
        // Those without a control first: the field knows their names.
        for (line, place) in rows.iter().filter(|_| alone) {
            let color = if kind(line) == Kind::Method { palette.text } else { palette.weak };
            let name = match is_in(place) {
                true => line.label.clone(),
                false if place.left > place.damage => format!("{}: {:.0}", line.label, place.left),
                false => format!("{}: {:.0}", line.label, place.damage),
            };
            labels.put(at(place), &name, color);
        }
    }

    /// What the hand on a point is told.
    fn point_ui(&self, line: &Line, place: &Place, at: Pos2, ui: &Ui) {
        let Some((summary, group)) = self.group() else { return };
        let id = ui.scope_id().with(("recorded", &summary.name, &line.label, line.at()));
        let grip = Rect::from_center_size(at, Vec2::splat(3.0 * DOT));
        let response = ui.interact(grip, id, Sense::hover());
        let told =
            format!("Recorded, {}: {:.1} left, {:.1} lost", line.label, place.left, place.damage);
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &told));
        response.on_hover_ui(|ui| {
            ui.label(RichText::new(&line.label).strong());
            ui.label(numbers(summary, line));
            ui.weak(rests_on(summary, group));
        });
    }
}

/// What a recorded row is on the map.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Method,
    Control,
    Retrain,
}

fn kind(line: &Line) -> Kind {
    match &*line.method {
        RETRAIN => Kind::Retrain,
        _ if line.mask == "random" => Kind::Control,
        _ => Kind::Method,
    }
}

impl Kind {
    fn draw(self, painter: &Painter, at: Pos2, palette: &Palette) {
        match self {
            Self::Method => {
                let stroke = Stroke::new(1.5, palette.accent_text);
                painter.circle(at, SMALL, palette.canvas, stroke);
            }
            Self::Control => {
                let stroke = Stroke::new(1.5, palette.caution);
                painter.circle(at, SMALL - 1.0, palette.canvas, stroke);
            }
            Self::Retrain => Mark::Retrain.draw(painter, at, SMALL, palette),
        }
    }
}

/// Draws what the recorded points are.
pub fn keys_ui(session: &TaskState, ui: &mut Ui) {
    if Backdrop::of(session).summary.is_none() {
        return;
    }
    for (kind, name) in [(Kind::Method, "Recorded method"), (Kind::Control, "Its random mask")] {
        let palette = theme::palette(ui);
        key_ui(ui, name, |painter, at| kind.draw(painter, at, palette));
    }
}

/// Says what the recorded table is; whether it is to be shown.
pub fn about_ui(session: &TaskState, ui: &mut Ui) -> bool {
    let Some((summary, group)) = Backdrop::of(session).group() else { return false };
    ui.add_space(8.0);
    ui.heading("Recorded");
    ui.add(Label::new(format!("{}, {}", summary.title, format::lower(&group.title))).wrap());
    fact_ui(ui, rests_on(summary, group));
    ui.button("Show the table").on_hover_text("Every row with its numbers").clicked()
}

/// "UA 97.1   RA 99.2   TA 86.2".
fn numbers(summary: &Summary, line: &Line) -> String {
    let all = summary.columns.iter().zip(&line.values);
    let all = all.filter_map(|(name, value)| Some(format!("{name} {:.1}", value.mean()?)));
    all.collect::<Vec<_>>().join("   ")
}

/// What the numbers of a table rest on.
fn rests_on(summary: &Summary, group: &Compared) -> String {
    let sets: Vec<String> = group.forgets.iter().map(|spec| format::forget_set(spec)).collect();
    let devices: Vec<&str> = summary.devices.iter().map(|d| d.name.as_str()).collect();
    let seeds: Vec<String> = summary.seeds.iter().map(u64::to_string).collect();
    let [forgotten, kept, test] = group.n.map(format::count);
    let text = format!(
        "Forgot {} in turn; n = {forgotten}, {kept} and {test}; seed {}; {}",
        sets.join(", "),
        seeds.join(", "),
        devices.join(", ")
    );
    format::unbroken(&text)
}
