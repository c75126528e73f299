//! The job that compares masks.

use super::Work;
use crate::data;
use crate::error::{Error, Result};
use crate::saliency::{By, Overlap};
use crate::words::{Estimator, Recipe};

/// Masks that are compared at the most: each is held in main memory.
const MOST: usize = 100;

impl Work<'_> {
    /// The masks of a recipe's variations, compared.
    ///
    /// # Errors
    /// There is none to compare, or too many; what is wrong with the recipe; cancelled.
    pub async fn overlap(&mut self, recipe: &Recipe, by: By, seeds: usize) -> Result<Overlap> {
        let variations = variations(recipe, by, seeds)?;
        if variations.len() > MOST {
            let right = format!("{MOST} masks can be compared at the most");
            return Err(Error::argument("overlap", by.name(), right));
        }
        let mut masks = Vec::with_capacity(variations.len());
        for (name, recipe) in variations {
            let mut request = self.resolve(&recipe).await?;
            let estimator = request.asked().plan.estimator;
            if matches!(estimator, Estimator::None | Estimator::Given) {
                let right = "there are no scores to make masks of; choose another estimator";
                return Err(Error::argument("mask", estimator.name(), right));
            }
            self.prepare(&mut request).await?;
            let (_, mask) = self.mask(&request, None).await?;
            masks.extend(mask.map(|mask| (name, mask)));
        }
        Overlap::between(by, &masks)
    }
}

/// What each mask is called, and its recipe.
fn variations(recipe: &Recipe, by: By, seeds: usize) -> Result<Vec<(String, Recipe)>> {
    Ok(match by {
        By::Classes => {
            let classes = data::open(&recipe.data)?.classes.clone();
            let of = |class: String| {
                let forget = format!("class:{class}");
                (class, Recipe { forget, ..recipe.clone() })
            };
            classes.into_iter().map(of).collect()
        }
        By::Seeds => {
            let of = |i| {
                let seed = recipe.seed.wrapping_add(i);
                (format!("seed {seed}"), Recipe { seed, ..recipe.clone() })
            };
            (0..seeds as u64).map(of).collect()
        }
        By::Estimators => {
            let all = Estimator::ALL.iter().copied().filter(|e| *e != Estimator::None);
            all.map(|e| (e.name().to_string(), Recipe { mask: Some(e), ..recipe.clone() }))
                .collect()
        }
    })
}
