//! Who judges what a text-to-image model draws, before a device is asked.

use std::sync::Arc;

use burn::tensor::Device;

use super::PromptSetting;
use crate::data::corpus::{Corpus, Pair};
use crate::engine::fit::{listed, looked_at};
use crate::engine::{Session, Work};
use crate::error::{Error, Result, ensure};
use crate::eval::{EmojiJudge, Judge, PromptJudge};
use crate::models::{Model, Said};
use crate::words::NO_JUDGE;

/// A judge, if there is one.
pub enum Jury {
    /// The classifier of emoji, which tells styles, too.
    Emoji(Arc<Model>),
    /// The one that a person named, and what it is called.
    Named(Arc<Judge>, String),
    Nobody,
}

impl Jury {
    /// Who looks at pictures of a corpus.
    ///
    /// # Errors
    /// The classifier is of other emoji.
    pub fn judge(&self, corpus: &Corpus, device: &Device) -> Result<PromptJudge<'_>> {
        Ok(match self {
            Self::Emoji(model) => {
                PromptJudge::emoji(EmojiJudge::new(model, corpus, device)?, corpus)
            }
            Self::Named(judge, _) => PromptJudge::named(judge.clone(), corpus),
            Self::Nobody => PromptJudge::nobody(),
        })
    }
}

impl Session {
    /// Who judges what a model draws of a corpus: the one that is named behind its name, else the classifier of
    /// emoji, if they are.
    ///
    /// # Errors
    /// The judge cannot be read, is none, or knows nothing of the corpus.
    pub fn jury(&mut self, model: &str, corpus: &Corpus) -> Result<Jury> {
        // Of weights that a run ended with, the model that it started from.
        let first = self.adopted.get(model).and_then(|after| after.first());
        let name = first.map_or(model, |request| &request.model).to_string();
        let Some(spec) = Said::of(&name)?.1.judge else {
            return Ok(match corpus.has_styles() {
                true => Jury::Emoji(self.emoji_judge(model)?),
                false => Jury::Nobody,
            });
        };
        let names: Vec<String> = corpus.index.concepts.iter().map(|c| c.name.clone()).collect();
        let Some(judge) = self.judge_of(&spec, &names, 3)? else { return Ok(Jury::Nobody) };
        let right = || format!("it knows none of what {} shows: {}", corpus.name, listed(&names));
        let knows = (0..names.len()).any(|i| judge.same(i).is_some());
        ensure(knows, || Error::argument("judge", &spec, right()))?;
        Ok(Jury::Named(judge, spec))
    }
}

impl Work<'_> {
    /// Says who judges what is drawn, what of it a person's own judge does not know, and how good it is on pictures of
    /// the corpus, before its word counts; or that nobody does.
    ///
    /// # Errors
    /// A picture cannot be read; cancelled, or the device failed.
    pub async fn hear_jury(&mut self, of: &PromptSetting) -> Result<()> {
        let (corpus, judge) = (&of.noising.corpus, of.judge()?);
        let spec = match &of.jury {
            Jury::Emoji(_) => return Ok(()),
            Jury::Nobody => {
                self.job.note(NO_JUDGE);
                return Ok(());
            }
            Jury::Named(_, spec) => spec,
        };
        let name = |i: usize| corpus.index.concepts[i].name.clone();
        let all = 0..corpus.index.concepts.len();
        let lacks: Vec<String> =
            all.filter(|i| judge.tells.label(*i).is_none()).map(name).collect();
        if !lacks.is_empty() {
            self.job.note(format!("{spec} does not know {}", listed(&lacks)));
        }
        let forgotten = &of.noising.target.named.concepts;
        let label = |i: &usize| judge.tells.label(*i);
        let kept = (0..of.known).filter(|i| !forgotten.contains(i));
        let taken = kept
            .filter(|i| label(i).is_some() && forgotten.iter().any(|gone| label(gone) == label(i)));
        let taken: Vec<String> = taken.map(name).collect();
        if !taken.is_empty() {
            self.job.note(format!(
                "{spec} cannot tell {}, which is kept, from what is forgotten",
                listed(&taken)
            ));
        }
        if !corpus.has_pictures() {
            self.job
                .note(format!("{spec} judges; there are no pictures to hear first how good it is"));
            return Ok(());
        }
        let mut pairs = corpus.pairs();
        pairs.retain(|pair| label(&pair.concept).is_some());
        if pairs.is_empty() {
            self.job.note(format!(
                "{spec} judges; there are no pictures of what it knows to hear first how good it is"
            ));
            return Ok(());
        }
        let pairs: Vec<Pair> = looked_at(pairs.len()).into_iter().map(|i| pairs[i]).collect();
        self.job.phase("Looking at the judge", pairs.len());
        let [_, side, _] = of.model.network.picture_shape();
        let (right, n) = (judge.accuracy(corpus, &pairs, side, self.job).await?, pairs.len());
        self.job.note(format!(
            "{spec} judges: it is right on {right:.1} % of {n} pictures of {}",
            of.asked.recipe.data
        ));
        Ok(())
    }
}
