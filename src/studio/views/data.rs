//! The data browser: the training pictures, and which of them are picked to be forgotten.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use egui::{ComboBox, EventFilter, Mesh, TextureHandle};

use crate::engine::TrainingSet;
use crate::studio::mine::{self, Gathered};
use crate::studio::prelude::*;
use crate::studio::{Brush, Choice, Lasso, tile};

/// The view's row: prompts are written, and not picked from a data set.
pub static VIEW: View = View {
    name: "Data",
    hint: "The training pictures: pick which to forget",
    key: Key::D,
    tasks: &[Task::Generate, Task::Classify],
    draw: data_ui,
};

/// Side of a tile and its distance to the next, in points.
const TILE: f32 = 40.0;
const CELL: f32 = 43.0;
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
    brush: Brush,
    blocks: HashMap<usize, (Grid, TextureHandle)>,
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

    /// Picks or drops what a line catches.
    fn catch(&mut self, line: &Lasso, drops: bool, raster: Raster) {
        let caught = |(at, _): &(usize, _)| line.catches(raster.cell(*at));
        for (at, item) in self.items.iter().enumerate().filter(caught) {
            if drops {
                self.picked.remove(item)
            } else {
                self.picked.insert(*item)
            };
            self.anchor = at;
        }
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
            let items = self.items.chunks(BLOCK).nth(block).unwrap_or_default();
            self.blocks.entry(block).or_insert_with(|| {
                let shape = shelf.pictures.shape;
                let pixels = items.iter().flat_map(|&i| shelf.pictures.picture(i)).copied();
                let tile = [shape.height, shape.width];
                let grid = Grid::row_of(items.len(), shape.channels, tile, pixels.collect());
                let texture = tile::load(ui.ctx(), &grid);
                (grid, texture)
            });
        }
    }
}

/// Where the pictures are: row by row, so many of them beside one another.
#[derive(Clone, Copy)]
struct Raster {
    corner: Vec2,
    columns: usize,
}

impl Raster {
    /// Where a picture is, by its position, from the corner on.
    fn cell(self, at: usize) -> Rect {
        let corner = pos2((at % self.columns) as f32, (at / self.columns) as f32) * CELL;
        Rect::from_min_size(corner, Vec2::splat(TILE))
    }

    /// Where it is in the window.
    fn place(self, at: usize) -> Rect {
        self.cell(at).translate(self.corner)
    }
}

fn data_ui(studio: &mut Studio, ui: &mut Ui) {
    if studio.state.task.classifies() && studio.own.of::<Gathered>().shown {
        return mine::mine_ui(studio, ui);
    }
    let Studio { own, state, .. } = studio;
    state.browse();
    let session = state.session();
    let data = session.opened.as_ref().map(|opened| &opened.data);
    // During work the pictures of the model before will do, as long as they are of the same set.
    let like = |s: &Arc<TrainingSet>| state.work.is_some() && data == Some(&s.data);
    let fits = |s: &Arc<TrainingSet>| s.model == session.model || like(s);
    let Some(shelf) = session.shelf.clone().filter(fits) else { return waiting_ui(state, ui) };
    let browser = own.of::<Browser>();
    browser.list(&shelf);
    let own_ones = bar_ui(browser, state, &shelf, ui);
    ui.add_space(4.0);
    tiles_ui(browser, &shelf, ui);
    own.of::<Gathered>().shown |= own_ones;
}

fn waiting_ui(state: &mut State, ui: &mut Ui) {
    let session = state.session();
    let (failed, busy) = (session.unreadable, state.work.is_some() && session.opened.is_some());
    middle_ui(ui, |ui| {
        ui.weak(match (failed, busy) {
            (true, _) => "The data set could not be opened",
            (_, true) => "The pictures come once the work in progress is done",
            _ => "Opening the pictures…",
        });
        if failed && ui.button("Open again").clicked() {
            state.session_mut().unreadable = false;
        }
    });
}

/// The filter, what is picked, and what can be done with it; whether a person's own pictures are asked for.
fn bar_ui(browser: &mut Browser, state: &mut State, shelf: &TrainingSet, ui: &mut Ui) -> bool {
    let parts = state.task.classifies();
    ui.horizontal_wrapped(|ui| {
        let mut own = false;
        let name = browser.filter.and_then(|c| shelf.classes.get(c)).map_or("All classes", |n| n);
        let combo = ComboBox::from_id_salt("shown class").width(120.0).selected_text(name);
        let list = combo.show_ui(ui, |ui| {
            own = parts && mine::entry_ui(false, ui);
            ui.selectable_value(&mut browser.filter, None, "All classes");
            for (class, name) in shelf.classes.iter().enumerate() {
                ui.selectable_value(&mut browser.filter, Some(class), name);
            }
        });
        list.response.accessible_name("Shown class");
        let n = browser.picked.len();
        if n == 0 {
            let how = match parts {
                true => "click, Shift and click, or draw around some",
                false => "click one to forget its class",
            };
            ui.weak(format!("{} pictures; {how}", format::count(browser.items.len())));
            return own;
        }
        ui.label(format!("{} picked", format::count(n)));
        if ui.button("Clear").on_hover_text("Drops all picks").clicked() {
            browser.picked.clear();
        } else if parts {
            let button = Button::new(format!("Forget these {}", format::count(n)));
            let hint = "Makes them the forget set; then press Forget";
            if button_ui(ui, button, hint, state.waits()) {
                state.pick(Choice::Items(browser.picked.iter().copied().collect()));
            }
        } else {
            class_ui(browser, state, shelf, ui);
        }
        own
    })
    .inner
}

/// Offers the class of what is picked: a diffusion model forgets whole classes.
fn class_ui(browser: &Browser, state: &mut State, shelf: &TrainingSet, ui: &mut Ui) {
    let class = browser.class(shelf);
    let name = class.and_then(|class| shelf.classes.get(class));
    let text = match browser.picked.len() {
        1 => "Forget the class of this picture",
        _ => "Forget the class of these pictures",
    };
    let several = "They are of several classes, and the diffusion model forgets one at a time";
    let blocked = if name.is_none() { Some(several) } else { state.waits() };
    let means = format!("Makes {} the forget set; then press Forget", name.map_or("it", |n| n));
    if button_ui(ui, Button::new(text), &means, blocked)
        && let Some(class) = class
    {
        state.pick(Choice::Class(class));
    }
}

fn tiles_ui(browser: &mut Browser, shelf: &TrainingSet, ui: &mut Ui) {
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
        let raster = Raster { corner: rect.min.to_vec2(), columns };
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

        for (line, drops) in browser.brush.follow(&response, raster.corner, ui) {
            browser.catch(&line, drops, raster);
        }
        if let Some(at) = clicked.flatten() {
            response.request_focus();
            if ui.input(|i| i.modifiers.shift) { browser.extend(at) } else { browser.toggle(at) }
        }
        if response.has_focus() && keys(browser, &response, columns, ui) {
            ui.scroll_to_rect(raster.place(browser.cursor), None);
        }
        browser.prepare(ui, shelf, visible.clone());
        let focus = response.has_focus().then_some(browser.cursor);
        draw(browser, visible, raster, focus, ui);
        response.widget_info(|| {
            let told = description(browser, shelf);
            WidgetInfo::labeled(Role::Grid, ui.is_enabled(), told)
        });
        if let Some(&item) = hovered.and_then(|at| browser.items.get(at)) {
            let name = class_name(shelf, item);
            response.on_hover_text_at_pointer(format!("{name}, picture {item}"));
        }
    });
    if browser.items.is_empty() {
        ui.weak("There are no pictures of this class");
    }
}

fn class_name(shelf: &TrainingSet, item: usize) -> &str {
    shelf.classes.get(shelf.pictures.labels[item] as usize).map_or("?", String::as_str)
}

fn description(browser: &Browser, shelf: &TrainingSet) -> String {
    let n = format::count(browser.items.len());
    let picked = format::count(browser.picked.len());
    let Some(item) = browser.items.get(browser.cursor) else {
        return format!("{n} training pictures");
    };
    let name = class_name(shelf, *item);
    let state = if browser.picked.contains(item) { "picked" } else { "not picked" };
    format!("{n} training pictures, {picked} picked; at picture {item}, {name}, {state}")
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

/// Draws the visible pictures, picked ones framed and with a filled corner, and the line around some.
fn draw(browser: &Browser, visible: Range<usize>, raster: Raster, focus: Option<usize>, ui: &Ui) {
    let (painter, palette) = (ui.painter(), theme::palette(ui));
    let mut meshes: HashMap<usize, Mesh> = HashMap::new();
    for at in visible.clone() {
        let Some((grid, texture)) = browser.blocks.get(&(at / BLOCK)) else { continue };
        let mesh = meshes.entry(at / BLOCK).or_insert_with(|| Mesh::with_texture(texture.id()));
        mesh.add_rect_with_uv(raster.place(at), tile::uv(grid, 0, at % BLOCK), Color32::WHITE);
    }
    painter.extend(meshes.into_values().map(Shape::mesh));
    for at in visible {
        let rect = raster.place(at);
        let caught = browser.brush.line.catches(raster.cell(at));
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
    painter.extend(browser.brush.shape(raster.corner, Stroke::new(2.0, palette.accent_text)));
}
