//! Requests one after another: the weights that a recipe starts from, what they forgot before, and
//! whether it stays forgotten.

use std::{collections::HashMap, sync::Arc};

use super::{Client, Measured, Send, Session, Setting, Work};
use crate::data::{Dataset, Earlier, ForgetSet, Split, ranges};
use crate::error::{Error, Result};
use crate::eval::classify::part;
use crate::eval::{Evaluator, Metric, Shown};
use crate::models::{AnyModel, Card, Model, Unlearned, Weights};
use crate::words::{EarlierReport, ForgetKind, Recipe, Report};

/// Requests that a card may list.
const MOST: usize = 1_000;

/// The requests that adopted models were made by.
pub type Adopted = HashMap<String, Vec<Recipe>>;

impl Session {
    /// Makes a run's result a model among the others.
    pub fn keep(&mut self, recipe: &Recipe, model: AnyModel) -> String {
        let name = recipe.end();
        let after = Recipe::new("", "", "").following(recipe).after;
        // Weights that others made may have been written anew under their name.
        let hash = recipe.given.as_ref().map(|_| model.weights().hash());
        let known = self.models.get(&name).map(|known| known.weights().hash());
        if hash.is_some() && known.is_some() && hash != known {
            self.let_go(&name);
        }
        self.adopted.insert(name.clone(), after);
        self.models.insert(name.clone(), model);
        name
    }
}

impl Work<'_> {
    /// The classifier or class-conditional diffusion model that a recipe starts from.
    ///
    /// # Errors
    /// An earlier request is wrong; cancelled.
    pub async fn start(&mut self, recipe: &Recipe) -> Result<Arc<Model>> {
        let name = self.meet_earlier(recipe).await?;
        self.session.model(&name)
    }

    /// The name of the weights that a recipe starts from. Earlier requests whose runs were not adopted here,
    /// as in a recipe from a file, are met first.
    ///
    /// # Errors
    /// An earlier request is wrong; cancelled.
    pub async fn meet_earlier(&mut self, recipe: &Recipe) -> Result<String> {
        let name = recipe.start();
        let known = self.session.models.contains_key(&name);
        if let Some((last, before)) = recipe.after.split_last().filter(|_| !known) {
            let earlier = Recipe { after: before.to_vec(), ..last.clone() };
            let nobody: Send = Arc::new(|_| {});
            let on = Client { id: 0, send: &nobody };
            let mut quiet = Work { session: self.session, job: self.job, on };
            let run = Box::pin(quiet.unlearn(&earlier, None)).await?;
            self.session.keep(&run.recipe, run.model);
        }
        Ok(name)
    }

    /// Whether what was forgotten before stays forgotten: UA of the original, measured as `before`, and of
    /// weights that did `after`.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn still_forgotten(
        &mut self,
        of: &Setting,
        weights: &Weights,
        [before, after]: [&Measured; 2],
    ) -> Result<Vec<EarlierReport>> {
        if of.set.earlier.is_empty() || !after.metrics.judged() {
            return Ok(Vec::new());
        }
        let original = of.model.weights.upload(&self.session.device);
        let mut all = Vec::with_capacity(of.set.earlier.len());
        for earlier in &of.set.earlier {
            let (before, _) = self.forgotten_share(&original, of, earlier, before).await?;
            let (after, n) = self.forgotten_share(weights, of, earlier, after).await?;
            all.push(EarlierReport { spec: earlier.spec.clone(), before, after, n });
        }
        Ok(all)
    }

    /// UA on a forget set of an earlier request, and the pictures behind it. For a diffusion model, those are
    /// the samples that were measured.
    async fn forgotten_share(
        &mut self,
        weights: &Weights,
        Setting { asked, model, data, .. }: &Setting,
        earlier: &Earlier,
        measured: &Measured,
    ) -> Result<(f64, usize)> {
        let Some(net) = model.classifier() else {
            let share = earlier.class.and_then(|c| measured.metrics.per_class.get(c));
            return Ok((100.0 - share.copied().unwrap_or_default(), measured.n[1]));
        };
        let [most, ..] = asked.extent().most;
        let items = part(&earlier.items, most, "measure forget");
        self.job.phase("Evaluating", items.len());
        let asked = Evaluator { net, weights };
        Ok((100.0 - asked.accuracy(Shown(&data.train, &items), self.job).await?, items.len()))
    }
}

/// The forget sets that a model's card lists.
///
/// # Errors
/// One of them does not fit the data.
pub fn recall(card: &Card, data: &Dataset, split: &Split) -> Result<Vec<Earlier>> {
    let recall = |past: &Unlearned| {
        let failed = |e: &dyn std::fmt::Display| {
            let what = crate::data::brief(&past.forget);
            Error::Request(format!(
                "{} forgot '{what}' before, which is not in {}: {e}",
                card.name, data.name
            ))
        };
        // A card may come from anywhere: no file is read because it says so.
        if past.items.is_none() && past.forget.starts_with("indices:") {
            return Err(failed(&"the card does not list the items"));
        }
        if let Some(names) = &past.names {
            let known: std::collections::HashSet<&String> = data.names.iter().collect();
            let here = names.iter().filter(|name| known.contains(name)).cloned();
            let items = data.items(&here.collect::<Vec<_>>()).map_err(|e| failed(&e))?;
            let class = past.forget.strip_prefix("class:").and_then(|name| data.class(name).ok());
            return Ok(Earlier { spec: past.forget.clone(), class, items });
        }
        if let Some(items) = &past.items {
            let items = ranges::read(items, &split.train).map_err(|e| failed(&e))?;
            return Ok(Earlier { spec: past.forget.clone(), class: None, items });
        }
        let set = ForgetSet::parse(&past.forget, data, split, past.seed).map_err(|e| failed(&e))?;
        Ok(Earlier { spec: set.spec, class: set.class, items: set.forget })
    };
    if card.unlearned.len() > MOST {
        return Err(Error::Request(format!("{} forgot more than {MOST} sets", card.name)));
    }
    // Where a person's own pictures are not, there is nothing of them to leave out.
    let there = |past: &&Unlearned| {
        ForgetKind::Mine.value(&past.forget).is_none_or(|name| data.added_items(name).is_ok())
    };
    card.unlearned.iter().filter(there).map(recall).collect()
}

/// The card of unlearned weights: what was done to them, and none of the original's metrics.
pub fn unlearned(of: &Setting, report: &Report) -> Card {
    let (Setting { data, split, set, .. }, card) = (of, &of.model.card);
    let Report { method, after, protocol, seed, .. } = report;
    let follows = ["class:", "random:", "mine:"].iter().any(|kind| set.spec.starts_with(kind));
    let request = Unlearned {
        method: method.clone(),
        forget: set.spec.clone(),
        seed: *seed,
        items: (!follows && data.names.is_empty())
            .then(|| ranges::write(&set.forget, &split.train)),
        names: (!data.names.is_empty()).then(|| data.named(&set.forget)),
        mask: report.mask.as_ref().map(|m| m.hash.clone()),
        protocol: protocol.clone(),
    };
    let what = crate::data::brief(&set.spec);
    let unlearned = card.unlearned.iter().cloned().chain([request]).collect();
    Card {
        name: format!("{}, {method} forgot {what}", card.name),
        unlearned,
        metrics: Metric::accuracies()
            .filter_map(|m| Some((m.key.to_string(), m.value(after)?)))
            .collect(),
        ..card.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data;

    fn card(unlearned: Vec<Unlearned>) -> Card {
        let model = crate::models::registry::open("fashion-classifier").unwrap();
        Card { unlearned, ..model.card }
    }

    fn past(forget: &str, items: Option<&str>) -> Unlearned {
        Unlearned {
            method: "salun".into(),
            forget: forget.into(),
            seed: 3,
            items: items.map(String::from),
            names: None,
            mask: None,
            protocol: String::new(),
        }
    }

    #[test]
    fn a_card_is_recalled_without_reading_files() {
        let data = data::open("fashion-mnist").unwrap();
        let split = data.split(1);
        let recall = |unlearned| recall(&card(unlearned), &data, &split);
        let all = vec![
            past("class:Bag", None),
            past("random:10%", None),
            past("hardest:4", Some("0-3")),
            past("indices:mine.txt", Some("5")),
        ];
        let found = recall(all).unwrap();
        assert_eq!(found[0].class, Some(8));
        assert_eq!(
            found[1].items,
            ForgetSet::parse("random:10%", &data, &split, 3).unwrap().forget
        );
        assert!(found[2].items.iter().all(|i| *i < 4) && found[3].items == [5]);
        for wrong in [
            vec![past("indices:/etc/hostname", None)],
            vec![past("hardest:10%", None)],
            vec![past("class:Cat", None)],
            vec![past("indices:mine.txt", Some("x"))],
            vec![past("class:Bag", None); MOST + 1],
        ] {
            let error = recall(wrong).unwrap_err().to_string();
            assert!(error.len() < 300 && !error.contains('\n'), "{error}");
        }
    }
}
