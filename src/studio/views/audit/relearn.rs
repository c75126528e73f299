//! Does a short training on a tenth of the forget set bring the rest of it back?

use super::{examined, legend_ui, width};
use crate::studio::prelude::*;
use crate::studio::{Chart, round_up};
use crate::words::Audit;

/// Draws the curves.
pub fn relearn_ui(audit: &Audit, height: f32, ui: &mut Ui) {
    let models = examined(audit, |e| e.relearn.clone());
    let Some((_, first)) = models.first() else {
        return drop(ui.weak("The forget set is too small to learn a part of it again"));
    };
    legend_ui(models.iter().map(|(model, _)| (model.name(), *model)), ui);
    let updates = first.accuracy.len().saturating_sub(1).max(1);
    let axes = [("updates", round_up(updates as f64)), ("accuracy on the rest of it, %", 100.0)];
    let areas: Vec<String> =
        models.iter().map(|(model, r)| format!("{} {:.1} %", model.name(), r.area)).collect();
    let told = format!("Relearn curves, mean height: {}", areas.join(", "));
    let size = vec2(ui.available_width().min(620.0), height);
    let chart = Chart::new(ui, size, axes, &told);
    let chance = chart.at(0.0, audit.chance).y;
    chart.dashed([chart.rect.left(), chart.rect.right()].map(|x| pos2(x, chance)), ui);
    for (model, relearn) in models.iter().rev() {
        let points = relearn.accuracy.iter().enumerate().map(|(i, a)| [i as f64, *a]);
        chart.line(points, width(*model), theme::palette(ui).of(*model));
    }
    ui.label(areas.join(", ")).on_hover_text("Mean height of each curve");
    let [learnt, rest] = first.n.map(format::count);
    let text = format!(
        "{learnt} pictures are learnt again, accuracy over {rest}; lr {}, batch {}; dashed: an \
         even guess",
        first.lr, first.batch
    );
    fact_ui(ui, text);
}
