//! Where a classifier forgets: a map of what it sees, the pixels that it looks at, the pictures that it sees
//! otherwise than before.

mod changed;
mod map;
mod pixels;
mod points;

use std::collections::BTreeSet;

use crate::engine::Embedding;
use crate::studio::prelude::*;
use crate::studio::views::refused_ui;
use crate::studio::{Brush, Choice, Pane, Sheet};
use crate::words::Attribution;

use super::audit::confusion;
use pixels::Maps;

/// The view's row.
pub static VIEW: View = View {
    name: "Where",
    hint: "Where it forgets: a map of the pictures, the pixels that matter, what changed most",
    key: Key::E,
    tasks: &[Task::Classify],
    draw: where_ui,
};

/// The panes of the models that are looked into, in the engine's order.
const PANES: [Pane; 4] = [Pane::Before, Pane::After, Pane::Random, Pane::Retrain];
/// Pictures whose pixels are looked into together, at the most.
const MOST: usize = 8;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum WhereTab {
    #[default]
    Map,
    Pixels,
    Changed,
    Confusion,
}

const TABS: [(WhereTab, &str, &str); 4] = [
    (WhereTab::Map, "Map", "Pictures as points: those that the classifier sees alike lie together"),
    (WhereTab::Pixels, "Pixels", "Which pixels of a picture the answer hangs on, before and after"),
    (WhereTab::Changed, "Most changed", "The pictures whose answers changed most"),
    (WhereTab::Confusion, "Confusion", "Which classes are seen as which, before and after"),
];

/// What is shown, picked and chosen.
#[derive(Default)]
struct Whereabouts {
    tab: WhereTab,
    /// The map's texture.
    sheet: Sheet,
    map: Map,
    /// Training pictures that are picked to be forgotten.
    picked: BTreeSet<usize>,
    /// Training pictures whose pixels are looked into, those that were chosen last first; where there are none,
    /// some are shown.
    chosen: Vec<usize>,
    way: Attribution,
    /// Whether maps of one picture have one scale.
    one_scale: bool,
    maps: Maps,
    /// What the most changed are looked for by, and of which run.
    by_truth: bool,
    arm: Arm,
    /// Whether a confusion matrix alone is the one before.
    before: bool,
}

/// How the map is drawn.
#[derive(Default)]
struct Map {
    /// Whether each model has axes of its own.
    own: bool,
    /// The pane that is shown where there is room for one.
    one: usize,
    brushes: [Brush; 4],
    /// The point under the hand, by its place among the pictures.
    hovered: Option<usize>,
    /// Where the keyboard is.
    cursor: usize,
}

impl Whereabouts {
    /// Chooses a picture to look into, or lets go of it.
    fn choose(&mut self, item: usize) {
        match self.chosen.iter().position(|chosen| *chosen == item) {
            Some(at) => drop(self.chosen.remove(at)),
            None => {
                self.chosen.insert(0, item);
                self.chosen.truncate(MOST);
            }
        }
    }
}

fn where_ui(studio: &mut Studio, ui: &mut Ui) {
    let Studio { own, state, .. } = studio;
    let shown = own.of::<Whereabouts>();
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        tabs_ui(ui, &mut shown.tab, TABS);
    });
    ui.add_space(2.0);
    if shown.tab == WhereTab::Confusion {
        let Some(run) = state.session().run(Arm::Method).cloned() else {
            return drop(ui.weak("Finish a run first: the matrices before and after stand here"));
        };
        return confusion::confusion_ui(&mut shown.before, &run, ui);
    }
    let refused = state.embed();
    let Some(embedding) = state.session().insights.embedding().cloned() else {
        return waiting_ui(state, refused, ui);
    };
    let classes = state.session().opened.as_ref().map(|o| o.classes.clone()).unwrap_or_default();
    // Of another model or another data set there may be fewer.
    shown.chosen.retain(|item| embedding.items.binary_search(item).is_ok());
    shown.picked.retain(|item| embedding.items.binary_search(item).is_ok());
    let looked = Looked { embedding: &embedding, classes: &classes };
    match shown.tab {
        WhereTab::Pixels => pixels::pixels_ui(shown, state, &looked, ui),
        WhereTab::Changed => changed::changed_ui(shown, state, &looked, ui),
        _ => map::map_ui(shown, state, &looked, ui),
    }
}

/// What stands here until there is something to see.
fn waiting_ui(state: &mut State, refused: bool, ui: &mut Ui) {
    let session = state.session();
    let text = match state.working() {
        Some(JobKind::Inspect) => "Showing the pictures to the model…",
        _ if session.opened.is_none() => "Opening the model…",
        Some(_) => "The map comes once the work in progress is done",
        None if refused => "The pictures could not be looked at",
        None => "Showing the pictures to the model…",
    };
    middle_ui(ui, |ui| refused_ui(state, text, refused, ui));
}

/// What was seen of the pictures, and the names of their classes.
struct Looked<'a> {
    embedding: &'a Arc<Embedding>,
    classes: &'a [String],
}

impl Looked<'_> {
    fn class(&self, class: usize) -> &str {
        self.classes.get(class).map_or("?", String::as_str)
    }

    /// The name of a picture's class.
    fn name(&self, place: usize) -> &str {
        self.class(self.embedding.labels[place])
    }

    /// A picture's place, by its index in the training set.
    fn place(&self, item: usize) -> Option<usize> {
        self.embedding.items.binary_search(&item).ok()
    }

    /// What is seen in a picture, by whether that is what its label says.
    fn answer(&self, (seen, share): (usize, f32), label: usize, palette: &Palette) -> RichText {
        let color = if seen == label { palette.good } else { palette.bad };
        small(format!("{} {:.0} %", self.class(seen), 100.0 * share)).color(color)
    }

    /// What each model sees in a picture, in lines.
    fn answers_ui(&self, place: usize, ui: &mut Ui) {
        let palette = theme::palette(ui);
        for (map, pane) in self.embedding.maps.iter().zip(PANES) {
            let Some(map) = map else { continue };
            let answer = self.answer(map.seen[place], self.embedding.labels[place], palette);
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 4.0;
                ui.label(small(pane.name()).weak());
                ui.label(answer);
            });
        }
    }

    /// The picture of a place, so many points wide.
    fn picture(&self, texture: TextureId, place: usize, width: f32) -> egui::Image<'static> {
        crate::studio::tile::image(texture, &self.embedding.pictures, [0, place], width)
    }
}

/// Draws what is picked, and what can be done with it.
fn picked_ui(shown: &mut Whereabouts, state: &mut State, ui: &mut Ui) {
    let n = shown.picked.len();
    if n == 0 {
        return;
    }
    ui.label(format!("{} picked", format::count(n)));
    let button = Button::new(format!("Forget these {}", format::count(n)));
    let hint = "Makes them the forget set; then press Forget";
    if button_ui(ui, button, hint, state.waits()) {
        state.pick(Choice::Items(shown.picked.iter().copied().collect()));
    }
    if ui.button("Clear").on_hover_text("Drops all picks").clicked() {
        shown.picked.clear();
    }
}
