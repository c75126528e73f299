//! The map: what each model sees alike lies together; linked plots, and a brush that picks a forget set.

use egui::EventFilter;

use super::points::{Cloud, colour, coordinates, ranges};
use super::{Looked, PANES, Whereabouts, picked_ui};
use crate::studio::key_ui;
use crate::studio::prelude::*;

/// Below this width, in points, one plot stands where two do.
const TWO: f32 = 430.0;
/// Side of the picture under the hand, in points.
const PICTURE: f32 = 96.0;

/// Draws the map.
pub fn map_ui(shown: &mut Whereabouts, state: &mut State, looked: &Looked, ui: &mut Ui) {
    bar_ui(shown, state, looked, ui);
    let there: Vec<usize> =
        (0..PANES.len()).filter(|&pane| looked.embedding.maps[pane].is_some()).collect();
    let narrow = ui.available_width() < TWO;
    if narrow && there.len() > 1 {
        if !there.contains(&shown.map.one) {
            shown.map.one = there[0];
        }
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            let tabs = there.iter().map(|&pane| (pane, PANES[pane].name(), ""));
            tabs_ui(ui, &mut shown.map.one, tabs);
        });
    }
    let plots = if narrow && there.len() > 1 { vec![shown.map.one] } else { there };
    foot_ui(shown, state, looked, ui);
    let place = ui.available_size();
    // Side by side, or in two rows of two where they are wider than high.
    let columns = match plots.len() {
        4 if place.x < 2.4 * place.y => 2,
        n => n,
    };
    let rows = plots.len().div_ceil(columns.max(1)).max(1);
    let gap = ui.spacing().item_spacing;
    let count = vec2(columns.max(1) as f32, rows as f32);
    let size = ((place + gap) / count - gap).max(vec2(80.0, 80.0));
    let ranges = ranges(looked, shown.map.own);
    let texture = shown.sheet.texture(ui.ctx(), &looked.embedding.pictures);
    let mut hovered = None;
    for row in plots.chunks(columns.max(1)) {
        ui.horizontal_top(|ui| {
            for &pane in row {
                hovered =
                    plot_ui(shown, looked, pane, ranges[pane], (size, texture), ui).or(hovered);
            }
        });
    }
    if shown.map.hovered != hovered {
        shown.map.hovered = hovered;
        // The other plots show it, too.
        ui.ctx().request_repaint();
    }
}

fn bar_ui(shown: &mut Whereabouts, state: &mut State, looked: &Looked, ui: &mut Ui) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let maps = &looked.embedding.maps;
        if maps.iter().flatten().count() > 1 {
            let axes = [
                (
                    false,
                    "Axes of Before",
                    "All models along the two axes that were fitted to the original",
                ),
                (
                    true,
                    "Own axes",
                    "Each model along the two axes in which it tells pictures apart most",
                ),
            ];
            tabs_ui(ui, &mut shown.map.own, axes);
            ui.add_space(6.0);
        }
        if shown.picked.is_empty() {
            let n = format::count(looked.embedding.items.len());
            ui.weak(format!(
                "{n} pictures; draw around some to forget them, click one to see its pixels"
            ));
        }
        picked_ui(shown, state, ui);
        if !state.embedding_fits() {
            ui.weak(match state.working() {
                Some(JobKind::Inspect) => "Looking again…",
                _ => "This is how it was before the last change",
            });
        }
    });
}

/// Names the colours, and says what the map rests on.
fn foot_ui(shown: &Whereabouts, state: &State, looked: &Looked, ui: &mut Ui) {
    let embedding = looked.embedding;
    Panel::bottom("map legend").frame(Frame::NONE).resizable(false).show(ui, |ui| {
        ui.add_space(4.0);
        let (dark, palette) = (ui.visuals().dark_mode, theme::palette(ui));
        let height = std::mem::replace(&mut ui.spacing_mut().interact_size.y, 14.0);
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(6.0, 1.0);
            // More names than these say nothing.
            for (class, name) in looked.classes.iter().enumerate().take(20) {
                let color = colour(class, looked.classes.len(), dark);
                key_ui(ui, name, |painter, at| {
                    painter.circle_filled(at, 4.0, color);
                });
            }
            if embedding.forgotten.contains(&true) {
                key_ui(ui, "to be forgotten", |painter, at| {
                    painter.circle(at, 4.0, palette.canvas, Stroke::new(1.5, palette.strong));
                });
            }
        });
        ui.spacing_mut().interact_size.y = height;
        let n = embedding.forgotten.iter().filter(|f| **f).count();
        let held = embedding.maps.iter().zip(PANES).filter_map(|(map, pane)| {
            let map = map.as_ref()?;
            let own = shown.map.own || map.shared.is_none();
            Some(format!("{} {}", pane.name(), format::percent(map.held[usize::from(own)])))
        });
        let held: Vec<String> = held.collect();
        let text = format!(
            "{} training pictures, {} of them to be forgotten; PCA of the penultimate features, of whose \
             variance the axes hold: {}; seed {}",
            format::count(embedding.items.len()),
            format::count(n),
            held.join(", "),
            state.session().request.seed,
        );
        fact_ui(ui, format::unbroken(&text));
    });
}

/// Draws one model's plot; the point under the hand.
fn plot_ui(
    shown: &mut Whereabouts,
    looked: &Looked,
    pane: usize,
    range: Rect,
    (size, texture): (Vec2, TextureId),
    ui: &mut Ui,
) -> Option<usize> {
    let palette = theme::palette(ui);
    let map = looked.embedding.maps[pane].as_ref()?;
    // A finger that moves scrolls.
    let touch = ui.input(|i| i.has_touch_screen());
    let sense = if touch { Sense::click() } else { Sense::click_and_drag() };
    let (rect, response) = ui.allocate_exact_size(size, sense);
    let head = TextStyle::Small.resolve(ui.style()).size + 8.0;
    let within = rect.with_min_y(rect.top() + head).shrink(4.0);
    let points = coordinates(map, shown.map.own);
    let cloud = Cloud::new(points, range, within);
    for (line, drops) in shown.map.brushes[pane].follow(&response, Vec2::ZERO, ui) {
        for (at, item) in cloud.at.iter().zip(&looked.embedding.items) {
            if line.surrounds(*at) {
                match drops {
                    true => drop(shown.picked.remove(item)),
                    false => drop(shown.picked.insert(*item)),
                }
            }
        }
    }
    let hovered = response.hover_pos().and_then(|at| cloud.nearest(at));
    keys(shown, looked, &response, ui);
    let focus = response.has_focus().then_some(shown.map.cursor);
    if response.clicked() {
        response.request_focus();
        let hand = ui.input(|i| i.pointer.any_released());
        let place = if hand { hovered } else { focus };
        if let Some(&item) = place.and_then(|place| looked.embedding.items.get(place)) {
            shown.choose(item);
        }
    }
    let name = PANES[pane].name();
    response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, told(shown, looked, name)));
    let painter = ui.painter_at(rect);
    let ring = if response.has_focus() { palette.accent_text } else { palette.border };
    painter.rect(rect, 4.0, palette.card, Stroke::new(1.0, ring), StrokeKind::Inside);
    let own = map.shared.is_none();
    let title = if own && !shown.map.own { format!("{name}, its own axes") } else { name.into() };
    let font = TextStyle::Small.resolve(ui.style());
    painter.text(
        rect.left_top() + vec2(8.0, 5.0),
        Align2::LEFT_TOP,
        title,
        font,
        palette.of(PANES[pane]),
    );
    cloud.draw(shown, looked, &painter, ui);
    if let Some(at) = focus.and_then(|place| cloud.at.get(place)) {
        painter.circle_stroke(*at, 9.0, Stroke::new(2.0, palette.accent_text));
    }
    painter
        .extend(shown.map.brushes[pane].shape(Vec2::ZERO, Stroke::new(2.0, palette.accent_text)));
    if let Some(place) = hovered {
        response.on_hover_ui_at_pointer(|ui| point_ui(looked, place, texture, ui));
    }
    hovered
}

/// A plot in words.
fn told(shown: &Whereabouts, looked: &Looked, name: &str) -> String {
    let embedding = looked.embedding;
    let [n, picked] = [embedding.items.len(), shown.picked.len()].map(format::count);
    let at = match embedding.items.get(shown.map.cursor) {
        Some(item) => format!("; at picture {item}, {}", looked.name(shown.map.cursor)),
        None => String::new(),
    };
    format!("Map of {n} pictures, {name}; {picked} picked{at}")
}

/// Walks through the pictures with the arrows, and picks with P while a plot has the focus.
fn keys(shown: &mut Whereabouts, looked: &Looked, response: &Response, ui: &Ui) {
    if !response.has_focus() {
        return;
    }
    let filter =
        EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
    ui.memory_mut(|m| m.set_focus_lock_filter(response.id, filter));
    let pressed = |key| ui.input_mut(|i| i.count_and_consume_key(Modifiers::NONE, key));
    let n = looked.embedding.items.len();
    let [on, back] = [
        pressed(Key::ArrowRight) + pressed(Key::ArrowDown),
        pressed(Key::ArrowLeft) + pressed(Key::ArrowUp),
    ];
    if n > 0 {
        shown.map.cursor = (shown.map.cursor + on + n * back - back) % n;
    }
    let Some(&item) = looked.embedding.items.get(shown.map.cursor) else { return };
    if pressed(Key::P) % 2 == 1 && !shown.picked.remove(&item) {
        shown.picked.insert(item);
    }
}

/// The picture of a point, and what each model sees in it.
fn point_ui(looked: &Looked, place: usize, texture: TextureId, ui: &mut Ui) {
    ui.horizontal_top(|ui| {
        ui.add(looked.picture(texture, place, PICTURE));
        ui.vertical(|ui| {
            ui.label(RichText::new(looked.name(place)).strong());
            ui.weak(format!("Training picture {}", looked.embedding.items[place]));
            looked.answers_ui(place, ui);
            if looked.embedding.forgotten[place] {
                ui.label("To be forgotten");
            }
        });
    });
}
