//! One pane: its title, its tiles with what the classifier sees in them, the tile under the hand.

use std::{f32::consts::TAU, ops::Range};

use egui::{
    Mesh, UiBuilder,
    epaint::TextShape,
    text::{LayoutJob, TextWrapping},
};

use super::prelude::*;
use super::views::compare;
use super::views::compare::{Arrangement, GAP, TITLE, names_width};
use super::{Content, Pane, Sheet, arm_name, swipe, tile};

/// Below this width, in points, a hint runs upwards.
const NARROWEST: f32 = 80.0;

/// What all panes have in common.
pub struct PaneContext<'a> {
    pub session: &'a TaskState,
    /// The pictures before, which all panes are like.
    pub base: &'a Grid,
    pub classes: &'a [String],
    /// The rows that are marked.
    pub forgotten: Range<usize>,
    /// Where tiles are, and how many.
    pub arrangement: Arrangement,
    /// The texture of the pictures before.
    pub before: TextureId,
    /// The share of the other panes that shows Before.
    pub swipe: Option<f32>,
    pub palette: &'static Palette,
}

impl PaneContext<'_> {
    /// Draws the names of some rows.
    pub fn names_ui(&self, ui: &mut Ui, rows: &Range<usize>) {
        let grid = self.base;
        let width = names_width(grid) - GAP;
        let size = vec2(width, TITLE + rows.len() as f32 * self.arrangement.tile.y);
        let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
        let font = TextStyle::Small.resolve(ui.style());
        let painter = ui.painter_at(rect);
        for row in rows.clone() {
            let color = match self.forgotten.contains(&row) {
                true => self.palette.accent_text,
                false => ui.visuals().text_color(),
            };
            let y =
                rect.top() + TITLE + ((row - rows.start) as f32 + 0.5) * self.arrangement.tile.y;
            let name = self.row_name(grid, row);
            // A prompt may be of any length: as many lines as its row has room for.
            let mut job = LayoutJob::simple(name.into(), font.clone(), color, width);
            job.halign = Align::RIGHT;
            job.wrap.max_rows = ((self.arrangement.tile.y / font.size / 1.3) as usize).max(1);
            let galley = painter.layout_job(job);
            painter.galley(pos2(rect.right(), y - galley.size().y / 2.0), galley, color);
        }
    }

    /// Draws some rows of a pane: where it is, and where its swipe was moved to.
    pub fn pane_ui(
        &self,
        ui: &mut Ui,
        pane: Pane,
        sheet: &mut Sheet,
        rows: &Range<usize>,
    ) -> (Rect, Option<f32>) {
        let like = self.base;
        let strip = compare::strip(self.session, pane);
        let width = strip.unwrap_or(
            (self.arrangement.columns as f32 * self.arrangement.tile.x).max(self.arrangement.least),
        );
        let size = vec2(width, TITLE + rows.len() as f32 * self.arrangement.tile.y);
        let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
        let content = self.session.content(pane);
        response.widget_info(|| {
            let told = match rows.start {
                0 => self.description(pane, &content),
                row => format!("{}, from {} on", self.name(pane), self.row_name(like, row)),
            };
            WidgetInfo::labeled(Role::Image, true, told)
        });
        if let (Some(_), Content::Hint(text)) = (strip, &content) {
            // There is no room for a title of its own.
            let text = format!("{}. {text}", self.name(pane));
            hint(ui, rect, &text, self.palette);
            response.on_hover_text(text);
            return (rect, None);
        }
        let tiles = Rect::from_min_max(rect.min + vec2(0.0, TITLE), rect.max);
        let cut = self.title(ui, rect, pane, &content);
        let grid = match content {
            Content::Hint(text) => {
                let said = if rows.start == 0 { text.as_str() } else { "" };
                let cut = hint(ui, tiles, said, self.palette) || cut;
                if cut {
                    response.on_hover_text(format!("{}. {text}", self.name(pane)));
                }
                return (rect, None);
            }
            Content::Grid(grid, _) | Content::Part(grid, _) => grid,
        };
        if cut && response.hover_pos().is_some_and(|p| !tiles.contains(p)) {
            response.clone().on_hover_text(self.name(pane));
        }
        let pictures = Pictures { pane, grid, texture: sheet.texture(ui.ctx(), grid) };
        let part = Part { rect: tiles, rows: rows.clone() };
        let Some(at) = self.swipe.filter(|_| pane != Pane::Before && grid.rows == like.rows) else {
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
            Content::Grid(_, Some(step)) => format!("step {}", format::count(*step)),
            Content::Part(_, strength) => format!("strength {strength}"),
            Content::Grid(..) if pane == Pane::Before && shown < self.base.columns => {
                format!("{shown} of {}", self.base.columns)
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

    fn pictures_before(&self) -> Pictures<'_> {
        Pictures { pane: Pane::Before, grid: self.base, texture: self.before }
    }

    fn tiles(&self, ui: &Ui, part: &Part, pictures: Pictures) {
        let (painter, grid, texture) = (ui.painter(), pictures.grid, pictures.texture);
        let mut mesh = Mesh::with_texture(texture);
        let columns = self.arrangement.columns.min(grid.columns);
        let rows = part.rows.start..part.rows.end.min(grid.rows.len());
        let like = grid.rows.len() == self.base.rows.len();
        let forgotten = self.forgotten.start.max(rows.start)..self.forgotten.end.min(rows.end);
        if !forgotten.is_empty() && like && columns > 0 {
            let last = self.tile_rect(part, forgotten.end - 1, columns - 1);
            let band = self.tile_rect(part, forgotten.start, 0).union(last);
            let stroke = Stroke::new(1.5, self.palette.accent_text);
            let fill = self.palette.accent.gamma_multiply(0.35);
            painter.rect(band.expand(1.0), 3.0, fill, stroke, StrokeKind::Outside);
        }
        let all = rows.flat_map(|row| (0..columns).map(move |column| (row, column)));
        let mut tiles: Vec<_> = all
            .map(|(row, column)| (row, column, self.tile_rect(part, row, column).shrink(1.0)))
            .collect();
        tiles.retain(|(.., tile)| ui.is_rect_visible(*tile));
        for &(row, column, tile) in &tiles {
            mesh.add_rect_with_uv(tile, tile::uv(grid, row, column), Color32::WHITE);
        }
        painter.add(Shape::mesh(mesh));
        for (row, column, tile) in tiles {
            if let Some(mark) = self.mark(pictures, row, column) {
                frame(painter, tile, mark);
            }
        }
    }

    /// What a tile's frame says.
    fn mark(&self, pictures: Pictures, row: usize, column: usize) -> Option<Mark> {
        let Pictures { pane, grid, .. } = pictures;
        let (seen, _) = grid.seen_in(row, column)?;
        let like = grid.rows.len() == self.base.rows.len();
        let forgotten = pane != Pane::Before && like && self.forgotten.contains(&row);
        Some(Mark::of(seen == grid.rows[row]?, forgotten))
    }

    fn tooltip_ui(&self, response: Response, part: &Part, pictures: Pictures) {
        let (rect, grid) = (part.rect, pictures.grid);
        let Some(at) = response.hover_pos().filter(|p| rect.contains(*p)) else { return };
        let place = (at - rect.min) / self.arrangement.tile;
        let (column, row) = (place.x as usize, part.rows.start + place.y as usize);
        if row >= grid.rows.len() || column >= grid.columns.min(self.arrangement.columns) {
            return;
        }
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
            Content::Grid(grid, step) => (grid, step.map(|step| format!("step {step}"))),
            Content::Part(grid, strength) => (grid, Some(format!("strength {strength}"))),
        };
        let agreeing = |row: usize| {
            (0..grid.columns)
                .filter(|&c| grid.seen_in(row, c).map(|s| s.0) == grid.rows[row])
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
        match pane {
            Pane::After => format!("After ({})", arm_name(self.session, Arm::Method)),
            Pane::Before if self.session.against.is_some() => "Held".into(),
            _ => pane.name().into(),
        }
    }

    fn row_name<'b>(&'b self, grid: &'b Grid, row: usize) -> &'b str {
        grid.name(row, self.classes).unwrap_or("No class")
    }

    fn tile_rect(&self, part: &Part, row: usize, column: usize) -> Rect {
        let place = vec2(column as f32, (row - part.rows.start) as f32);
        Rect::from_min_size(part.rect.min + place * self.arrangement.tile, self.arrangement.tile)
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
}

/// What the classifier makes of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Kept,
    Differs,
    Forgotten,
    Still,
}

impl Mark {
    pub const ALL: [Self; 4] = [Self::Kept, Self::Differs, Self::Forgotten, Self::Still];

    /// The mark of a tile that is seen as asked or not; and whether it is to be forgotten.
    pub fn of(seen: bool, forgotten: bool) -> Self {
        match (seen, forgotten) {
            (true, false) => Self::Kept,
            (false, false) => Self::Differs,
            (false, true) => Self::Forgotten,
            (true, true) => Self::Still,
        }
    }

    /// Its name in the legend.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kept => "seen as asked",
            Self::Differs => "as another",
            Self::Forgotten => "forgotten",
            Self::Still => "still seen",
        }
    }

    /// Its name at length.
    pub fn means(self) -> &'static str {
        match self {
            Self::Kept => "The classifier sees what the row asks for",
            Self::Differs => "It sees something else: damage, unless it was so before",
            Self::Forgotten => "What is to be forgotten is no longer seen",
            Self::Still => "What is to be forgotten is still seen",
        }
    }
}

/// A tile's frame. Each kind has a shape of its own, so that it reads without colour: none, a filled
/// corner, a disc, a square.
pub fn frame(painter: &Painter, rect: Rect, mark: Mark) {
    let (width, color) = match mark {
        Mark::Kept => (1.0, theme::AGREES),
        Mark::Differs => (2.0, theme::DIFFERS),
        Mark::Forgotten => (2.0, theme::FORGOTTEN),
        Mark::Still => (2.0, theme::STILL),
    };
    painter.rect_stroke(rect, 1.0, Stroke::new(width, color), StrokeKind::Inside);
    let side = (rect.width() * 0.4).clamp(6.0, 12.0);
    let corner = rect.right_top();
    match mark {
        Mark::Kept => {}
        Mark::Differs => {
            let points = vec![corner, corner - vec2(side, 0.0), corner + vec2(0.0, side)];
            painter.add(Shape::convex_polygon(points, color, Stroke::NONE));
        }
        Mark::Forgotten => {
            let radius = side * 0.5;
            let middle = corner + vec2(-radius - 1.0, radius + 1.0);
            painter.circle(middle, radius, color, Stroke::new(1.0, Color32::BLACK));
        }
        Mark::Still => {
            let square = Rect::from_min_size(rect.min, Vec2::splat(side * 0.8));
            painter.rect_filled(square, 0.0, color);
        }
    }
}

/// Says why there are no pictures: along a pane that is too narrow for its words. Whether some did
/// not fit.
fn hint(ui: &Ui, rect: Rect, text: &str, palette: &Palette) -> bool {
    let painter = ui.painter_at(rect);
    painter.rect(rect, 4.0, palette.card, Stroke::new(1.0, palette.border), StrokeKind::Inside);
    let upright = rect.width() < NARROWEST && rect.height() > rect.width();
    let room = if upright { vec2(rect.height(), rect.width()) } else { rect.size() };
    let room = room - vec2(16.0, 8.0);
    let font = FontId::proportional(if upright { 12.0 } else { 13.0 });
    let lines = (room.y / ui.fonts_mut(|f| f.row_height(&font))).max(1.0) as usize;
    let mut job = LayoutJob::simple(text.into(), font, palette.weak, room.x);
    job.wrap.max_rows = lines;
    job.halign = Align::Center;
    let galley = painter.layout_job(job);
    let (cut, turn) = (galley.elided, if upright { -TAU / 4.0 } else { 0.0 });
    let at = rect.center() - galley.rect.center().to_vec2();
    let shape = TextShape::new(at, galley, palette.weak);
    painter.add(shape.with_angle_and_anchor(turn, Align2::CENTER_CENTER));
    cut
}
