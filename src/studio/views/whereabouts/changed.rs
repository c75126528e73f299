//! The training pictures on the map whose answers changed most in a run.

use super::{Looked, Whereabouts};
use crate::engine::{Embedding, Projection};
use crate::studio::arm_name;
use crate::studio::prelude::*;
use crate::studio::views::audit::gallery::{Card, cards_ui};
use crate::words::Changed;

/// Pictures of the forget set that are shown, and as many of the rest.
const MOST: usize = 24;

/// Draws the pictures.
pub fn changed_ui(shown: &mut Whereabouts, state: &mut State, looked: &Looked, ui: &mut Ui) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let by = [
            (
                false,
                "By the whole answer",
                "By the Kullback-Leibler divergence of the answer after from before",
            ),
            (true, "By the true class", "By how much the true class's probability changed"),
        ];
        tabs_ui(ui, &mut shown.by_truth, by);
        ui.add_space(8.0);
        let arms = Arm::BOTH.map(|arm| (arm, arm_name(state.session(), arm)));
        tabs_ui(ui, &mut shown.arm, arms.map(|(arm, name)| (arm, name, "Whose answers are shown")));
    });
    let maps = &looked.embedding.maps;
    let after = &maps[1 + shown.arm as usize];
    let (Some(before), Some(after)) = (&maps[0], after) else {
        return drop(ui.weak("Finish a run first: the pictures that it sees otherwise stand here"));
    };
    let order = most_changed(before, after, shown.by_truth);
    let of = |forgotten| first_of(&order, looked.embedding, forgotten, MOST);
    let parts = [("To be forgotten", of(true)), ("The rest", of(false))];
    let texture = shown.sheet.texture(ui.ctx(), &looked.embedding.pictures);
    let mut chosen = None;
    ScrollArea::vertical().id_salt("changed").auto_shrink(false).show(ui, |ui| {
        for (name, places) in parts.iter().filter(|(_, places)| !places.is_empty()) {
            ui.strong(*name);
            let cards: Vec<Card> = places
                .iter()
                .map(|&place| Card {
                    place,
                    changed: changed(looked, place, before, after),
                    told: told(before, after, place),
                    chosen: shown.chosen.contains(&looked.embedding.items[place]),
                })
                .collect();
            let grid = &looked.embedding.pictures;
            chosen = cards_ui((texture, grid), &cards, looked.classes, "Training", ui).or(chosen);
            ui.add_space(6.0);
        }
        if order.is_empty() {
            ui.weak("No answer changed");
        }
    });
    if let Some(place) = chosen {
        shown.choose(looked.embedding.items[place]);
    }
}

/// The first places of an order whose pictures are to be forgotten, or are not.
pub fn first_of(order: &[usize], of: &Embedding, forgotten: bool, most: usize) -> Vec<usize> {
    let fits = |place: &usize| of.forgotten[*place] == forgotten;
    order.iter().copied().filter(fits).take(most).collect()
}

/// Places of pictures whose answers changed, the most changed first.
pub fn most_changed(before: &Projection, after: &Projection, by_truth: bool) -> Vec<usize> {
    let by = |place: &usize| match by_truth {
        true => (after.truth[*place] - before.truth[*place]).abs(),
        false => after.moved[*place],
    };
    let mut order: Vec<usize> = (0..before.truth.len()).filter(|place| by(place) > 0.0).collect();
    order.sort_by(|a, b| by(b).total_cmp(&by(a)));
    order
}

fn changed(looked: &Looked, place: usize, before: &Projection, after: &Projection) -> Changed {
    Changed {
        index: looked.embedding.items[place],
        label: looked.embedding.labels[place],
        forgotten: looked.embedding.forgotten[place],
        before: before.seen[place],
        after: after.seen[place],
        distance: after.moved[place],
    }
}

fn told(before: &Projection, after: &Projection, place: usize) -> String {
    let [was, is] = [before, after].map(|map| 100.0 * map.truth[place]);
    let bits = after.moved[place];
    format!(
        "The true class had {was:.1} % and has {is:.1} %; KL {bits:.2} bits. Click to see its pixels"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_changed_come_first_and_the_unchanged_not_at_all() {
        let before = Projection { truth: vec![0.9, 0.5, 0.2, 0.7], ..Projection::default() };
        let after = Projection {
            truth: vec![0.1, 0.5, 0.9, 0.6],
            moved: vec![3.0, 0.0, 0.5, 4.0],
            ..Projection::default()
        };
        assert_eq!(most_changed(&before, &after, true), [0, 2, 3]);
        assert_eq!(most_changed(&before, &after, false), [3, 0, 2]);
    }
}
