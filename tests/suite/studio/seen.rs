//! What an engine answers when it is asked to look into a classifier, in the studio's tests.

use std::sync::Arc;

use super::answers::{SNEAKER, layout, ranking, shelf};
use salun_studio::engine::{
    Attributed, Beside, Embedding, Grid, Inspected, Inspection, LayerWeights, PixelMaps, Projection,
};
use salun_studio::words::Attribution;

/// Answers a look.
pub fn inspected(asked: Inspection) -> Inspected {
    match asked {
        Inspection::Scores(recipe) => Inspected::Scores(ranking(&recipe)),
        Inspection::Weights { model, layer } => {
            let weights = layout().init(1);
            let entry = weights.layout.params[layer].clone();
            let values = weights.values[entry.range()].to_vec();
            Inspected::Weights(Arc::new(LayerWeights { model, layer, entry, values }))
        }
        Inspection::Embed(of) => Inspected::Embedded(Arc::new(embedding(&of))),
        Inspection::Attribute { of, items, way } => {
            Inspected::Attributed(Arc::new(attributed(&of, items, way)))
        }
    }
}

/// Pictures of some training items, of the browser's set.
fn pictures(items: &[usize]) -> Arc<Grid> {
    let shelf = shelf(String::new(), String::new());
    let pixels = items.iter().flat_map(|&item| shelf.pictures.picture(item)).copied().collect();
    Arc::new(Grid::row_of(items.len(), 1, [28, 28], pixels))
}

/// Every second training picture. Classes lie around a circle; after a run the sneakers lie among the sandals.
pub fn embedding(of: &Beside) -> Embedding {
    let shelf = shelf(String::new(), String::new());
    let items: Vec<usize> = shelf.items.iter().copied().filter(|i| i / 10 % 2 == 0).collect();
    let labels: Vec<usize> = items.iter().map(|i| i % 10).collect();
    let forgotten =
        labels.iter().map(|label| of.recipe.forget == "class:Sneaker" && *label == SNEAKER);
    let map = |ran: bool, turned: f32| {
        let point = |i: usize| {
            let class = if ran && labels[i] == SNEAKER { 5 } else { labels[i] };
            let angle = class as f32 * 0.628 + turned;
            let spread = 0.9 * ((i * 37 % 100) as f32 / 100.0 - 0.5);
            let other = 0.9 * ((i * 61 % 100) as f32 / 100.0 - 0.5);
            [3.0 * angle.cos() + spread, 2.0 * angle.sin() + other]
        };
        let points: Vec<[f32; 2]> = (0..items.len()).map(point).collect();
        let gone = |i: usize| ran && labels[i] == SNEAKER;
        Projection {
            shared: Some(points.clone()),
            own: points.iter().map(|[x, y]| [*y, *x]).collect(),
            held: [0.46, 0.52],
            seen: (0..items.len())
                .map(|i| if gone(i) { (5, 0.71) } else { (labels[i], 0.96) })
                .collect(),
            truth: (0..items.len()).map(|i| if gone(i) { 0.02 } else { 0.96 }).collect(),
            moved: (0..items.len())
                .map(|i| if gone(i) { 4.0 + i as f32 / 1e3 } else { 0.01 })
                .collect(),
        }
    };
    let [after, control, _] = of.models.each_ref().map(Option::is_some);
    Embedding {
        pictures: pictures(&items),
        forgotten: forgotten.collect(),
        maps: [
            Some(map(false, 0.0)),
            after.then(|| map(true, 0.1)),
            control.then(|| map(true, 0.4)),
            None,
        ],
        labels: labels.clone(),
        items: items.clone(),
    }
}

/// What matters is a ring, after a run another one.
fn attributed(of: &Beside, items: Vec<usize>, way: Attribution) -> Attributed {
    let map = |ran: bool| {
        let pixel = |at: usize| {
            let (x, y) = ((at % 28) as f32 - 13.5, (at / 28) as f32 - 13.5);
            let ring = if ran { 10.0 } else { 5.0 };
            (-(x.hypot(y) - ring).powi(2) / 4.0).exp()
        };
        PixelMaps {
            values: items.iter().flat_map(|_| (0..784).map(pixel)).collect(),
            seen: items.iter().map(|i| if ran { (5, 0.71) } else { (i % 10, 0.96) }).collect(),
            truth: items.iter().map(|_| if ran { 0.02 } else { 0.96 }).collect(),
        }
    };
    let [after, control, _] = of.models.each_ref().map(Option::is_some);
    Attributed {
        labels: items.iter().map(|i| i % 10).collect(),
        way,
        pictures: pictures(&items),
        side: [28, 28],
        maps: [Some(map(false)), after.then(|| map(true)), control.then(|| map(true)), None],
        items,
    }
}
