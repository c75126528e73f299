//! The pictures at the shown step, large: of every pane what the network is shown, what it predicts, how that differs.

use egui::epaint::RectShape;
use egui::text::{LayoutJob, TextWrapping};

use super::{Look, Scrubber, Shown};
use crate::studio::prelude::*;
use crate::studio::{Mark, Pane, rounding, tile};

/// Between panes, and between the two pictures of one, in points.
const GAP: f32 = 16.0;
const BETWEEN: f32 = 4.0;
/// Height of a pane's name, and of what stands below its pictures.
const TITLE: f32 = 20.0;
const BELOW: f32 = 18.0;
/// Side of a picture, in points.
const SMALLEST: f32 = 44.0;
const LARGEST: f32 = 360.0;

/// Panes side by side in a band, and the side of a picture, so that pictures are as large as fit.
fn arrange(panes: usize, space: Vec2) -> (usize, f32) {
    let side = |per_band: usize| {
        let bands = panes.div_ceil(per_band) as f32;
        let across = (space.x - (per_band - 1) as f32 * GAP) / per_band as f32;
        let down = space.y / bands - TITLE - BELOW - 4.0;
        ((across - BETWEEN) / 2.0).min(down).clamp(SMALLEST, LARGEST)
    };
    let all = 1..=panes.max(1);
    all.map(|n| (n, side(n))).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((1, SMALLEST))
}

/// Draws the panes within so much height.
pub fn panes_ui(
    scrubber: &mut Scrubber,
    session: &TaskState,
    shown: &[Shown],
    height: f32,
    ui: &mut Ui,
) {
    let (per_band, side) = arrange(shown.len(), vec2(ui.available_width(), height));
    for band in shown.chunks(per_band) {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing = vec2(GAP, 2.0);
            for one in band {
                pane_ui(scrubber, session, [&shown[0], one], side, ui);
            }
        });
    }
}

/// Draws one pane beside the first one.
fn pane_ui(
    scrubber: &mut Scrubber,
    session: &TaskState,
    [before, shown]: [&Shown; 2],
    side: f32,
    ui: &mut Ui,
) {
    let palette = theme::palette(ui);
    let at = scrubber.at;
    let sheets = &mut scrubber.sheets[shown.pane as usize];
    let film = shown.film;
    let size = vec2(2.0 * side + BETWEEN, TITLE + side + BELOW);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let first = Rect::from_min_size(rect.min + vec2(0.0, TITLE), Vec2::splat(side));
    let second = first.translate(vec2(side + BETWEEN, 0.0));
    let predicted = sheets.predicted.texture(ui.ctx(), &film.predicted);
    let differs = scrubber.look == Look::Difference;
    let (left, right, named) = match (differs, shown.pane) {
        (true, Pane::Before) => (predicted, None, ["predicted", ""]),
        (true, _) => {
            let grid = sheets.differs.difference(&film.predicted, &before.film.predicted);
            let heat = sheets.differs.texture(ui.ctx(), &grid);
            (predicted, Some((heat, grid)), ["predicted", "difference"])
        }
        _ => {
            let noisy = sheets.noisy.texture(ui.ctx(), &film.noisy);
            let right = Some((predicted, film.predicted.clone()));
            (noisy, right, ["noisy", "predicted"])
        }
    };
    let painter = ui.painter_at(rect.expand(2.0));
    let color = palette.of(shown.pane);
    let body = TextStyle::Body.resolve(ui.style());
    let color = if shown.pane == Pane::Before { palette.strong } else { color };
    line(&painter, rect.min, &shown.name, rect.width(), body, color);
    mosaic(&painter, first, left, &film.predicted, at);
    if let Some((texture, grid)) = &right {
        mosaic(&painter, second, *texture, grid, at);
    }
    let marked = if differs { first } else { second };
    marks(&painter, marked, shown, session, at);
    let font = TextStyle::Small.resolve(ui.style());
    for (rect, name) in [first, second].into_iter().zip(named) {
        let below = rect.left_bottom() + vec2(0.0, 2.0);
        line(&painter, below, name, side, font.clone(), palette.weak);
    }
    let told = told(shown, session, at);
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &told));
    response.on_hover_text(told);
}

/// Draws a line of text, as much of it as there is room for; its size.
pub fn line(
    painter: &Painter,
    at: Pos2,
    text: &str,
    width: f32,
    font: FontId,
    color: Color32,
) -> Vec2 {
    let mut job = LayoutJob::simple_singleline(text.into(), font, color);
    job.wrap = TextWrapping::truncate_at_width(width);
    let galley = painter.layout_job(job);
    let size = galley.size();
    painter.galley(at, galley, color);
    size
}

/// "After (SalUn): seen as Sneaker, 98 %; 12.3 % from Before".
fn told(shown: &Shown, session: &TaskState, at: usize) -> String {
    let classes = session.seen().map_or(&[][..], |opened| &opened.classes);
    let predicted = &shown.film.predicted;
    let seen: Vec<String> = (0..predicted.rows.len())
        .filter_map(|tile| predicted.seen_in(tile, at.min(predicted.columns.saturating_sub(1))))
        .map(|(class, p)| {
            let name = classes.get(class).map_or("something else", String::as_str);
            format!("{name}, {:.0} %", 100.0 * p)
        })
        .collect();
    let seen =
        if seen.is_empty() { "not judged".into() } else { format!("seen as {}", seen.join("; ")) };
    let far = shown.apart.get(at).filter(|_| shown.pane != Pane::Before);
    match far {
        Some(far) => format!("{}: {seen}; {far:.1} % from Before", shown.name),
        None => format!("{}: {seen}", shown.name),
    }
}

/// Frames the predicted pictures by what is seen in them.
fn marks(painter: &Painter, rect: Rect, shown: &Shown, session: &TaskState, at: usize) {
    let predicted = &shown.film.predicted;
    let forgotten = session.place().is_some_and(|place| session.forgotten().contains(&place.row));
    let at = at.min(predicted.columns.saturating_sub(1));
    let forgotten = forgotten && shown.pane != Pane::Before;
    for (tile, rect) in cells(rect, predicted.rows.len()).enumerate() {
        if let Some(mark) = Mark::at(predicted, tile, at, forgotten) {
            mark.frame(painter, rect);
        }
    }
}

/// The places of so many tiles in a square.
fn cells(rect: Rect, n: usize) -> impl Iterator<Item = Rect> {
    let across = (1..=n.max(1)).find(|side| side * side >= n).unwrap_or(1);
    let side = rect.size() / across as f32;
    (0..n).map(move |i| {
        let place = vec2((i % across) as f32, (i / across) as f32);
        let cell = Rect::from_min_size(rect.min + place * side, side);
        if n > 1 { cell.shrink(1.0) } else { cell }
    })
}

/// Draws all tiles of a step in a square.
pub fn mosaic(painter: &Painter, rect: Rect, texture: TextureId, grid: &Grid, step: usize) {
    let step = step.min(grid.columns.saturating_sub(1));
    for (row, cell) in cells(rect, grid.rows.len()).enumerate() {
        let picture = RectShape::filled(cell, rounding(cell), Color32::WHITE);
        painter.add(picture.with_texture(texture, tile::uv(grid, row, step)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_as_large_as_fit() {
        // The centre of a laptop, of a projector, of a phone.
        for (space, panes, least) in
            [([500.0, 150.0], 3, 70.0), ([1370.0, 420.0], 4, 150.0), ([370.0, 200.0], 3, 56.0)]
        {
            let (per_band, side) = arrange(panes, space.into());
            assert!(side >= least, "{space:?}: {side}");
            let width = per_band as f32 * (2.0 * side + BETWEEN + GAP) - GAP;
            assert!(width <= space[0] + 0.1, "{space:?}: {per_band} of {side}");
        }
    }

    #[test]
    fn tiles_share_a_square() {
        let whole = Rect::from_min_size(pos2(0.0, 0.0), vec2(100.0, 100.0));
        assert_eq!(cells(whole, 1).collect::<Vec<_>>(), [whole]);
        let four: Vec<_> = cells(whole, 4).collect();
        assert_eq!(four[3], Rect::from_min_max(pos2(51.0, 51.0), pos2(99.0, 99.0)));
        assert_eq!(cells(whole, 6).count(), 6);
    }
}
