//! A linear probe on frozen features, and how alike the layers are to those of others.

use super::{examined, legend_ui};
use crate::studio::Pane;
use crate::studio::prelude::*;
use crate::words::{Audit, LayerSimilarity};

/// Draws both.
pub fn layers_ui(audit: &Audit, ui: &mut Ui) {
    probe_ui(audit, ui);
    ui.add_space(8.0);
    similarity_ui(audit, ui);
    if let Some(d) = &audit.divergence {
        let text = format!(
            "Answers on the forget set against Retrain's: Jensen-Shannon divergence {:.3} bits, \
             distance {:.3} (n = {})",
            d.js,
            d.activation,
            format::count(d.n)
        );
        ui.label(text);
    }
}

fn probe_ui(audit: &Audit, ui: &mut Ui) {
    ui.strong("Probe: what a linear classifier still finds in the features");
    let models = examined(audit, |e| e.probe.clone());
    let Some((_, first)) = models.first() else {
        return drop(ui.weak("Too few pictures for a probe"));
    };
    for (model, probe) in &models {
        let told = format!("{:.1} %", probe.forgotten);
        bar_ui(model.name(), &told, probe.forgotten / 100.0, *model, ui);
    }
    let [fitted, n, ..] = first.n.map(format::count);
    fact_ui(ui, format!("Accuracy on the forgotten, n = {n}; fitted to {fitted} pictures"));
}

fn similarity_ui(audit: &Audit, ui: &mut Ui) {
    ui.strong("Layers: linear CKA on the forget set, 1 is the same up to a rotation");
    let both = audit.layers.iter().any(|l| l.retrain.is_some());
    let models = [("to the original", Pane::Before), ("to Retrain", Pane::Retrain)];
    legend_ui(models.into_iter().take(1 + usize::from(both)), ui);
    for layer in &audit.layers {
        let LayerSimilarity { name, original, retrain } = layer;
        for (title, alike, model) in
            [(name.as_str(), Some(*original), Pane::Before), ("", *retrain, Pane::Retrain)]
        {
            let Some([Some(value), rest]) = alike else { continue };
            bar_ui(title, &format!("{value:.3}"), value, model, ui).on_hover_ui(|ui| {
                ui.label(RichText::new(name).strong());
                ui.label(format!("On the forget set {value:.3}"));
                if let Some(rest) = rest {
                    ui.label(format!("On the rest {rest:.3}"));
                }
            });
        }
    }
    let [forgotten, rest] = audit.layers_n.map(format::count);
    let text = format!("{forgotten} pictures of the forget set; of the rest {rest} (hover)");
    fact_ui(ui, text);
}

/// A bar from 0 to 1 with its name and its value.
fn bar_ui(name: &str, value: &str, share: f64, model: Pane, ui: &mut Ui) -> Response {
    let palette = theme::palette(ui);
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width().min(620.0), 16.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, format!("{name} {value}")));
    let font = TextStyle::Small.resolve(ui.style());
    let painter = ui.painter();
    let left = rect.left() + 90.0;
    let at = pos2(left - 8.0, rect.center().y);
    painter.text(at, Align2::RIGHT_CENTER, name, font.clone(), palette.text);
    let track = Rect::from_min_max(pos2(left, rect.top() + 3.0), rect.max - vec2(56.0, 3.0));
    painter.rect_filled(track, 2.0, palette.border);
    let filled = track.with_max_x(track.left() + track.width() * share.clamp(0.0, 1.0) as f32);
    painter.rect_filled(filled, 2.0, palette.of(model));
    painter.text(rect.right_center(), Align2::RIGHT_CENTER, value, font, palette.text);
    response
}
