//! One pane: its title, its tiles with what the classifier sees in them, the tile under the hand.

use std::{cell::Cell, ops::Range};

use egui::{
    UiBuilder,
    epaint::RectShape,
    text::{LayoutJob, TextWrapping},
};

use super::mark::{Mark, rounding};
use super::prelude::*;
use super::views::compare::{Arrangement, GAP, TITLE};
use super::{Content, Pane, Sheet, arm_name, swipe, tile};

/// How much of pictures is seen that are not a pane's own yet.
const FAINT: f32 = 0.3;

/// What all panes have in common.
pub struct PaneContext<'a> {
    pub session: &'a TaskState,
    /// The pictures before, which all panes are like.
    pub base: &'a Arc<Grid>,
    pub classes: &'a [String],
    /// The rows that are marked.
    pub forgotten: Range<usize>,
    /// Where tiles are, and how many.
    pub arrangement: Arrangement,
    /// The texture of the pictures before.
    pub before: TextureId,
    /// The share of the other panes that shows Before.
    pub swipe: Option<f32>,
    /// Whether the other panes show how they differ from Before.
    pub difference: bool,
    /// The tile, by its row and column, whose steps were asked for.
    pub chosen: Cell<Option<[usize; 2]>>,
    pub palette: &'static Palette,
}

impl PaneContext<'_> {
    /// Draws the names of some rows beside their tiles, where they stand there.
    pub fn names_ui(&self, ui: &mut Ui, rows: &Range<usize>) {
        let Arrangement { tile, upright: false, names, .. } = self.arrangement else { return };
        let size = vec2(names - GAP, TITLE + rows.len() as f32 * tile.y);
        let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
        let first = Rect::from_min_size(rect.min + vec2(0.0, TITLE), vec2(size.x, tile.y));
        for row in rows.clone() {
            let room = first.translate(vec2(0.0, (row - rows.start) as f32 * tile.y));
            self.row_name_in(ui, row, room, Align2::RIGHT_CENTER);
        }
    }

    /// Draws the names of some rows above their tiles.
    fn heads(&self, ui: &Ui, rect: Rect, rows: &Range<usize>) {
        let width = self.arrangement.tile.x;
        let first = Rect::from_min_size(rect.min, vec2(width, rect.height() - 2.0));
        for row in rows.clone() {
            let room = first.translate(vec2((row - rows.start) as f32 * width, 0.0));
            self.row_name_in(ui, row, room, Align2::CENTER_BOTTOM);
        }
    }

    /// Draws a row's name, which may be of any length: in as many lines as there is room for.
    fn row_name_in(&self, ui: &Ui, row: usize, room: Rect, align: Align2) {
        let font = TextStyle::Small.resolve(ui.style());
        let color = match self.forgotten.contains(&row) {
            true => self.palette.accent_text,
            false => ui.visuals().text_color(),
        };
        let name = self.row_name(self.base, row);
        let mut job = LayoutJob::simple(name.into(), font.clone(), color, room.width());
        job.halign = align.x();
        job.wrap.max_rows = ((room.height() / font.size / 1.2) as usize).max(1);
        let painter = ui.painter();
        let galley = painter.layout_job(job);
        let at = align.align_size_within_rect(vec2(0.0, galley.size().y), room).min;
        painter.galley(at, galley, color);
    }

    /// Draws some rows of a pane, with their names where it is `headed`: where it is, and where its swipe was
    /// moved to.
    pub fn pane_ui(
        &self,
        ui: &mut Ui,
        pane: Pane,
        sheet: &mut Sheet,
        rows: &Range<usize>,
        headed: bool,
    ) -> (Rect, Option<f32>) {
        let Arrangement { upright, names, .. } = self.arrangement;
        let head = if headed && upright { names } else { 0.0 };
        let size = self.arrangement.size(rows.len()) + vec2(0.0, TITLE + head);
        let (rect, response) = ui.allocate_exact_size(size, Sense::click());
        let content = self.session.content(pane);
        response.widget_info(|| {
            let told = match rows.start {
                0 => self.description(pane, &content),
                row => format!("{}, from {} on", self.name(pane), self.row_name(self.base, row)),
            };
            WidgetInfo::labeled(Role::Image, true, told)
        });
        let tiles = rect.with_min_y(rect.top() + TITLE + head);
        let cut = self.title(ui, rect, pane, &content);
        if head > 0.0 {
            self.heads(ui, rect.with_min_y(rect.top() + TITLE).with_max_y(tiles.top()), rows);
        }
        let (grid, own) = match content {
            Content::Hint(_) => return (rect, None),
            Content::Next(grid) => (grid, Own::None),
            Content::Glimpse(grid, row, _) => (grid, Own::Row(row)),
            Content::Grid(grid, _) | Content::Part(grid, _) => (grid, Own::All),
        };
        let whole = own == Own::All;
        if cut && response.hover_pos().is_some_and(|p| !tiles.contains(p)) {
            response.clone().on_hover_text(self.name(pane));
        }
        let differs = (self.differs(pane) && whole).then(|| sheet.difference(grid, self.base));
        let grid = differs.as_ref().unwrap_or(grid);
        let pictures = Pictures { pane, grid, texture: sheet.texture(ui.ctx(), grid), own };
        let part = Part { rect: tiles, rows: rows.clone() };
        self.choose(&response, &part, pictures);
        let swiped = pane != Pane::Before && whole && grid.rows == self.base.rows;
        let Some(at) = self.swipe.filter(|_| swiped) else {
            self.tiles(ui, &part, pictures);
            self.tooltip_ui(response, &part, pictures);
            return (rect, None);
        };
        let both = [self.pictures_before(), pictures];
        for (half, pictures) in swipe::halves(tiles, at).into_iter().zip(both) {
            let mut half_ui = ui.new_child(UiBuilder::new().max_rect(tiles));
            half_ui.shrink_clip_rect(half);
            self.tiles(&half_ui, &part, pictures);
        }
        let id = response.id.with("swipe");
        (rect, swipe::line_ui(ui, id, tiles, at, &self.name(pane)))
    }

    /// The pane's name, as much of it as there is room for; whether that is less than all.
    fn title(&self, ui: &Ui, rect: Rect, pane: Pane, content: &Content) -> bool {
        let painter = ui.painter_at(rect);
        let [body, small] = [TextStyle::Body, TextStyle::Small].map(|s| s.resolve(ui.style()));
        let layout = |name: &str, font: &FontId| {
            let color = self.palette.strong;
            let mut job = LayoutJob::simple_singleline(name.into(), font.clone(), color);
            job.wrap = TextWrapping::truncate_at_width(rect.width());
            painter.layout_job(job)
        };
        let name = self.name(pane);
        let short = name.split(' ').next().unwrap_or_default();
        let forms = [(&*name, &body), (&*name, &small), (short, &body), (short, &small)];
        let (shown, galley) = forms
            .into_iter()
            .map(|(form, font)| (form, layout(form, font)))
            .find(|(_, galley)| !galley.elided)
            .unwrap_or_else(|| ("", layout(short, &small)));
        let cut = shown != name;
        let drawn = Rect::from_min_size(rect.min, galley.size());
        painter.galley(rect.min, galley, self.palette.strong);
        let shown = self.arrangement.columns.min(self.base.columns);
        let text = match content {
            Content::Grid(_, Some(step)) | Content::Glimpse(.., step) => {
                format!("step {}", format::count(*step))
            }
            Content::Part(_, strength) => format!("strength {strength}"),
            Content::Next(_) if pane == Pane::Random => "follows".into(),
            Content::Next(_) => "once the weights are scored".into(),
            Content::Grid(..) if pane == Pane::Before => {
                let of = match shown < self.base.columns {
                    true => format!("{shown} of {}", self.base.columns),
                    false => String::new(),
                };
                // What a person sees first is told what it is.
                let said = match self.session.under_way() || self.session.pane.is_some() {
                    true => "",
                    false => tasks::of(self.session.task).opening,
                };
                [said, &of].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(", ")
            }
            _ => String::new(),
        };
        if !text.is_empty() {
            let galley = painter.layout_no_wrap(text, small, self.palette.weak);
            let at = drawn.right_bottom() + vec2(8.0, -1.0 - galley.size().y);
            if at.x + galley.size().x <= rect.right() {
                painter.galley(at, galley, self.palette.weak);
            }
        }
        cut
    }

    /// Whether a pane shows how its pictures differ from Before.
    fn differs(&self, pane: Pane) -> bool {
        self.difference && pane != Pane::Before
    }

    /// Asks for the steps of a tile: the one that is pressed twice, or with Enter the first of what is forgotten.
    fn choose(&self, response: &Response, part: &Part, pictures: Pictures) {
        let hand = response.ctx.input(|i| i.pointer.any_released());
        let at = match response.interact_pointer_pos().filter(|_| hand) {
            Some(at) if response.double_clicked() => self.tile_at(part, pictures.grid, at),
            None if response.clicked() => Some([self.forgotten.clone().next().unwrap_or(0), 0]),
            _ => None,
        };
        self.chosen.set(at.or(self.chosen.get()));
    }

    /// The tile at a place.
    fn tile_at(&self, part: &Part, grid: &Grid, at: Pos2) -> Option<[usize; 2]> {
        let [row, column] = self.arrangement.tile_at(at - part.rect.min);
        let row = row + part.rows.start;
        let inside = part.rect.contains(at) && row < grid.rows.len();
        let shown = column < grid.columns.min(self.arrangement.columns);
        (inside && shown).then_some([row, column])
    }

    fn pictures_before(&self) -> Pictures<'_> {
        Pictures { pane: Pane::Before, grid: self.base, texture: self.before, own: Own::All }
    }

    fn tiles(&self, ui: &Ui, part: &Part, pictures: Pictures) {
        let (painter, grid, texture) = (ui.painter(), pictures.grid, pictures.texture);
        let columns = self.arrangement.columns.min(grid.columns);
        let rows = part.rows.start..part.rows.end.min(grid.rows.len());
        let like = grid.rows.len() == self.base.rows.len();
        let forgotten = self.forgotten.start.max(rows.start)..self.forgotten.end.min(rows.end);
        if !forgotten.is_empty() && like && columns > 0 {
            let last = self.tile_rect(part, forgotten.end - 1, columns - 1);
            let band = self.tile_rect(part, forgotten.start, 0).union(last);
            let stroke = Stroke::new(1.5, self.palette.accent_text);
            let fill = self.palette.accent.gamma_multiply(0.35);
            painter.rect(band.expand(1.0), 4.0, fill, stroke, StrokeKind::Outside);
        }
        let all = rows.flat_map(|row| (0..columns).map(move |column| (row, column)));
        let mut tiles: Vec<_> = all
            .map(|(row, column)| (row, column, self.tile_rect(part, row, column).shrink(1.0)))
            .collect();
        tiles.retain(|(.., tile)| ui.is_rect_visible(*tile));
        for (row, column, tile) in tiles {
            let strong = if pictures.own.has(row) { 1.0 } else { FAINT };
            let tint = Color32::WHITE.gamma_multiply(strong);
            let picture = RectShape::filled(tile, rounding(tile), tint);
            painter.add(picture.with_texture(texture, tile::uv(grid, row, column)));
            if let Some(mark) = self.mark(pictures, row, column) {
                mark.frame(painter, tile);
            }
        }
    }

    /// The rows of each part that stands side by side.
    pub fn parts(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let rows = self.base.rows.len();
        let part = rows.div_ceil(self.arrangement.parts).max(1);
        (0..rows).step_by(part).map(move |first| first..rows.min(first + part))
    }

    /// What a tile's frame says.
    fn mark(&self, pictures: Pictures, row: usize, column: usize) -> Option<Mark> {
        let Pictures { pane, grid, own, .. } = pictures;
        let like = grid.rows.len() == self.base.rows.len();
        let forgotten = pane != Pane::Before && like && self.forgotten.contains(&row);
        Mark::at(grid, row, column, forgotten).filter(|_| own.has(row))
    }

    fn tooltip_ui(&self, response: Response, part: &Part, pictures: Pictures) {
        let grid = pictures.grid;
        let at = response.hover_pos().and_then(|at| self.tile_at(part, grid, at));
        let Some([row, column]) = at else { return };
        response.on_hover_ui_at_pointer(|ui| {
            ui.label(RichText::new(self.row_name(grid, row)).strong());
            let mut both = vec![pictures];
            if pictures.pane != Pane::Before && self.base.rows.get(row) == grid.rows.get(row) {
                both.insert(0, self.pictures_before());
            }
            ui.horizontal_top(|ui| {
                for shown in both {
                    ui.vertical(|ui| {
                        ui.add(tile::image(shown.texture, shown.grid, [row, column], 140.0));
                        ui.label(self.name(shown.pane));
                        ui.weak(self.verdict(shown.grid, row, column));
                        let mark = self.mark(shown, row, column);
                        if let Some(mark @ (Mark::Forgotten | Mark::Still)) = mark {
                            ui.weak(mark.name());
                        }
                    });
                }
            });
        });
    }

    /// "Seen as Sneaker, 98 %".
    fn verdict(&self, grid: &Grid, row: usize, column: usize) -> String {
        let Some((seen, p)) = grid.seen_in(row, column) else { return "Not judged".into() };
        let class = self.classes.get(seen).map_or("something else", String::as_str);
        format!("Seen as {class}, {:.0} %", p * 100.0)
    }

    fn description(&self, pane: Pane, content: &Content) -> String {
        let name = self.name(pane);
        let (grid, at) = match content {
            Content::Hint(text) => return format!("{name}: {text}"),
            Content::Next(_) => return format!("{name}: nothing yet"),
            Content::Grid(grid, step) => (grid, step.map(|step| format!("step {step}"))),
            Content::Glimpse(_, row, step) => {
                return format!("{name}: {} alone, step {step}", self.row_name(self.base, *row));
            }
            Content::Part(grid, strength) => (grid, Some(format!("strength {strength}"))),
        };
        let agreeing = |row: usize| {
            (0..grid.columns)
                .filter(|&c| grid.seen_in(row, c).is_some_and(|s| Some(s.0) == grid.rows[row]))
                .count()
        };
        let all: usize = (0..grid.rows.len()).map(agreeing).sum();
        let what = if grid.names.is_empty() { "their class" } else { "asked" };
        if !grid.seen.is_empty() && grid.seen.iter().all(Option::is_none) {
            return format!("{name}: {} pictures, not judged", grid.seen.len());
        }
        let mut text = format!("{name}: {all} of {} seen as {what}", grid.seen.len());
        if let (Some(row), false) = (self.forgotten.clone().next(), self.forgotten.is_empty()) {
            let rows = self.forgotten.start..self.forgotten.end.min(grid.rows.len());
            let n = rows.len() * grid.columns;
            let seen: usize = rows.map(agreeing).sum();
            text += &format!(", {} {seen} of {n}", self.row_name(grid, row));
        }
        match at {
            Some(at) => format!("{text}, {at}"),
            None => text,
        }
    }

    fn name(&self, pane: Pane) -> String {
        let name = match pane {
            Pane::After => format!("After ({})", arm_name(self.session, Arm::Method)),
            Pane::Before if self.session.against.is_some() => "Held".into(),
            _ => pane.name().into(),
        };
        if self.differs(pane) { format!("{name}, difference") } else { name }
    }

    fn row_name<'b>(&'b self, grid: &'b Grid, row: usize) -> &'b str {
        grid.name(row, self.classes).unwrap_or("No class")
    }

    fn tile_rect(&self, part: &Part, row: usize, column: usize) -> Rect {
        let place = self.arrangement.place(row - part.rows.start, column);
        Rect::from_min_size(part.rect.min + place, self.arrangement.tile)
    }
}

/// Some rows of a pane, and where their tiles are.
struct Part {
    rect: Rect,
    rows: Range<usize>,
}

/// What a pane shows.
#[derive(Clone, Copy)]
struct Pictures<'a> {
    pane: Pane,
    grid: &'a Grid,
    texture: TextureId,
    own: Own,
}

/// Which rows of a pane are its own; the others are those that it begins with.
#[derive(Clone, Copy, PartialEq)]
enum Own {
    None,
    Row(usize),
    All,
}

impl Own {
    fn has(self, row: usize) -> bool {
        self == Self::All || self == Self::Row(row)
    }
}
