//! The centre: the same pictures before, after, with a random mask, and by Retrain.

use std::sync::Arc;

use egui::{
    Align2, Color32, FontId, Image, Mesh, Painter, Rect, Response, RichText, Role, ScrollArea,
    Sense, Shape, Stroke, StrokeKind, TextStyle, Ui, Vec2, WidgetInfo, pos2, vec2,
};

use super::{
    app::Studio,
    request::Choice,
    session::{Content, Pane, Session},
    state::State,
    theme::{self, Palette},
    tile::{self, Sheet},
    words,
};
use crate::{
    engine::job::{Grid, Opened},
    unlearn::registry::METHODS,
};

/// Width of the class names, in points.
const NAMES: f32 = 84.0;
/// Height of a pane's title.
const TITLE: f32 = 22.0;
const GAP: f32 = 14.0;

/// Which panes are shown, and their textures.
pub struct Comparison {
    shown: [bool; 4],
    sheets: [Sheet; 4],
}

impl Default for Comparison {
    fn default() -> Self {
        Self { shown: [true; 4], sheets: Default::default() }
    }
}

impl Comparison {
    /// A pane's texture.
    pub fn sheet(&mut self, pane: Pane) -> &mut Sheet {
        &mut self.sheets[pane as usize]
    }
}

/// Draws the panes.
pub fn compare_ui(studio: &mut Studio, ui: &mut Ui) {
    ui.horizontal(|ui| {
        for pane in Pane::ALL {
            ui.checkbox(&mut studio.comparison.shown[pane as usize], pane.name())
                .on_hover_text("Show or hide this pane");
        }
    });
    ui.horizontal(legend_ui);
    ui.add_space(4.0);
    match studio.state.session().opened.clone() {
        Some(opened) => panes_ui(studio, ui, &opened),
        None => opening_ui(&mut studio.state, ui),
    }
}

fn opening_ui(state: &mut State, ui: &mut Ui) {
    ui.vertical_centered(|ui| {
        ui.add_space(ui.available_height() * 0.4);
        if state.work.is_some() {
            ui.label(RichText::new("Drawing the first pictures…").heading());
            ui.weak("The model shows what it knows of every class");
        } else {
            ui.label(RichText::new("No model is open").heading());
            if ui.button("Open again").clicked() {
                state.open();
            }
        }
    });
}

/// Says what the frames mean.
fn legend_ui(ui: &mut Ui) {
    ui.spacing_mut().interact_size.y = 14.0;
    ui.spacing_mut().item_spacing.x = 6.0;
    for (agrees, text) in [(true, "seen as its class"), (false, "seen as another")] {
        let (rect, _) = ui.allocate_exact_size(vec2(14.0, 14.0), Sense::hover());
        frame(ui.painter(), rect, agrees);
        ui.label(RichText::new(text).small().weak());
        ui.add_space(8.0);
    }
}

/// How panes are arranged: side by side in bands, with tiles as large as fit.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Arrangement {
    per_band: usize,
    /// Size of a tile with its frame, in points.
    tile: Vec2,
}

/// `panes` are widths in tiles.
fn arrange(space: Vec2, panes: &[usize], grid: &Grid) -> Arrangement {
    let rows = grid.rows.len().max(1) as f32;
    let aspect = grid.tile[0] as f32 / grid.tile[1].max(1) as f32;
    let side = |per_band: usize| {
        let bands = panes.chunks(per_band);
        let down = bands.len() as f32;
        let widest = bands.map(|band| band.iter().sum::<usize>()).max().unwrap_or(1);
        // A point is lost to rounding.
        let width = space.x - NAMES - per_band as f32 * GAP - 1.0;
        let height = (space.y - down * (TITLE + GAP)) / (down * rows);
        (width / widest.max(1) as f32).min(height / aspect)
    };
    let best = (1..=panes.len().max(1)).max_by(|a, b| side(*a).total_cmp(&side(*b))).unwrap_or(1);
    let side = side(best).clamp(14.0, 72.0);
    Arrangement { per_band: best, tile: vec2(side, side * aspect) }
}

fn panes_ui(studio: &mut Studio, ui: &mut Ui, opened: &Arc<Opened>) {
    let shown: Vec<Pane> =
        Pane::ALL.into_iter().filter(|p| studio.comparison.shown[*p as usize]).collect();
    let session = studio.state.session();
    let widths: Vec<usize> = shown.iter().map(|p| width(session, opened, *p)).collect();
    let arrangement = arrange(ui.available_size(), &widths, &opened.grid);
    let before = studio.comparison.sheets[0].texture(ui.ctx(), &opened.grid);
    let look = Look {
        session,
        opened,
        forgotten: match session.request.what {
            Some(Choice::Class(class)) => Some(class),
            _ => None,
        },
        tile: arrangement.tile,
        before,
        palette: theme::palette(ui),
    };
    ScrollArea::both().auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing = vec2(GAP, GAP);
        for band in shown.chunks(arrangement.per_band) {
            ui.horizontal_top(|ui| {
                look.names_ui(ui);
                for &pane in band {
                    look.pane_ui(ui, pane, &mut studio.comparison.sheets[pane as usize]);
                }
            });
        }
    });
}

/// A pane's width in tiles. Retrain without a twin stays empty, so it takes half.
fn width(session: &Session, opened: &Opened, pane: Pane) -> usize {
    let columns = opened.grid.columns;
    match (pane, session.content(pane)) {
        (Pane::Retrain, Content::Hint(_)) => columns.div_ceil(2),
        _ => columns,
    }
}

/// What all panes have in common.
struct Look<'a> {
    session: &'a Session,
    opened: &'a Opened,
    forgotten: Option<usize>,
    tile: Vec2,
    before: egui::TextureId,
    palette: &'static Palette,
}

impl Look<'_> {
    fn names_ui(&self, ui: &mut Ui) {
        let grid = &self.opened.grid;
        let size = vec2(NAMES - GAP, TITLE + grid.rows.len() as f32 * self.tile.y);
        let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
        let font = TextStyle::Small.resolve(ui.style());
        for (row, class) in grid.rows.iter().enumerate() {
            let color = match class {
                Some(class) if Some(*class) == self.forgotten => self.palette.accent_text,
                _ => ui.visuals().text_color(),
            };
            let y = rect.top() + TITLE + (row as f32 + 0.5) * self.tile.y;
            let painter = ui.painter_at(rect);
            let name = self.class_name(*class);
            painter.text(pos2(rect.right(), y), Align2::RIGHT_CENTER, name, font.clone(), color);
        }
    }

    fn pane_ui(&self, ui: &mut Ui, pane: Pane, sheet: &mut Sheet) {
        let like = &self.opened.grid;
        let columns = width(self.session, self.opened, pane);
        let tiles = vec2(columns as f32, like.rows.len() as f32) * self.tile;
        let (rect, response) = ui.allocate_exact_size(tiles + vec2(0.0, TITLE), Sense::hover());
        let content = self.session.content(pane);
        response.widget_info(|| {
            WidgetInfo::labeled(Role::Image, true, self.description(pane, &content))
        });
        let tiles = Rect::from_min_max(rect.min + vec2(0.0, TITLE), rect.max);
        self.title(ui, rect, pane, &content);
        match content {
            Content::Hint(text) => hint(ui, tiles, text, self.palette),
            Content::Grid(grid, _) => {
                let texture = sheet.texture(ui.ctx(), grid);
                self.tiles(ui, tiles, grid, texture);
                self.tooltip_ui(response, tiles, pane, grid, texture);
            }
        }
    }

    fn title(&self, ui: &Ui, rect: Rect, pane: Pane, content: &Content) {
        let painter = ui.painter_at(rect);
        let body = TextStyle::Body.resolve(ui.style());
        let name = self.name(pane);
        let drawn = painter.text(rect.min, Align2::LEFT_TOP, name, body, self.palette.strong);
        if let Content::Grid(_, Some(step)) = content {
            let small = TextStyle::Small.resolve(ui.style());
            let at = drawn.right_bottom() + vec2(8.0, -1.0);
            let text = format!("step {}", words::count(*step));
            painter.text(at, Align2::LEFT_BOTTOM, text, small, self.palette.weak);
        }
    }

    fn tiles(&self, ui: &Ui, rect: Rect, grid: &Grid, texture: egui::TextureId) {
        let painter = ui.painter();
        let mut mesh = Mesh::with_texture(texture);
        let forgotten = grid.rows.iter().position(|r| r.is_some() && *r == self.forgotten);
        if let Some(row) = forgotten {
            let band =
                self.tile_rect(rect, row, 0).union(self.tile_rect(rect, row, grid.columns - 1));
            let stroke = Stroke::new(1.5, self.palette.accent_text);
            painter.rect(
                band.expand(1.0),
                3.0,
                self.palette.accent.gamma_multiply(0.35),
                stroke,
                StrokeKind::Outside,
            );
        }
        let each = |draw: &mut dyn FnMut(usize, usize, Rect)| {
            for row in 0..grid.rows.len() {
                for column in 0..grid.columns {
                    let tile = self.tile_rect(rect, row, column).shrink(1.0);
                    if ui.is_rect_visible(tile) {
                        draw(row, column, tile);
                    }
                }
            }
        };
        each(&mut |row, column, tile| {
            mesh.add_rect_with_uv(tile, tile::uv(grid, row, column), Color32::WHITE);
        });
        painter.add(Shape::mesh(mesh));
        each(&mut |row, column, tile| {
            if let (Some((seen, _)), Some(class)) = (grid.seen_in(row, column), grid.rows[row]) {
                frame(painter, tile, seen == class);
            }
        });
    }

    fn tooltip_ui(
        &self,
        response: Response,
        rect: Rect,
        pane: Pane,
        grid: &Grid,
        texture: egui::TextureId,
    ) {
        let Some(at) = response.hover_pos().filter(|p| rect.contains(*p)) else { return };
        let place = (at - rect.min) / self.tile;
        let (column, row) = (place.x as usize, place.y as usize);
        if row >= grid.rows.len() || column >= grid.columns {
            return;
        }
        response.on_hover_ui_at_pointer(|ui| {
            ui.label(RichText::new(self.class_name(grid.rows[row])).strong());
            let before = &*self.opened.grid;
            let mut both = vec![(pane, grid, texture)];
            if pane != Pane::Before && before.rows.get(row) == grid.rows.get(row) {
                both.insert(0, (Pane::Before, before, self.before));
            }
            ui.horizontal_top(|ui| {
                for (pane, grid, texture) in both {
                    ui.vertical(|ui| {
                        let size = vec2(140.0, 140.0 * self.tile.y / self.tile.x);
                        let uv = tile::uv(grid, row, column);
                        ui.add(Image::from_texture((texture, size)).uv(uv).fit_to_exact_size(size));
                        ui.label(self.name(pane));
                        ui.weak(self.verdict(grid, row, column));
                    });
                }
            });
        });
    }

    /// "Seen as Sneaker, 98 %".
    fn verdict(&self, grid: &Grid, row: usize, column: usize) -> String {
        match grid.seen_in(row, column) {
            Some((seen, p)) => {
                format!("Seen as {}, {:.0} %", self.class_name(Some(seen)), p * 100.0)
            }
            None => "Not judged".into(),
        }
    }

    fn description(&self, pane: Pane, content: &Content) -> String {
        let name = self.name(pane);
        let (grid, step) = match content {
            Content::Hint(text) => return format!("{name}: {text}"),
            Content::Grid(grid, step) => (grid, step),
        };
        let agreeing = |row: usize| {
            (0..grid.columns)
                .filter(|&c| grid.seen_in(row, c).map(|s| s.0) == grid.rows[row])
                .count()
        };
        let all: usize = (0..grid.rows.len()).map(agreeing).sum();
        let mut text = format!("{name}: {all} of {} seen as their class", grid.seen.len());
        if let Some(row) = grid.rows.iter().position(|r| r.is_some() && *r == self.forgotten) {
            let class = self.class_name(grid.rows[row]);
            text += &format!(", {class} {} of {}", agreeing(row), grid.columns);
        }
        match step {
            Some(step) => format!("{text}, step {step}"),
            None => text,
        }
    }

    fn name(&self, pane: Pane) -> String {
        let method = METHODS.iter().find(|m| m.name == self.session.request.method);
        match (pane, method) {
            (Pane::After, Some(method)) => format!("After ({})", method.title),
            _ => pane.name().into(),
        }
    }

    fn class_name(&self, class: Option<usize>) -> &str {
        class.map_or("No class", |c| self.opened.classes.get(c).map_or("?", String::as_str))
    }

    fn tile_rect(&self, rect: Rect, row: usize, column: usize) -> Rect {
        Rect::from_min_size(rect.min + vec2(column as f32, row as f32) * self.tile, self.tile)
    }
}

/// A tile's frame: thin where the classifier agrees; thick and with a filled corner where not, so
/// that it reads without colour.
fn frame(painter: &Painter, rect: Rect, agrees: bool) {
    if agrees {
        painter.rect_stroke(rect, 1.0, Stroke::new(1.0, theme::AGREES), StrokeKind::Inside);
        return;
    }
    painter.rect_stroke(rect, 1.0, Stroke::new(2.0, theme::DIFFERS), StrokeKind::Inside);
    let side = (rect.width() * 0.4).clamp(6.0, 12.0);
    let corner = rect.right_top();
    let points = vec![corner, corner - vec2(side, 0.0), corner + vec2(0.0, side)];
    painter.add(Shape::convex_polygon(points, theme::DIFFERS, Stroke::NONE));
}

fn hint(ui: &Ui, rect: Rect, text: String, palette: &Palette) {
    let painter = ui.painter_at(rect);
    painter.rect(rect, 4.0, palette.card, Stroke::new(1.0, palette.border), StrokeKind::Inside);
    let font = FontId::proportional(13.0);
    let galley = painter.layout(text, font, palette.weak, (rect.width() - 16.0).max(40.0));
    painter.galley(rect.center() - galley.size() / 2.0, galley, palette.weak);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_panes_fit_the_smallest_window() {
        let grid = Grid {
            rows: (0..10).map(Some).collect(),
            columns: 6,
            channels: 1,
            tile: [28, 28],
            pixels: Vec::new(),
            seen: Vec::new(),
        };
        // The centre at 1024 x 640.
        let small = arrange(vec2(480.0, 260.0), &[6, 6, 6, 3], &grid);
        assert!(small.per_band == 4 && small.tile.x > 14.0, "{small:?}");
        assert!(NAMES + 4.0 * GAP + 21.0 * small.tile.x <= 480.0);
        let large = arrange(vec2(900.0, 700.0), &[6, 6], &grid);
        assert!(large.per_band == 2 && large.tile.x > 60.0, "{large:?}");
    }
}
