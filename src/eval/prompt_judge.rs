//! Who looks at a text-to-image model's pictures.

use super::{EmojiJudge, Seen};
use crate::data::corpus::{Corpus, Named, resampled};
use crate::error::Result;

/// A judge of what pictures show, if there is one, and what of a corpus it tells apart.
pub struct PromptJudge<'a> {
    who: Who<'a>,
    pub tells: Tells,
}

enum Who<'a> {
    /// The classifier of emoji; pictures come to it at this side.
    Emoji(EmojiJudge<'a>, usize),
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
            Who::Nobody => return Ok(vec![None; values.len() / each.max(1)]),
        };
        Ok(seen.into_iter().map(Some).collect())
    }
}
