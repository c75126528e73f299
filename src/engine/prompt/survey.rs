//! A text-to-image model against its corpus: does the judge see what was asked for?

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::look::{asked, make, of_concepts};
use crate::data::corpus::Pair;
use crate::engine::{Grid, Work};
use crate::error::Result;
use crate::eval::emoji::shares;
use crate::sampling::LatentWeights;
use crate::words::SampleOptions;

/// What a model draws of its commonest concepts in every style.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Survey {
    /// A row a concept; its columns are the styles in turn, `n` pictures of each.
    pub grid: Arc<Grid>,
    /// The style that is seen in each of its pictures.
    #[serde(default)]
    pub seen: Vec<Option<usize>>,
    pub concepts: Vec<String>,
    pub styles: Vec<String>,
    /// Of pairs that the model was trained on, and of those that it never saw.
    pub trained: Share,
    pub held_out: Share,
}

/// In how many pictures the judge sees what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Share {
    /// Percent.
    pub concept: f64,
    pub style: f64,
    /// Pictures.
    pub n: usize,
}

impl Work<'_> {
    /// Draws `n` pictures of each of the first `concepts` concepts in every style.
    ///
    /// # Errors
    /// The model or its corpus cannot be opened; cancelled.
    pub async fn survey(
        &mut self,
        name: &str,
        concepts: usize,
        n: usize,
        options: SampleOptions,
    ) -> Result<Survey> {
        options.check()?;
        let model = self.session.latent(name)?;
        let corpus = self.corpus_of(&model)?;
        let jury = self.session.jury(name, &corpus)?;
        let concepts = concepts.min(model.known(&corpus));
        let styles = corpus.index.styles.len().max(1);
        let pair = |i: usize| Pair { concept: i / (styles * n), style: i / n % styles };
        let pairs: Vec<Pair> = (0..concepts * styles * n).map(pair).collect();
        let device = &self.session.device;
        let weights = LatentWeights::upload(&model, device);
        let judge = jury.judge(&corpus, device)?;
        self.job.phase("Drawing", pairs.len() * options.steps);
        let asked = asked(&corpus, &pairs);
        let drawn = make(&judge, &weights, &asked, &options, self.job).await?;
        let share = |held_out: bool| {
            let of =
                pairs.iter().zip(&drawn.seen).filter(|(p, _)| corpus.is_held_out(**p) == held_out);
            // What the judge does not know it is not asked for.
            let seen_as = |p: &Pair| Some(Pair { concept: judge.tells.label(p.concept)?, ..*p });
            let told = of.filter_map(|(p, s)| Some((seen_as(p)?, (*s)?)));
            let (pairs, seen): (Vec<Pair>, Vec<_>) = told.unzip();
            let [concept, style] = shares(&pairs, &seen);
            Share { concept, style, n: pairs.len() }
        };
        let names = |of: &mut dyn Iterator<Item = &String>| of.cloned().collect::<Vec<_>>();
        let called = names(&mut corpus.index.concepts.iter().take(concepts).map(|c| &c.name));
        let (trained, held_out) = (share(false), share(true));
        let seen = drawn.seen.iter().map(|seen| Some(seen.as_ref()?.style.0)).collect();
        let grid = of_concepts(0..concepts, &weights, drawn);
        Ok(Survey {
            grid: Arc::new(Grid { names: called.clone(), ..grid }),
            seen,
            concepts: called,
            styles: names(&mut corpus.index.styles.iter().map(|s| &s.name)),
            trained,
            held_out,
        })
    }
}
