//! The open layer beside the drawing: what it is, and its filters.

use super::filters::Open;
use super::shades::Shades;
use super::{Drawing, WIDE};
use crate::models::{Graph, WeightEntry};
use crate::studio::heat::HeatMap;
use crate::studio::prelude::*;
use crate::studio::views::refused_ui;

/// Draws the panel of a layer, by one of its parameters.
pub fn panel_ui(studio: &mut Studio, graph: &Graph, shades: &Shades, param: usize, ui: &mut Ui) {
    let place = ui.available_size();
    let frame = Frame::NONE.inner_margin(egui::Margin::symmetric(8, 4));
    let mut draw = |ui: &mut Ui| layer_ui(studio, graph, shades, param, ui);
    if place.x > WIDE {
        let panel = Panel::right("layer").frame(frame).resizable(true);
        let most = place.x * 0.6;
        panel.default_size(place.x * 0.4).size_range(240.0..=most).show(ui, |ui| draw(ui));
    } else {
        let panel = Panel::bottom("layer below").frame(frame).resizable(true);
        let most = (place.y * 0.75).max(120.0);
        panel.default_size(place.y * 0.52).size_range(110.0..=most).show(ui, |ui| draw(ui));
    }
}

fn layer_ui(studio: &mut Studio, graph: &Graph, shades: &Shades, param: usize, ui: &mut Ui) {
    let Some(node) = graph.node_of(param) else { return };
    let of = &graph.nodes[node];
    let close = |ui: &mut Ui| ui.button("Close").on_hover_text("Closes the layer").clicked();
    let mut closed = false;
    line_ui(
        ui,
        |ui| closed = close(ui),
        |ui| {
            ui.add(Label::new(RichText::new(&of.name).strong()).truncate()).on_hover_text(&of.name);
        },
    );
    let heat = studio.own.of::<HeatMap>();
    if closed {
        heat.layer = None;
    }
    // A layer's normalisation and its bias are parameters of their own.
    if of.params.len() > 1 {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            for (&other, name) in of.params.iter().zip(&of.called) {
                let label = small(end(name, &of.name));
                if ui.selectable_label(other == param, label).clicked() {
                    heat.open(other);
                }
            }
        });
    }
    let Studio { own, state, .. } = studio;
    let refused = state.weigh(param);
    let session = state.session();
    let model = session.opened.as_ref().map_or("", |opened| &*opened.name);
    let weights = session.insights.weights(model, param);
    let layout = session.saliency.as_ref().map(|saliency| &saliency.ranking.layout);
    let entry = layout.and_then(|layout| layout.params.get(param));
    let Some(entry) = entry.or(weights.map(|weights| &weights.entry)) else {
        return waiting_ui(state, refused, ui);
    };
    facts_ui(session, shades, node, param, entry, ui);
    ui.add_space(2.0);
    let open = Open {
        param,
        entry,
        saliency: session.saliency.as_ref(),
        weights,
        run: session.run(Arm::Method),
    };
    if !own.of::<Drawing>().filters.ui(&open, ui) {
        waiting_ui(state, refused, ui);
    }
}

/// What stands here until the weights are there.
fn waiting_ui(state: &mut State, refused: bool, ui: &mut Ui) {
    let text = match refused {
        true => "The weights could not be shown",
        false => "The weights come once the work in progress is done",
    };
    refused_ui(state, text, refused, ui);
}

/// What of a parameter's name the layer's has not.
fn end<'a>(name: &'a str, layer: &str) -> &'a str {
    match name.strip_prefix(layer).and_then(|end| end.strip_prefix('.')) {
        Some(end) => end,
        // A normalisation has a name beside the layer's.
        None => name.rmatch_indices('.').nth(1).map_or(name, |(at, _)| &name[at + 1..]),
    }
}

fn facts_ui(
    session: &TaskState,
    shades: &Shades,
    node: usize,
    param: usize,
    entry: &WeightEntry,
    ui: &mut Ui,
) {
    let shape: Vec<String> = entry.shape.iter().map(usize::to_string).collect();
    let mut facts = vec![shape.join("×")];
    if let Some(layer) = session.saliency.as_ref().and_then(|s| s.layers.get(param)) {
        let share = format::percent(layer.kept as f64 / layer.n.max(1) as f64);
        let [kept, n] = [layer.kept, layer.n].map(format::count);
        facts.push(format!("{kept} of {n} weights free, {share}"));
    }
    let change = session.run(Arm::Method).and_then(|run| run.change.layers.get(param));
    if let Some(change) = change {
        facts.push(format!("mean change {change:.1e}"));
    }
    if let (Some(name), Some(jaccard)) = (&shades.names[1], shades.nodes[node].common.jaccard()) {
        facts.push(format!("Jaccard with {name} {jaccard:.2}"));
    }
    fact_ui(ui, format::unbroken(&facts.join("; ")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_called_by_what_its_layer_is_not() {
        assert_eq!(end("layer1.0.conv1.weight", "layer1.0.conv1"), "weight");
        assert_eq!(end("layer1.0.bn1.bias", "layer1.0.conv1"), "bn1.bias");
        assert_eq!(end("null_classes_emb", "classes_emb"), "null_classes_emb");
    }
}
