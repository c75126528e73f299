//! The forget map: every finished run as a point, its random-mask control beside it; behind them the rows of the
//! task's recorded table.

mod backdrop;
mod labels;

use crate::eval::{Evidence, Place};
use crate::run::Page;
use crate::studio::prelude::*;
use crate::studio::{Chart, Entry, key_ui, round_up, verdict};
use crate::table::{Pair, map};
use backdrop::Backdrop;
use labels::Labels;

/// Radius of a point, in points.
pub const DOT: f32 = 6.0;
/// Radius that a point takes with the ring around a shown one.
const RING: f32 = DOT + 6.0;

/// The view's row.
pub static VIEW: View = View {
    name: "Forget map",
    hint: "Every finished run: what is left of the forgotten, what the rest lost",
    key: Key::M,
    tasks: &Task::ALL,
    draw: map_ui,
};

fn map_ui(studio: &mut Studio, ui: &mut Ui) {
    let session = studio.state.session();
    let space = ui.available_size();
    let wide = space.x > 620.0;
    let (mut chosen, mut table) = (None, false);
    let mut list = |ui: &mut Ui, chosen: &mut Option<usize>| {
        *chosen = list_ui(session, ui).or(*chosen);
        table = backdrop::about_ui(session, ui);
    };
    if wide {
        ui.horizontal_top(|ui| {
            let size = vec2((space.x * 0.62).floor(), space.y);
            ui.allocate_ui(size, |ui| {
                ui.vertical(|ui| chosen = whole_chart_ui(session, ui, size));
            });
            ui.vertical(|ui| list(ui, &mut chosen));
        });
    } else {
        let size = vec2(space.x, (space.y * 0.6).max(180.0));
        chosen = whole_chart_ui(session, ui, size);
        list(ui, &mut chosen);
    }
    if table {
        studio.view = &super::table::VIEW;
    }
    if let Some(number) = chosen {
        studio.state.recall(number);
    }
}

/// The map with what its marks mean and what its numbers rest on.
fn whole_chart_ui(session: &TaskState, ui: &mut Ui, size: Vec2) -> Option<usize> {
    let chosen = chart_ui(session, ui, size - vec2(0.0, 58.0));
    let report = shown(session).into_iter().filter_map(Entry::report).next_back();
    let named = report.map(|report| format::method(&report.method));
    let height = std::mem::replace(&mut ui.spacing_mut().interact_size.y, 14.0);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(10.0, 2.0);
        let own = [Mark::Run, Mark::Control];
        for mark in Mark::ALL.iter().filter(|mark| named.is_some() || !own.contains(mark)) {
            let palette = theme::palette(ui);
            let draw = |painter: &Painter, at| mark.draw(painter, at, DOT - 1.0, palette);
            key_ui(ui, mark.name(named.unwrap_or_default()), draw);
        }
        backdrop::keys_ui(session, ui);
    });
    ui.spacing_mut().interact_size.y = height;
    let Some(report) = report else { return chosen };
    let [forgotten, kept, test] = report.after.n.map(format::count);
    let text = format!(
        "{forgotten} forgotten, {kept} kept, {test} test pictures; seed {}; {}",
        report.seed, report.device.name
    );
    fact_ui(ui, format::unbroken(&text));
    chosen
}

/// What stands on the map.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mark {
    Run,
    Control,
    Retrain,
    Original,
    Goal,
}

impl Mark {
    const ALL: [Self; 5] = [Self::Run, Self::Control, Self::Retrain, Self::Original, Self::Goal];

    /// What it is; a run goes by its method.
    fn name(self, method: &str) -> &str {
        match self {
            Self::Run => method,
            Self::Control => "Random mask of equal size",
            Self::Retrain => "Retrain, the truth",
            Self::Original => "Before",
            Self::Goal => GOAL,
        }
    }

    fn draw(self, painter: &Painter, at: Pos2, radius: f32, palette: &Palette) {
        let square = Rect::from_center_size(at, Vec2::splat(2.0 * radius));
        match self {
            Self::Run => painter.circle_filled(at, radius, palette.accent_text),
            Self::Control => {
                let stroke = Stroke::new(2.0, palette.caution);
                painter.circle(at, radius - 1.0, palette.canvas, stroke)
            }
            Self::Retrain => painter.rect_filled(square, 1.0, palette.good),
            Self::Original => painter.circle_filled(at, radius - 1.0, palette.weak),
            Self::Goal => area(painter, square, palette),
        };
    }
}

/// What a run in the corner did.
const GOAL: &str = "Forgotten, the rest intact";

/// Fills where a run counts as forgotten.
fn area(painter: &Painter, rect: Rect, palette: &Palette) -> egui::layers::ShapeIdx {
    let stroke = Stroke::new(1.0, palette.good.gamma_multiply(0.6));
    painter.rect(rect, 0.0, palette.good.gamma_multiply(0.15), stroke, StrokeKind::Inside)
}

/// The runs on the map: those of the shown model and forget set, or all where nothing is picked.
fn shown(session: &TaskState) -> Vec<&Entry> {
    let spec = session.opened.as_deref().and_then(|o| session.spec(o));
    let fits = |e: &&Entry| {
        e.recipe.start() == session.model
            && spec.as_ref().is_none_or(|s| *s == e.recipe.forget)
            // What nobody judged stands nowhere.
            && e.report().is_none_or(|report| report.after.judged())
    };
    session.history.entries.iter().filter(fits).collect()
}

/// What draws the map as SVG and as PNG, away from the frame.
pub fn figure(session: &TaskState) -> impl Fn() -> Page + use<> {
    let of = |entry: &Entry| (title(entry), entry.reports.clone());
    let runs: Vec<_> = shown(session).into_iter().map(of).collect();
    move || {
        let pairs = runs.iter().filter_map(|(name, [run, control])| {
            Some(Pair { name: name.clone(), run: run.as_ref()?, control: control.as_ref() })
        });
        map::figure(&pairs.collect::<Vec<_>>())
    }
}

/// Draws the map; the run whose point was clicked.
pub fn chart_ui(session: &TaskState, ui: &mut Ui, size: Vec2) -> Option<usize> {
    let entries = shown(session);
    let reports = || entries.iter().filter_map(|e| e.report());
    let backdrop = Backdrop::of(session);
    let own = entries.iter().flat_map(|e| e.reports.iter().flatten()).map(Place::of);
    let mut places: Vec<Place> = own.collect();
    if places.is_empty() {
        places.extend(backdrop.places());
    }
    let most = |of: fn(&Place) -> f64| places.iter().map(of).fold(8.0, f64::max) * 1.1;
    let seen = reports().all(|r| Evidence::of(r).counts_seen());
    let left = match seen {
        true => ("still recognised, %", round_up(most(|p| p.left)).min(100.0)),
        false => ("UA below the aim, points", round_up(most(|p| p.left))),
    };
    let axes = [left, ("lost of the rest, points", round_up(most(|p| p.damage)))];
    let told = match (entries.len(), backdrop.told()) {
        (n, None) => format!("Forget map of {n} runs"),
        (0, Some(recorded)) => format!("Forget map: {recorded}"),
        (n, Some(recorded)) => format!("Forget map of {n} runs, and {recorded}"),
    };
    let chart = Chart::new(ui, size, axes, &told);
    let palette = theme::palette(ui);
    let mut labels = Labels::new(&chart, ui);
    let at = |place: Place| chart.at(place.left, place.damage);
    if let Some(allowed) = reports().next_back().map(Place::allowed).or(backdrop.allowed()) {
        let corner = Rect::from_two_pos(chart.at(0.0, 0.0), at(allowed)).intersect(chart.rect);
        area(&chart.painter, corner, palette);
        backdrop.draw(&mut labels, entries.is_empty(), ui);
        let clicked = runs_ui(session, &entries, &mut labels, ui);
        labels.put_at(corner, GOAL, palette.good);
        return clicked;
    }
    None
}

/// Draws the runs, and what they are held against; the one that was clicked.
fn runs_ui(session: &TaskState, entries: &[&Entry], labels: &mut Labels, ui: &Ui) -> Option<usize> {
    let (chart, palette) = (labels.chart, theme::palette(ui));
    let reports = || entries.iter().filter_map(|e| e.report());
    let references = [
        (Mark::Retrain, "Retrain", reports().find_map(Place::retrain), palette.good),
        (Mark::Original, "Before", reports().next_back().map(Place::before), palette.weak),
    ];
    let at = |place: Place| chart.at(place.left, place.damage);
    // The original is mostly far off the map.
    let references = references.into_iter().filter_map(|(mark, name, place, color)| {
        let at = place.map(at).filter(|at| chart.rect.expand(1.0).contains(*at))?;
        Some((mark, name, at, color))
    });
    let references: Vec<_> = references.collect();
    // All marks first: no name may lie on one.
    for (mark, _, at, _) in &references {
        mark.draw(&chart.painter, *at, DOT, palette);
        labels.avoid(*at);
    }
    entries.iter().for_each(|entry| labels.avoid_pair(points(entry).map(|p| p.map(at))));
    let mut clicked = None;
    for entry in entries {
        if points_ui(session, entry, labels, ui) {
            clicked = Some(entry.number);
        }
    }
    for (_, name, at, color) in references {
        labels.put(at, name, color);
    }
    clicked
}

/// Where a run and its control stand.
fn points(entry: &Entry) -> [Option<Place>; 2] {
    entry.reports.each_ref().map(|report| report.as_ref().map(Place::of))
}

/// Draws a run and its control; whether one of them was clicked.
fn points_ui(session: &TaskState, entry: &Entry, labels: &mut Labels, ui: &Ui) -> bool {
    let (chart, palette) = (labels.chart, theme::palette(ui));
    let at = |place: Place| (place, chart.at(place.left, place.damage));
    let places = points(entry).map(|place| place.map(at));
    if let [Some((_, method)), Some((_, control))] = places {
        let stroke = Stroke::new(1.0, palette.weak);
        chart.painter.extend(Shape::dashed_line(&[method, control], stroke, 3.0, 3.0));
    }
    let mut clicked = false;
    for arm in Arm::BOTH {
        let Some((place, at)) = places[arm as usize] else { continue };
        let is_shown = session.history.shown == Some(entry.number);
        let id = ui.scope_id().with(("run", session.task.name(), entry.number, arm as u8));
        let grip = Rect::from_center_size(at, Vec2::splat(4.0 * DOT));
        let response = ui.interact(grip, id, Sense::click());
        let name = match arm {
            Arm::Method => title(entry),
            Arm::Control => format!("Random mask of run {}", entry.number),
        };
        let told = format!(
            "Run {}, {name}: {:.1} left, {:.1} lost",
            entry.number, place.left, place.damage
        );
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_shown, &told));
        let painter = &chart.painter;
        let large = response.hovered() || response.has_focus() || is_shown;
        let radius = if large { DOT + 1.5 } else { DOT };
        let mark = if arm == Arm::Method { Mark::Run } else { Mark::Control };
        mark.draw(painter, at, radius, palette);
        if response.has_focus() || is_shown && arm == Arm::Method {
            painter.circle_stroke(at, radius + 3.0, Stroke::new(1.5, palette.strong));
        }
        match arm {
            Arm::Method => labels.put(at, &name, palette.text),
            Arm::Control => labels.put(at, "Random mask", palette.caution),
        }
        clicked |= response.clicked();
        response.on_hover_ui(|ui| {
            ui.label(RichText::new(format!("Run {}: {name}", entry.number)).strong());
            if let Some(report) = &entry.reports[arm as usize] {
                for clause in report.verdict.why.split("; ") {
                    ui.label(format::line(clause));
                }
                let protocol = format::protocol(&report.protocol);
                ui.weak(format!("Seed {}, {}, {protocol}", report.seed, report.device.name));
            }
            ui.weak("Click to see it again");
        });
    }
    clicked
}

/// "SalUn, 50 %".
fn title(entry: &Entry) -> String {
    let recipe = &entry.recipe;
    let mut title = format::method(&recipe.method).to_string();
    if let Some(mask) = recipe.mask {
        title += &format!(", {}", mask.name());
    }
    match entry.report().and_then(|r| r.mask.as_ref()) {
        Some(mask) => format!("{title}, {}", format::percent(mask.density)),
        None => title,
    }
}

/// Draws the runs as a list; the one that was clicked.
fn list_ui(session: &TaskState, ui: &mut Ui) -> Option<usize> {
    let entries = &session.history.entries;
    ui.horizontal(|ui| {
        ui.heading("Runs");
        if !entries.is_empty() {
            ui.weak(format::count(entries.len()));
        }
    });
    if entries.is_empty() {
        ui.weak("Your finished runs join them here; a click shows one again");
        return None;
    }
    let held = session.history.shown;
    let mut clicked = None;
    // What the recorded table is stands below.
    let height = ui.available_height() - backdrop::HEIGHT;
    let area = ScrollArea::vertical().id_salt("runs").max_height(height.max(60.0));
    area.auto_shrink([false, true]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 3.0;
        for entry in entries.iter().rev() {
            if row_ui(entry, held == Some(entry.number), ui) {
                clicked = Some(entry.number);
            }
        }
    });
    clicked
}

fn row_ui(entry: &Entry, is_shown: bool, ui: &mut Ui) -> bool {
    let palette = theme::palette(ui);
    let width = ui.available_width();
    let (heading, what) =
        (format!("{}  {}", entry.number, title(entry)), format::forget_set(&entry.recipe.forget));
    let size = vec2(width, 40.0);
    let told = match entry.report() {
        Some(report) => format!("Show run {heading}, {what}, {}", report.verdict.label.name()),
        None => format!("Show run {heading}, {what}"),
    };
    let response = ui.add_sized(size, Button::new("").selected(is_shown));
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_shown, &told));
    let painter = ui.painter_at(response.rect);
    let inner = response.rect.shrink2(vec2(8.0, 4.0));
    let body = TextStyle::Body.resolve(ui.style());
    let small = TextStyle::Small.resolve(ui.style());
    painter.text(inner.left_top(), Align2::LEFT_TOP, heading, body, palette.strong);
    painter.text(inner.left_bottom(), Align2::LEFT_BOTTOM, what, small.clone(), palette.weak);
    if let Some(report) = entry.report() {
        let (word, color) = verdict::word(report.verdict.label, palette);
        painter.text(inner.right_top(), Align2::RIGHT_TOP, word, small.clone(), color);
        let m = &report.after;
        let numbers = format!("UA {:.1}  RA {:.1}  TA {:.1}", m.UA, m.RA, m.TA);
        painter.text(inner.right_bottom(), Align2::RIGHT_BOTTOM, numbers, small, palette.weak);
    }
    let hint = match entry.kept {
        Some(_) => "Shows it again",
        None => "Takes up its request again; its pictures were let go to save memory",
    };
    response.on_hover_text(hint).clicked()
}
