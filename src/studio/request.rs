//! What a person picks to be forgotten, as a forget set's specification and back, and the recipe that asks for it.

use std::sync::Arc;

use super::{TaskState, tasks};
use crate::data::{beside, class_index, ranges};
use crate::engine::Opened;
use crate::error::{Error, Result};
use crate::unlearn::registry;
use crate::words::{Estimator, ForgetKind, Recipe};

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// A class, by its index.
    Class(usize),
    /// A random share of the training items, or of those that the model finds hardest or easiest, in percent.
    Share(ForgetKind, u32),
    /// Picked training items, by ascending index.
    Items(Arc<[usize]>),
    /// A person's own pictures, by their name.
    Mine(Arc<str>),
    /// What a text-to-image model draws for these words.
    Prompt(String),
}

/// How a recipe's mask is chosen.
pub fn estimator(recipe: &Recipe) -> Estimator {
    match registry::of(recipe) {
        Ok(method) if method.masked => recipe.mask.unwrap_or(method.mask),
        _ => Estimator::None,
    }
}

/// Whether a run is one that a random mask of equal size is held against: a step of another is not.
pub fn controlled(recipe: &Recipe) -> bool {
    let masked = ![Estimator::None, Estimator::Random].contains(&estimator(recipe));
    masked && recipe.given.is_none() && recipe.until.is_none()
}

impl TaskState {
    /// The recipe of the request, once something is open and picked.
    pub fn recipe(&self) -> Option<Recipe> {
        self.recipe_for(self.what.as_ref()?)
    }

    /// The recipe of the request for another choice.
    pub fn recipe_for(&self, what: &Choice) -> Option<Recipe> {
        self.recipe_with(self.opened.as_deref()?, what)
    }

    /// The recipe of the request as far as there is one: of what is picked, or of an example; and before the model
    /// is open, too.
    pub fn draft(&self) -> Option<Recipe> {
        let what = self.what.clone().or_else(|| (tasks::of(self.task).example)(self))?;
        self.recipe_with(self.seen()?, &what)
    }

    fn recipe_with(&self, opened: &Opened, what: &Choice) -> Option<Recipe> {
        let data = what.data(opened);
        let mut recipe = self.recipe_of(opened.model(), &data, &what.spec(opened)?);
        recipe.branch = self.request.branch.clone().filter(|from| from.leads_to(&recipe));
        Some(Recipe { after: opened.after.clone(), ..recipe })
    }

    /// The recipe of the request for a model, a data set and a forget set.
    pub(super) fn recipe_of(&self, model: &str, data: &str, forget: &str) -> Recipe {
        let (model, data, forget) = (model.into(), data.into(), forget.into());
        let mut recipe = Recipe { model, data, forget, branch: None, ..self.request.clone() };
        let method = registry::find(&recipe.method);
        let own = |name: &str| method.as_ref().ok()?.knob(name).ok();
        // Others were another method's.
        recipe.knobs.retain(|name, value| own(name).is_some_and(|k| k.check(*value).is_ok()));
        recipe.fitting(self.task)
    }
}

impl Choice {
    /// The forget set, `class:Sneaker` or `random:10%`.
    pub fn spec(&self, opened: &Opened) -> Option<String> {
        match self {
            Self::Class(class) => opened.classes.get(*class).map(|name| format!("class:{name}")),
            Self::Share(kind, percent) => Some(format!("{kind}:{percent}%")),
            Self::Items(items) => Some(items_spec(items)),
            Self::Mine(name) => Some(format!("{}:{name}", ForgetKind::Mine)),
            Self::Prompt(text) => Some(format!("prompt:{text}")),
        }
    }

    /// The data set that it is a part of: a person's own pictures are beside the model's.
    pub fn data(&self, opened: &Opened) -> String {
        match self {
            Self::Mine(name) => beside(&opened.data, name),
            _ => opened.data.clone(),
        }
    }

    /// The choice of a forget set.
    ///
    /// # Errors
    /// The class is unknown, or the studio has no control for such a set.
    pub fn parse(spec: &str, opened: &Opened) -> Result<Self> {
        let bad = |right| Error::argument("forget", spec, right);
        let parts = opened.task.classifies();
        if opened.task.prompted() {
            // A class of a person's folder is what its name says.
            let text = ["prompt:", "class:"].iter().find_map(|kind| spec.strip_prefix(kind));
            let text = text.map(|text| text.trim_matches('"').trim());
            let text = text.filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| bad("prompt:\"a cat\" is needed"))?;
            return Ok(Self::Prompt(text.into()));
        }
        use ForgetKind::{Class, Easiest, Hardest, Items, Mine, Random};
        match ForgetKind::split(spec) {
            Some((Class, name)) => class_index(&opened.classes, name).map(Self::Class),
            Some((Items, list)) if parts => {
                parse_items(list).map(|items| Self::Items(items.into()))
            }
            Some((Mine, name)) if parts => Ok(Self::Mine(name.into())),
            Some((kind @ (Random | Hardest | Easiest), share)) if parts => {
                let percent = share.strip_suffix('%').and_then(|p| p.parse().ok());
                let percent = percent.filter(|percent| (1..=50).contains(percent));
                let percent = percent.ok_or_else(|| bad("a share of 1% to 50% is needed"))?;
                Ok(Self::Share(kind, percent))
            }
            _ => Err(bad("class:NAME, or a part of the classifier's")),
        }
    }
}

/// Items that a forget set may name, at the most.
const MOST: usize = 1_000_000;

/// Ascending indices as a forget set, neighbours as ranges.
pub fn items_spec(items: &[usize]) -> String {
    format!("items:{}", ranges::joined(items, |a, b| a + 1 == *b))
}

/// The indices of a list such as `1,5,9-20`, ascending.
///
/// # Errors
/// A word is no index and no range, or there are too many.
pub fn parse_items(list: &str) -> Result<Vec<usize>> {
    let mut items = Vec::new();
    for word in list.split(',') {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let range = first.trim().parse().ok().zip(last.trim().parse().ok());
        let fits = |&(first, last): &(usize, usize)| {
            first <= last && last - first < MOST - items.len().min(MOST)
        };
        let Some((first, last)) = range.filter(fits) else {
            let short: String = word.chars().take(20).collect();
            return Err(Error::argument("items", short, "indices such as 1,5,9-20 are needed"));
        };
        items.extend(first..=last);
    }
    items.sort_unstable();
    items.dedup();
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_ranges_and_come_back() {
        let items = [1, 5, 9, 10, 11, 12, 40, 41];
        assert_eq!(items_spec(&items), "items:1,5,9-12,40-41");
        assert_eq!(parse_items("1,5,9-12,40-41").unwrap(), items);
        assert_eq!(parse_items("5, 1,1-2").unwrap(), [1, 2, 5]);
    }

    #[test]
    fn what_is_no_list_is_refused_before_it_is_made() {
        for list in ["", "a", "1,,2", "3-1", "-1", "0-999999999999", "1.5", "0-999999,5-6"] {
            assert!(parse_items(list).is_err(), "{list}");
        }
    }
}
