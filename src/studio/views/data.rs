//! The data browser: the training pictures, and which of them are picked to be forgotten.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    sync::Arc,
};

use egui::{
    Button, Color32, ComboBox, Event, EventFilter, Key, Mesh, Modifiers, PointerButton, Pos2, Rect,
    Response, Role, ScrollArea, Sense, Shape, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, vec2,
};

use crate::{
    engine::job::{Grid, TrainingSet},
    studio::{
        app::Studio,
        format,
        lasso::Lasso,
        request::Choice,
        state::{State, WAIT},
        theme::{self, Palette},
        tile::{self, Sheet},
    },
    words::task::Task,
};

/// Side of a tile and its distance to the next, in points.
const TILE: f32 = 40.0;
const CELL: f32 = 43.0;
/// Points that a click may move.
const CLICK: f32 = 6.0;
/// Pictures that share a texture.
const BLOCK: usize = 256;
/// Textures that are kept.
const BLOCKS: usize = 24;

/// What is listed, picked and drawn.
#[derive(Default)]
pub struct Browser {
    /// The class that is listed; all where absent.
    filter: Option<usize>,
    picked: BTreeSet<usize>,
    /// What is listed: of which shelf and class, and the items.
    listed: Option<(Arc<TrainingSet>, Option<usize>)>,
    items: Vec<usize>,
    /// Where the keyboard is, and where the last pick was, by position in the list.
    cursor: usize,
    anchor: usize,
    lasso: Lasso,
    blocks: HashMap<usize, (Arc<Grid>, Sheet)>,
}

impl Browser {
    /// Lists the items of a class anew if the shelf or the class changed.
    fn list(&mut self, shelf: &Arc<TrainingSet>) {
        let same =
            |(of, filter): &(Arc<TrainingSet>, _)| Arc::ptr_eq(of, shelf) && *filter == self.filter;
        if self.listed.as_ref().is_some_and(same) {
            return;
        }
        if self.listed.as_ref().is_some_and(|(of, _)| of.data != shelf.data) {
            self.picked.clear();
        }
        let of_class =
            |i: &usize| self.filter.is_none_or(|class| shelf.pictures.labels[*i] as usize == class);
        self.items = shelf.items.iter().copied().filter(of_class).collect();
        self.listed = Some((shelf.clone(), self.filter));
        (self.cursor, self.anchor) = (0, 0);
        self.blocks.clear();
    }

    /// Picks an item by its position, or drops it.
    fn toggle(&mut self, at: usize) {
        let Some(&item) = self.items.get(at) else { return };
        if !self.picked.remove(&item) {
            self.picked.insert(item);
        }
        (self.cursor, self.anchor) = (at, at);
    }

    /// Picks all from the last pick to a position.
    fn extend(&mut self, at: usize) {
        let at = at.min(self.items.len().saturating_sub(1));
        let range = self.anchor.min(at)..=self.anchor.max(at);
        self.picked.extend(self.items.get(range).unwrap_or_default());
        self.cursor = at;
    }

    /// The class of all that is picked; `None` where there are several.
    fn class(&self, shelf: &TrainingSet) -> Option<usize> {
        let labels = &shelf.pictures.labels;
        let mut classes = self.picked.iter().filter_map(|item| labels.get(*item));
        let first = classes.next()?;
        classes.all(|class| class == first).then_some(usize::from(*first))
    }

    /// The textures of a range of positions.
    fn prepare(&mut self, ui: &Ui, shelf: &TrainingSet, wanted: Range<usize>) {
        let needed = wanted.start / BLOCK..wanted.end.div_ceil(BLOCK);
        if self.blocks.len() > BLOCKS {
            self.blocks.retain(|block, _| needed.contains(block));
        }
        for block in needed {
            let items = &self.items[(block * BLOCK).min(self.items.len())..];
            let items = &items[..items.len().min(BLOCK)];
            let (grid, sheet) = self
                .blocks
                .entry(block)
                .or_insert_with(|| (Arc::new(grid(shelf, items)), Sheet::default()));
            sheet.texture(ui.ctx(), grid);
        }
    }
}

/// Items as a grid of one row.
fn grid(shelf: &TrainingSet, items: &[usize]) -> Grid {
    let shape = shelf.pictures.shape;
    Grid {
        rows: vec![None],
        names: Vec::new(),
        columns: items.len(),
        channels: shape.channels,
        tile: [shape.height, shape.width],
        pixels: items.iter().flat_map(|&i| shelf.pictures.picture(i)).copied().collect(),
        seen: vec![None; items.len()],
    }
}

/// Draws the browser.
pub fn data_ui(studio: &mut Studio, ui: &mut Ui) {
    studio.state.browse();
    let session = studio.state.session();
    let busy = studio.state.work.is_some();
    let data = session.opened.as_ref().map(|opened| &opened.data);
    // During work the pictures of the model before will do, as long as they are of the same set.
    let fits = |s: &Arc<TrainingSet>| s.model == session.model || busy && data == Some(&s.data);
    let Some(shelf) = session.shelf.clone().filter(fits) else {
        waiting_ui(studio, ui);
        return;
    };
    studio.browser.list(&shelf);
    bar_ui(studio, &shelf, ui);
    ui.add_space(4.0);
    tiles_ui(&mut studio.browser, &shelf, ui);
}

fn waiting_ui(studio: &mut Studio, ui: &mut Ui) {
    let session = studio.state.session();
    let text = match &studio.state.work {
        _ if session.unreadable => "The data set could not be opened",
        Some(_) if session.opened.is_some() => {
            "The pictures come once the work in progress is done"
        }
        _ => "Opening the pictures…",
    };
    let failed = session.unreadable;
    ui.vertical_centered(|ui| {
        ui.add_space(ui.available_height() * 0.4);
        ui.weak(text);
        if failed && ui.button("Open again").clicked() {
            studio.state.session_mut().unreadable = false;
        }
    });
}

/// The filter, what is picked, and what can be done with it.
fn bar_ui(studio: &mut Studio, shelf: &Arc<TrainingSet>, ui: &mut Ui) {
    let Studio { browser, state, .. } = studio;
    ui.horizontal_wrapped(|ui| {
        let name = browser.filter.and_then(|c| shelf.classes.get(c)).map_or("All classes", |n| n);
        let combo = ComboBox::from_id_salt("shown class").width(120.0).selected_text(name);
        let response = combo
            .show_ui(ui, |ui| {
                ui.selectable_value(&mut browser.filter, None, "All classes");
                for (class, name) in shelf.classes.iter().enumerate() {
                    ui.selectable_value(&mut browser.filter, Some(class), name);
                }
            })
            .response;
        response.accessible_name("Shown class");
        let n = browser.picked.len();
        let whole = state.task != Task::Classify;
        if n == 0 {
            ui.weak(format!(
                "{} pictures; {}",
                format::count(browser.items.len()),
                match whole {
                    true => "click one to forget its class",
                    false => "click, Shift and click, or draw around some",
                }
            ));
            return;
        }
        ui.label(format!("{} picked", format::count(n)));
        if ui.button("Clear").on_hover_text("Drops all picks").clicked() {
            browser.picked.clear();
        } else if whole {
            class_ui(browser, state, shelf, ui);
        } else {
            let button = Button::new(format!("Forget these {}", format::count(n)));
            let response = ui
                .add_enabled(!state.held(), button)
                .on_hover_text("Makes them the forget set; then press Forget")
                .on_disabled_hover_text(WAIT);
            if response.clicked() {
                state.pick(Choice::Items(browser.picked.iter().copied().collect()));
            }
        }
    });
}

/// Offers the class of what is picked: a diffusion model forgets whole classes.
fn class_ui(browser: &Browser, state: &mut State, shelf: &TrainingSet, ui: &mut Ui) {
    let class = browser.class(shelf);
    let name = class.and_then(|class| shelf.classes.get(class));
    let text = match browser.picked.len() {
        1 => "Forget the class of this picture",
        _ => "Forget the class of these pictures",
    };
    let why = match name {
        Some(_) => WAIT,
        None => "They are of several classes, and the diffusion model forgets one at a time",
    };
    let means = format!("Makes {} the forget set; then press Forget", name.map_or("it", |n| n));
    let response = ui
        .add_enabled(name.is_some() && !state.held(), Button::new(text))
        .on_hover_text(means)
        .on_disabled_hover_text(why);
    if let Some(class) = class.filter(|_| response.clicked()) {
        state.pick(Choice::Class(class));
    }
}

fn tiles_ui(browser: &mut Browser, shelf: &TrainingSet, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let columns = ((ui.available_width() - 10.0) / CELL).floor().max(1.0) as usize;
    let rows = browser.items.len().div_ceil(columns);
    let area = ScrollArea::vertical().id_salt(("pictures", browser.filter)).auto_shrink(false);
    area.show_viewport(ui, |ui, viewport| {
        let size = vec2(columns as f32 * CELL, rows as f32 * CELL);
        // A finger that moves scrolls.
        let touch = ui.input(|i| i.has_touch_screen());
        let sense = if touch { Sense::click() } else { Sense::click_and_drag() };
        let (rect, response) = ui.allocate_exact_size(size, sense);
        let at = |pos: Pos2| {
            let cell = (pos - rect.min) / CELL;
            let inside = cell.x >= 0.0 && cell.y >= 0.0 && (cell.x as usize) < columns;
            let at = cell.y as usize * columns + cell.x as usize;
            (inside && at < browser.items.len()).then_some(at)
        };
        let place = |at: usize| {
            let corner = vec2((at % columns) as f32, (at / columns) as f32) * CELL;
            Rect::from_min_size(rect.min + corner, Vec2::splat(TILE))
        };
        let hovered = response.hover_pos().and_then(at);
        // A key presses where the cursor is.
        let hand = ui.input(|i| i.pointer.any_released());
        let clicked = response.clicked().then(|| match response.interact_pointer_pos() {
            Some(pos) if hand => at(pos),
            _ => Some(browser.cursor),
        });
        let first = (viewport.top() / CELL).max(0.0) as usize * columns;
        let last = ((viewport.bottom() / CELL).ceil() as usize + 1) * columns;
        let visible = first.min(browser.items.len())..last.min(browser.items.len());

        lasso(browser, &response, rect, &place, ui);
        if let Some(at) = clicked.flatten() {
            response.request_focus();
            if ui.input(|i| i.modifiers.shift) { browser.extend(at) } else { browser.toggle(at) }
        }
        if response.has_focus() && keys(browser, &response, columns, ui) {
            ui.scroll_to_rect(place(browser.cursor), None);
        }
        browser.prepare(ui, shelf, visible.clone());
        let focus = response.has_focus().then_some(browser.cursor);
        draw(browser, visible, &place, focus, ui, palette);
        let origin = rect.min.to_vec2();
        if browser.lasso.points().len() > 1 {
            let stroke = Stroke::new(2.0, palette.accent_text);
            let line: Vec<Pos2> = browser.lasso.points().iter().map(|p| *p + origin).collect();
            match browser.lasso.rectangle() {
                Some(rect) => {
                    let rect = rect.translate(origin);
                    ui.painter().rect_stroke(rect, 0.0, stroke, StrokeKind::Middle);
                }
                None => drop(ui.painter().add(Shape::closed_line(line, stroke))),
            }
        }
        response.widget_info(|| {
            let told = description(browser, shelf);
            WidgetInfo::labeled(Role::Grid, ui.is_enabled(), told)
        });
        if let Some(&item) = hovered.and_then(|at| browser.items.get(at)) {
            let class = shelf.pictures.labels[item] as usize;
            let name = shelf.classes.get(class).map_or("?", String::as_str);
            response.on_hover_text_at_pointer(format!("{name}, picture {item}"));
        }
    });
    if browser.items.is_empty() {
        ui.weak("There are no pictures of this class");
    }
}

fn description(browser: &Browser, shelf: &TrainingSet) -> String {
    let n = format::count(browser.items.len());
    let picked = format::count(browser.picked.len());
    let Some(item) = browser.items.get(browser.cursor) else {
        return format!("{n} training pictures");
    };
    let class = shelf.pictures.labels[*item] as usize;
    let name = shelf.classes.get(class).map_or("?", String::as_str);
    let state = if browser.picked.contains(item) { "picked" } else { "not picked" };
    format!("{n} training pictures, {picked} picked; at picture {item}, {name}, {state}")
}

/// Follows the line that is drawn around pictures, and picks or drops them at its end.
fn lasso(
    browser: &mut Browser,
    response: &Response,
    rect: Rect,
    place: &impl Fn(usize) -> Rect,
    ui: &Ui,
) {
    let origin = rect.min.to_vec2();
    let stroke = stroke(response, ui);
    if let Stroked::From(start) | Stroked::Whole(start) = stroke {
        browser.lasso.take();
        browser.lasso.draw_to(start - origin);
    }
    if stroke != Stroked::Not {
        // A slow frame brings several points.
        let to = ui.input(|i| points(&i.events));
        to.into_iter().for_each(|to| browser.lasso.draw_to(to - origin));
    }
    if matches!(stroke, Stroked::End | Stroked::Whole(_)) {
        let line = browser.lasso.take();
        let drops = ui.input(|i| i.modifiers.command || i.modifiers.alt);
        for at in 0..browser.items.len() {
            if line.catches(place(at).translate(-origin)) {
                let item = browser.items[at];
                if drops {
                    browser.picked.remove(&item)
                } else {
                    browser.picked.insert(item)
                };
                browser.anchor = at;
            }
        }
    }
}

/// What became of a line in this frame.
#[derive(PartialEq)]
enum Stroked {
    Not,
    From(Pos2),
    On,
    End,
    /// It began and ended.
    Whole(Pos2),
}

fn stroke(response: &Response, ui: &Ui) -> Stroked {
    if response.drag_started() {
        let start = ui.input(|i| i.pointer.press_origin());
        return start.map_or(Stroked::Not, Stroked::From);
    }
    if response.drag_stopped() {
        return Stroked::End;
    }
    if response.dragged() {
        return Stroked::On;
    }
    // A quick hand in a slow frame: egui sees neither a click nor a drag.
    let quick = ui
        .input(|i| quick(&i.events))
        .filter(|start| response.interact_rect.contains(*start) && response.sense.senses_drag());
    match quick.filter(|_| response.contains_pointer()) {
        Some(start) => Stroked::Whole(start),
        None => Stroked::Not,
    }
}

/// Where the pointer was.
fn points(events: &[Event]) -> Vec<Pos2> {
    // What comes before the press in the same frame is no part of the line.
    let press = |event: &Event| {
        matches!(event, Event::PointerButton { button: PointerButton::Primary, pressed: true, .. })
    };
    let from = events.iter().rposition(press).map_or(0, |at| at + 1);
    let point = |event: &Event| match event {
        Event::PointerMoved(pos) => Some(*pos),
        Event::PointerButton { pos, button: PointerButton::Primary, pressed: false, .. } => {
            Some(*pos)
        }
        _ => None,
    };
    events[from..].iter().filter_map(point).collect()
}

/// Where the pointer was pressed that was let go elsewhere in the same frame.
fn quick(events: &[Event]) -> Option<Pos2> {
    let mut start = None;
    for event in events {
        let Event::PointerButton { pos, button: PointerButton::Primary, pressed, .. } = event
        else {
            continue;
        };
        match (pressed, start) {
            (true, _) => start = Some(*pos),
            (false, Some(from)) if from.distance(*pos) > CLICK => return Some(from),
            (false, _) => start = None,
        }
    }
    None
}

/// Walks with the arrows and picks with Space or Enter; whether the cursor moved.
fn keys(browser: &mut Browser, response: &Response, columns: usize, ui: &Ui) -> bool {
    let filter =
        EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
    ui.memory_mut(|m| m.set_focus_lock_filter(response.id, filter));
    let pressed = |modifiers, key| ui.input_mut(|i| i.count_and_consume_key(modifiers, key));
    let last = browser.items.len().saturating_sub(1);
    let before = browser.cursor;
    for (key, by) in [
        (Key::ArrowLeft, -1),
        (Key::ArrowRight, 1),
        (Key::ArrowUp, -(columns as isize)),
        (Key::ArrowDown, columns as isize),
    ] {
        let to = |browser: &Browser, presses: usize| {
            browser.cursor.saturating_add_signed(by * presses as isize).min(last)
        };
        let extends = pressed(Modifiers::SHIFT, key);
        if extends > 0 {
            browser.extend(to(browser, extends));
        }
        let moves = pressed(Modifiers::NONE, key);
        if moves > 0 {
            browser.cursor = to(browser, moves);
            browser.anchor = browser.cursor;
        }
    }
    browser.cursor != before
}

/// Draws the visible pictures; picked ones are framed and have a filled corner.
fn draw(
    browser: &Browser,
    visible: Range<usize>,
    place: &impl Fn(usize) -> Rect,
    focus: Option<usize>,
    ui: &Ui,
    palette: &Palette,
) {
    let painter = ui.painter();
    let mut meshes: HashMap<usize, Mesh> = HashMap::new();
    for at in visible.clone() {
        let Some((grid, sheet)) = browser.blocks.get(&(at / BLOCK)) else { continue };
        let Some(texture) = sheet.id() else { continue };
        let mesh = meshes.entry(at / BLOCK).or_insert_with(|| Mesh::with_texture(texture));
        mesh.add_rect_with_uv(place(at), tile::uv(grid, 0, at % BLOCK), Color32::WHITE);
    }
    painter.extend(meshes.into_values().map(Shape::mesh));
    let origin = place(0).min.to_vec2();
    for at in visible {
        let rect = place(at);
        let caught = browser.lasso.catches(rect.translate(-origin));
        if browser.picked.contains(&browser.items[at]) || caught {
            let tint = palette.accent.gamma_multiply(0.35);
            let stroke = Stroke::new(2.0, palette.accent_text);
            painter.rect(rect, 2.0, tint, stroke, StrokeKind::Inside);
            let corner = rect.right_top();
            let points = vec![corner, corner - vec2(12.0, 0.0), corner + vec2(0.0, 12.0)];
            painter.add(Shape::convex_polygon(points, palette.accent_text, Stroke::NONE));
        }
        if focus == Some(at) {
            let stroke = Stroke::new(2.0, palette.strong);
            painter.rect_stroke(rect.expand(1.5), 2.0, stroke, StrokeKind::Outside);
        }
    }
}
