//! Who looks at a text-to-image model's pictures.

use std::sync::Arc;

use super::classify::percent;
use super::{EmojiJudge, Judge, Seen};
use crate::data::corpus::{Corpus, Named, Pair, Placement, resampled};
use crate::error::Result;
use crate::job_context::JobContext;

/// Pictures that are read and looked at together.
const BATCH: usize = 32;

/// A judge of what pictures show, if there is one, and what of a corpus it tells apart.
pub struct PromptJudge<'a> {
    who: Who<'a>,
    pub tells: Tells,
}

enum Who<'a> {
    /// The classifier of emoji; pictures come to it at this side.
    Emoji(EmojiJudge<'a>, usize),
    /// Any other, who was asked about the corpus's concepts.
    Named(Arc<Judge>),
    Nobody,
}

/// What of a corpus a judge tells apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tells {
    /// Of each concept the first one that it cannot tell from this one; nothing of what it does not know.
    labels: Vec<Option<usize>>,
    styles: bool,
}

impl Tells {
    /// Concepts and styles, each from each other.
    pub fn all(corpus: &Corpus) -> Self {
        let labels = (0..corpus.index.concepts.len()).map(Some).collect();
        Self { labels, styles: corpus.has_styles() }
    }

    /// As which concept it sees this one, where it knows it.
    pub fn label(&self, concept: usize) -> Option<usize> {
        self.labels.get(concept).copied().flatten()
    }

    /// The same of a class as a grid has it: a concept, or a style behind all concepts.
    pub fn class(&self, class: usize) -> Option<usize> {
        match class < self.labels.len() {
            true => self.label(class),
            false => self.styles.then_some(class),
        }
    }

    /// Whether it tells styles.
    pub fn styles(&self) -> bool {
        self.styles
    }

    /// Whether a picture shows something that is to be forgotten; nothing where it cannot tell.
    pub fn shows(&self, named: &Named, seen: &Seen) -> Option<bool> {
        if named.concepts.is_empty() {
            let tells = self.styles && !named.is_nothing();
            return tells.then(|| named.styles.contains(&seen.style.0));
        }
        let labels: Vec<usize> = named.concepts.iter().filter_map(|c| self.label(*c)).collect();
        (!labels.is_empty()).then(|| labels.contains(&seen.concept.0))
    }
}

impl<'a> PromptJudge<'a> {
    /// The classifier of emoji.
    pub fn emoji(judge: EmojiJudge<'a>, corpus: &Corpus) -> Self {
        Self { who: Who::Emoji(judge, corpus.index.side), tells: Tells::all(corpus) }
    }

    /// A judge that was asked about a corpus's concepts.
    pub fn named(judge: Arc<Judge>, corpus: &Corpus) -> Self {
        let labels = (0..corpus.index.concepts.len()).map(|concept| judge.same(concept)).collect();
        Self { who: Who::Named(judge), tells: Tells { labels, styles: false } }
    }

    /// Nobody.
    pub fn nobody() -> Self {
        Self { who: Who::Nobody, tells: Tells::default() }
    }

    /// Whether there is one.
    pub fn is_somebody(&self) -> bool {
        !matches!(self.who, Who::Nobody)
    }

    /// What each picture shows; nothing where nobody looks. `values` are channels · height · width in [0, 1] a picture.
    ///
    /// # Errors
    /// The device failed.
    pub async fn look(
        &self,
        values: &[f32],
        [channels, height, width]: [usize; 3],
    ) -> Result<Vec<Option<Seen>>> {
        let each = channels * height * width;
        let seen = match &self.who {
            Who::Emoji(judge, side) if *side == height => judge.look(values, *side).await?,
            Who::Emoji(judge, side) => {
                let pictures = values.chunks_exact(each);
                let own: Vec<f32> =
                    pictures.flat_map(|picture| resampled(picture, height, *side)).collect();
                judge.look(&own, *side).await?
            }
            Who::Named(judge) => {
                let shape = [channels, height, width];
                let glances = judge.look(values, shape).await?;
                // What is none of the names is no concept, and nobody told a style.
                let seen = |(name, p): (Option<usize>, f32)| Seen {
                    concept: (name.unwrap_or(usize::MAX), p),
                    style: (usize::MAX, 0.0),
                };
                glances.into_iter().map(|glance| seen((glance.name, glance.p))).collect()
            }
            Who::Nobody => return Ok(vec![None; values.len() / each.max(1)]),
        };
        Ok(seen.into_iter().map(Some).collect())
    }

    /// Of these pictures of a corpus, at a side, whose concepts it knows, the share that it sees as what they are, in
    /// percent.
    ///
    /// # Errors
    /// A picture cannot be read; cancelled, or the device failed.
    pub async fn accuracy(
        &self,
        corpus: &Corpus,
        pairs: &[Pair],
        side: usize,
        job: &mut JobContext,
    ) -> Result<f64> {
        let mut hits = Vec::new();
        for batch in pairs.chunks(BATCH) {
            let read = |pair: &Pair| corpus.picture(*pair, Placement::PLAIN, side);
            let values = batch.iter().map(read).collect::<Result<Vec<_>>>()?.concat();
            let seen = self.look(&values, [3, side, side]).await?;
            hits.extend(batch.iter().zip(seen).map(|(pair, seen)| {
                seen.is_some_and(|seen| self.tells.label(pair.concept) == Some(seen.concept.0))
            }));
            job.advance(batch.len()).await?;
        }
        Ok(percent(hits.into_iter()))
    }
}
