//! What the layers of a network's drawing are coloured by, and what their colours mean.

use egui::{Mesh, epaint::Vertex};

use crate::models::Graph;
use crate::saliency::{Common, picture};
use crate::studio::Saliency;
use crate::studio::prelude::*;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Painted {
    #[default]
    Saliency,
    /// Saliency on the left and the change of a run on the right of each layer.
    Change,
    /// Two masks, and what they have in common between them.
    Beside,
}

/// What is known of a layer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shade {
    pub weights: usize,
    /// How many of them the mask keeps, and the mask beside it.
    pub kept: [usize; 2],
    pub common: Common,
    /// How far a weight moved on average.
    pub change: f32,
}

impl Shade {
    /// The share of its weights in one of the masks.
    pub fn share(&self, mask: usize) -> f32 {
        self.kept[mask] as f32 / self.weights.max(1) as f32
    }
}

/// The shades of all layers.
#[derive(Default)]
pub struct Shades {
    pub nodes: Vec<Shade>,
    /// Of each of the two masks, what it is for.
    pub names: [Option<String>; 2],
    pub all: Shade,
    /// The largest share, and the largest mean change.
    most: [f32; 2],
    /// What two random masks of these sizes have in common.
    pub chance: f64,
    moved: bool,
}

impl Shades {
    /// Of a network's layers.
    pub fn of(graph: &Graph, session: &TaskState, beside: Option<(&Saliency, &[Common])>) -> Self {
        let saliency = session.saliency.as_ref();
        let change = session.run(Arm::Method).map(|run| &run.change);
        let other = beside.map(|(other, _)| other);
        let of = |params: &[usize], weights: usize| {
            let mut shade = Shade { weights, ..Shade::default() };
            let mut moved = 0.0;
            for &param in params {
                let layer = saliency.and_then(|s| s.layers.get(param));
                let n = layer.map_or(0, |layer| layer.n);
                for (kept, of) in shade.kept.iter_mut().zip([saliency, other]) {
                    *kept += of.and_then(|s| s.layers.get(param)).map_or(0, |layer| layer.kept);
                }
                let both = beside.and_then(|(_, common)| common.get(param));
                shade.common = shade.common.plus(both.copied().unwrap_or_default());
                let mean = change.and_then(|c| c.layers.get(param)).copied().unwrap_or(0.0);
                moved += f64::from(mean) * n as f64;
            }
            shade.change = (moved / shade.weights.max(1) as f64) as f32;
            shade
        };
        let nodes: Vec<Shade> =
            graph.nodes.iter().map(|node| of(&node.params, node.weights)).collect();
        let every: Vec<usize> = graph.nodes.iter().flat_map(|node| node.params.clone()).collect();
        let all = of(&every, nodes.iter().map(|shade| shade.weights).sum());
        let shares = nodes.iter().flat_map(|s| [s.share(0), s.share(1)]);
        let name = |s: &Saliency| format::forget_set(&s.ranking.forget);
        let [a, b] = [0, 1].map(|mask| f64::from(all.share(mask)));
        Self {
            most: [
                shares.fold(1e-6, f32::max),
                nodes.iter().map(|s| s.change).fold(f32::MIN_POSITIVE, f32::max),
            ],
            names: [saliency.map(name), other.map(name)],
            chance: a * b / (a + b - a * b).max(1e-12),
            moved: change.is_some(),
            nodes,
            all,
        }
    }

    /// The colours of a layer's parts, from left to right.
    pub fn colours(&self, node: usize, painted: Painted, palette: &Palette) -> Vec<Color32> {
        let shade = &self.nodes[node];
        let salient = |mask: usize| match &self.names[mask] {
            Some(_) => ember(shade.share(mask) / self.most[0]),
            None => palette.border,
        };
        match painted {
            Painted::Saliency => vec![salient(0)],
            Painted::Change => vec![salient(0), self.moved(shade.change / self.most[1], palette)],
            Painted::Beside => {
                let jaccard = shade.common.jaccard().unwrap_or(0.0) as f32;
                vec![salient(0), shared(jaccard, palette), salient(1)]
            }
        }
    }

    fn moved(&self, share: f32, palette: &Palette) -> Color32 {
        match self.moved {
            true => palette.card.lerp_to_gamma(palette.caution, share.clamp(0.0, 1.0)),
            false => palette.border,
        }
    }

    /// Says what the colours mean.
    pub fn legend_ui(&self, painted: Painted, density: f64, ui: &mut Ui) {
        let palette = theme::palette(ui);
        if self.names[0].is_none() {
            return;
        }
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(6.0, 2.0);
            let [salient, moved] = self.most;
            let names = self.names.each_ref().map(|name| name.clone().unwrap_or_default());
            match painted {
                Painted::Saliency => drop(ui.label(small("In the mask").weak())),
                Painted::Change => drop(ui.label(small("Left: in the mask").weak())),
                Painted::Beside => {
                    drop(ui.label(small(format!("Left {}, right {}", names[0], names[1])).weak()));
                }
            }
            let end = format::percent(f64::from(salient));
            let all = Some((density as f32 / salient).min(1.0));
            ramp_ui(["0 %", &end], &ember, all, ui)
                .on_hover_text("The share of a layer's weights in the mask; the line is that of all layers");
            match painted {
                Painted::Saliency => {}
                Painted::Change => {
                    ui.label(small("Right: mean change").weak());
                    let end = format!("{moved:.1e}");
                    ramp_ui(["0", &end], &|share| self.moved(share, palette), None, ui)
                        .on_hover_text("How far a weight of the layer moved on average in the run");
                }
                Painted::Beside => {
                    ui.label(small("Middle: in common").weak());
                    let line = Some(self.chance as f32);
                    ramp_ui(["0", "1"], &|share| shared(share, palette), line, ui).on_hover_text(
                        "Of the weights that either mask keeps, the share that both keep (Jaccard); the line \
                         is what two random masks of these sizes share",
                    );
                }
            }
        });
    }
}

/// The colour of a share of a layer's weights, 0..=1 of the largest.
pub fn ember(share: f32) -> Color32 {
    let [r, g, b] = picture::ember(share);
    Color32::from_rgb(r, g, b)
}

/// The colour of what two masks have in common, 0..=1.
fn shared(share: f32, palette: &Palette) -> Color32 {
    palette.card.lerp_to_gamma(palette.good, share.clamp(0.0, 1.0))
}

/// Draws a range of colours between the numbers of its ends, with a line somewhere in it.
pub fn ramp_ui(
    ends: [&str; 2],
    colour: &dyn Fn(f32) -> Color32,
    line: Option<f32>,
    ui: &mut Ui,
) -> Response {
    const STEPS: u32 = 16;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let palette = theme::palette(ui);
        ui.label(small(ends[0]).weak());
        let (rect, response) = ui.allocate_exact_size(vec2(72.0, 10.0), Sense::hover());
        let mut mesh = Mesh::default();
        for i in 0..=STEPS {
            let share = i as f32 / STEPS as f32;
            let x = rect.left() + share * rect.width();
            for y in [rect.top(), rect.bottom()] {
                mesh.vertices.push(Vertex {
                    pos: pos2(x, y),
                    uv: egui::epaint::WHITE_UV,
                    color: colour(share),
                });
            }
            if i > 0 {
                let at = 2 * i;
                mesh.add_triangle(at - 2, at - 1, at);
                mesh.add_triangle(at - 1, at, at + 1);
            }
        }
        ui.painter().add(Shape::mesh(mesh));
        let frame = Stroke::new(1.0, palette.border);
        ui.painter().rect_stroke(rect, 0.0, frame, StrokeKind::Outside);
        if let Some(share) = line {
            let x = rect.left() + share.clamp(0.0, 1.0) * rect.width();
            ui.painter().vline(x, rect.expand(2.0).y_range(), Stroke::new(1.5, palette.strong));
        }
        ui.label(small(ends[1]).weak());
        response
    })
    .inner
}
