//! The saliency of a recorded run: what its report and its histogram say, while no scores are here.

use super::prelude::*;
use super::saliency_panel::{bars, short};
use crate::run::Record;
use crate::saliency::Histogram;
use crate::words::LayerReport;

/// Height of a layer's row, in points.
const ROW: f32 = 30.0;

/// Draws the mask of a recorded run.
pub fn recorded_ui(record: &Record, ui: &mut Ui) {
    let Some(mask) = &record.run.report.mask else {
        return drop(ui.weak("This run has no mask: every weight may change"));
    };
    let [k, n] = [mask.k, mask.n].map(format::count);
    ui.label(format!("{k} of {n} weights free"));
    ui.weak("As recorded; the scores come once the model is open");
    if let Some(scores) = &record.scores {
        histogram_ui(scores, mask.threshold, ui);
    }
    let listed: Vec<usize> =
        (0..mask.layers.len()).filter(|&i| mask.layers[i].shape.len() > 1).collect();
    let most = record.change.iter().copied().fold(0.0, f32::max);
    ui.spacing_mut().item_spacing.y = 2.0;
    let area = ScrollArea::vertical().id_salt("recorded layers").auto_shrink(false);
    area.show_rows(ui, ROW, listed.len(), |ui, rows| {
        for &at in &listed[rows] {
            let moved = record.change.get(at).filter(|_| most > 0.0).map(|mean| mean / most);
            layer_ui(&mask.layers[at], moved, ui);
        }
    });
}

fn histogram_ui(scores: &Histogram, threshold: f64, ui: &mut Ui) {
    let (chart, line) = bars(scores, threshold, theme::palette(ui));
    let plot = still_plot("recorded histogram").height(100.0).show_axes([true, false]);
    let plot = plot.show_grid(false).show_x(false).show_y(false).include_y(0.0);
    plot.show(ui, |plot| {
        plot.bar_chart(chart);
        plot.vline(line);
    });
    ui.label(small("log10 of the score of each weight").weak());
}

/// Draws a layer: how much of it was free, and how far it moved beside the others.
fn layer_ui(layer: &LayerReport, moved: Option<f32>, ui: &mut Ui) {
    let size = vec2(ui.available_width(), ROW);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let [kept, n] = [layer.kept, layer.n].map(format::count);
    let told = format!("{}, {kept} of {n} weights free", layer.name);
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &told));
    let palette = theme::palette(ui);
    let painter = ui.painter();
    painter.rect(rect, 4.0, palette.card, Stroke::new(1.0, palette.border), StrokeKind::Inside);
    let inner = rect.shrink2(vec2(8.0, 4.0));
    let font = TextStyle::Small.resolve(ui.style());
    let share = layer.kept as f64 / layer.n.max(1) as f64;
    let count = painter.layout_no_wrap(format::percent(share), font.clone(), palette.weak);
    let room = inner.width() - count.size().x - 8.0;
    let name = short(&layer.name, room, |name| {
        painter.layout_no_wrap(name.into(), font.clone(), palette.text).size().x
    });
    painter.galley(pos2(inner.right() - count.size().x, inner.top()), count, palette.weak);
    painter.text(inner.left_top(), Align2::LEFT_TOP, name, font, palette.text);
    let bar = inner.with_min_y(inner.bottom() - 5.0);
    painter.rect_filled(bar, 2.0, palette.border);
    let filled = bar.with_max_x(bar.left() + bar.width() * share as f32);
    painter.rect_filled(filled, 2.0, palette.accent_text);
    if let Some(moved) = moved {
        let line = inner.with_min_y(inner.bottom() + 1.0).with_max_y(inner.bottom() + 3.0);
        let filled = line.with_max_x(line.left() + line.width() * moved);
        painter.rect_filled(filled, 1.0, palette.caution);
    }
    response.on_hover_text(told);
}
