//! The network drawn: its layers in the order of the forward pass, coloured by how salient they are; a layer
//! opens as its filters, a filter as its weights.

mod filters;
mod layer;
mod picture;
mod plan;
mod shades;

use std::sync::Weak;

use egui::ComboBox;

use crate::models::Graph;
use crate::saliency::{Common, Scores};
use crate::studio::heat::HeatMap;
use crate::studio::prelude::*;
use crate::studio::{Choice, Saliency};
use filters::Filters;
use picture::Picture;
use plan::Plan;
use shades::{Painted, Shades};

/// The view's row.
pub static VIEW: View = View {
    name: "Network",
    hint: "The network, layer by layer: where the saliency lies, down to one weight",
    key: Key::N,
    tasks: &Task::ALL,
    draw: network_ui,
};

/// Above this width, in points, an open layer stands on the right of the drawing, else below it.
const WIDE: f32 = 700.0;

/// What is drawn of which network.
#[derive(Default)]
struct Drawing {
    /// The graph that the plan is of.
    of: Option<Arc<Graph>>,
    plan: Plan,
    painted: Painted,
    /// How much larger than planned it is drawn, where a person chose.
    zoom: Option<f32>,
    common: InCommon,
    filters: Filters,
}

/// What two masks have in common, as it was counted last.
#[derive(Default)]
struct InCommon {
    /// The revisions of both, and their scores.
    of: Option<[(u64, Weak<Scores>); 2]>,
    layers: Vec<Common>,
}

impl InCommon {
    /// What the masks have in common, layer by layer, as it was when both were last at rest; nothing where they
    /// are of other networks.
    fn of(&mut self, shown: &Saliency, beside: &Saliency) -> Option<&[Common]> {
        let now = [shown, beside].map(|s| (s.revision, Arc::downgrade(&s.ranking)));
        let same =
            |a: &(u64, Weak<Scores>), b: &(u64, Weak<Scores>)| a.0 == b.0 && a.1.ptr_eq(&b.1);
        let known = self.of.as_ref();
        let known = known.is_some_and(|of| same(&of[0], &now[0]) && same(&of[1], &now[1]));
        // On the move they are others in every frame.
        if !known && shown.exact && beside.exact {
            self.layers = shown.common(beside)?;
            self.of = Some(now);
        }
        (self.layers.len() == shown.layers.len()).then_some(&self.layers[..])
    }
}

impl Drawing {
    /// Lays a graph out anew if it is another.
    fn plan(&mut self, graph: &Arc<Graph>) {
        if self.of.as_ref().is_none_or(|of| !Arc::ptr_eq(of, graph)) {
            self.plan = Plan::new(graph);
            self.of = Some(graph.clone());
        }
    }
}

fn network_ui(studio: &mut Studio, ui: &mut Ui) {
    let Some(opened) = studio.state.session().seen().cloned() else {
        return middle_ui(ui, |ui| drop(ui.weak("Opening the model…")));
    };
    let graph = &opened.graph;
    if graph.nodes.is_empty() {
        return middle_ui(ui, |ui| drop(ui.weak("The network is drawn once the model is open")));
    }
    let Studio { own, state, .. } = studio;
    own.of::<HeatMap>().of(opened.model());
    let drawing = own.of::<Drawing>();
    drawing.plan(graph);
    bar_ui(drawing, state, ui);
    let drawing = own.of::<Drawing>();
    let session = state.session();
    let beside = session.insights.beside(&session.model);
    let painted = drawing.painted == Painted::Beside;
    let common = session.saliency.as_ref().zip(beside).filter(|_| painted);
    let common = common.and_then(|(shown, beside)| drawing.common.of(shown, beside));
    let shades = Shades::of(graph, session, beside.zip(common));
    foot_ui(drawing, state, graph, &shades, ui);
    let open = own.of::<HeatMap>().layer;
    if let Some(param) = open {
        layer::panel_ui(studio, graph, &shades, param, ui);
    }
    let drawing = studio.own.of::<Drawing>();
    let Drawing { plan, painted, zoom, .. } = drawing;
    let node = open.and_then(|param| graph.node_of(param));
    let picture = Picture { graph, plan, shades: &shades, painted: *painted, open: node };
    if let Some(clicked) = picture.ui(zoom, ui) {
        let param = graph.nodes[clicked].params.first().copied();
        let heat = studio.own.of::<HeatMap>();
        match param.filter(|_| node != Some(clicked)) {
            Some(param) => heat.open(param),
            None => heat.layer = None,
        }
    }
}

/// What layers are coloured by, and the request that is held beside.
fn bar_ui(drawing: &mut Drawing, state: &mut State, ui: &mut Ui) {
    let ran = state.session().run(Arm::Method).is_some();
    if !ran && drawing.painted == Painted::Change {
        drawing.painted = Painted::Saliency;
    }
    ui.horizontal_wrapped(|ui| {
        let change = ran.then_some((
            Painted::Change,
            "Saliency and change",
            "Beside it, how far the run moved the weights of each layer",
        ));
        let all = [
            Some((Painted::Saliency, "Saliency", "The share of each layer's weights in the mask")),
            change,
            Some((
                Painted::Beside,
                "Two masks",
                "The masks of two requests at the same density, and what they have in common",
            )),
        ];
        tabs_ui(ui, &mut drawing.painted, all.into_iter().flatten());
        if drawing.painted == Painted::Beside {
            ui.add_space(6.0);
            beside_ui(state, ui);
        }
    });
}

/// Picks whose mask stands beside that of the request.
fn beside_ui(state: &mut State, ui: &mut Ui) {
    let session = state.session();
    let held = session.insights.beside(&session.model);
    let name = held.map(|held| format::forget_set(&held.ranking.forget));
    let own = session.what.clone();
    let classes = match session.opened.as_ref().filter(|opened| !opened.task.prompted()) {
        Some(opened) => opened.classes.clone(),
        None => Vec::new(),
    };
    let blocked = state.work.is_some().then_some(WAIT);
    if !classes.is_empty() && own.is_some() {
        let mut picked = None;
        let shown = name.clone().unwrap_or_else(|| "Another class…".into());
        ui.add_enabled_ui(blocked.is_none(), |ui| {
            let combo = ComboBox::from_id_salt("beside").width(120.0).selected_text(shown);
            let list = combo.show_ui(ui, |ui| {
                for (class, name) in classes.iter().enumerate() {
                    let choice = Choice::Class(class);
                    if own.as_ref() != Some(&choice) && ui.selectable_label(false, name).clicked() {
                        picked = Some(choice);
                    }
                }
            });
            let named = list.response.accessible_name("Class beside it");
            explained(named, "Scores the weights for another class", blocked);
        });
        if let Some(choice) = picked {
            state.compare_with(&choice);
        }
    } else if let Some(name) = &name {
        ui.label(format!("Beside it: {name}"));
    }
    let scored = state.session().scored();
    let hint = "Holds this mask beside that of what is picked next";
    let why = (!scored).then_some("Pick what to forget first");
    if button_ui(ui, Button::new("Hold this one"), hint, why) {
        state.hold_beside(true);
    }
    if name.is_some() && button_ui(ui, Button::new("Let go"), "Holds none beside it", None) {
        state.hold_beside(false);
    }
    if state.working() == Some(JobKind::Inspect) {
        ui.weak("Scoring…");
    }
}

/// What colours and lines mean, and the zoom.
fn foot_ui(drawing: &mut Drawing, state: &State, graph: &Graph, shades: &Shades, ui: &mut Ui) {
    let session = state.session();
    Panel::bottom("network legend").frame(Frame::NONE).resizable(false).show(ui, |ui| {
        ui.add_space(4.0);
        shades.legend_ui(drawing.painted, session.request.density, ui);
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(10.0, 2.0);
            picture::lines_ui(graph, ui);
            let mut text = format!("{} layers", graph.layers());
            if shades.all.weights > 0 {
                text += &format!(", {} weights", format::count(shades.all.weights));
            }
            if let (Painted::Beside, Some(all)) = (drawing.painted, shades.all.common.jaccard()) {
                text += &format!("; Jaccard {all:.2}, by chance {:.2}", shades.chance);
            }
            if shades.names[0].is_none() {
                text += &format!("; {}", tasks::of(state.task).pick[1].to_lowercase());
            }
            ui.label(small(text).weak());
            let mut zoom = drawing.zoom.unwrap_or(1.0);
            ui.spacing_mut().slider_width = 72.0;
            let slider = Slider::new(&mut zoom, picture::ZOOMS[0]..=picture::ZOOMS[1]);
            let slider = slider.logarithmic(true).show_value(false);
            let hint = "Zoom (Ctrl and the wheel)";
            if ui
                .name_inputs("Zoom of the network", |ui| ui.add(slider).on_hover_text(hint))
                .changed()
            {
                drawing.zoom = Some(zoom);
            }
            if drawing.zoom.is_some()
                && ui.small_button("Fit").on_hover_text("As large as fits").clicked()
            {
                drawing.zoom = None;
            }
        });
    });
}
