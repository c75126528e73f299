//! Who judges what is drawn: opened once, by what a person calls it.

use std::{collections::HashMap, sync::Arc};

use burn::tensor::Device;

use super::{Session, Setting, Work, fit::listed};
use crate::error::{Error, Result, ensure};
use crate::eval::{Judge, Sight};
use crate::models::{Card, registry};
use crate::words::{JUDGE_NONE, NO_JUDGE};

/// Judges that are kept beside the networks that they ask, and those networks.
const MOST: usize = 32;
const SIGHTS: usize = 4;

/// The judges of a session.
#[derive(Default)]
pub struct Judges {
    /// Networks by what they are called, and what their files were.
    sights: HashMap<String, (Vec<registry::Stamp>, Arc<Sight>)>,
    /// Those that were asked about names, by both.
    asked: HashMap<String, Arc<Judge>>,
}

impl Session {
    /// The judge that a person named for these names of what is on pictures of so many channels; nothing where
    /// it is none. What it knows of the names says [`Judge::same`].
    ///
    /// # Errors
    /// It cannot be read, is no judge, or looks at other channels.
    pub fn judge_of(
        &mut self,
        spec: &str,
        names: &[String],
        channels: usize,
    ) -> Result<Option<Arc<Judge>>> {
        if spec.is_empty() || spec == JUDGE_NONE {
            return Ok(None);
        }
        let sight = self.sight(spec)?;
        let looks_at = sight.channels;
        let right = || format!("it looks at {looks_at} channels, the model draws {channels}");
        // Grey pictures can be looked at as if they were in colour.
        ensure(looks_at == channels || channels == 1, || Error::argument("judge", spec, right()))?;
        let key = format!("{spec}\n{names:?}");
        if let Some(judge) = self.judges.asked.get(&key) {
            return Ok(Some(judge.clone()));
        }
        if self.judges.asked.len() >= MOST {
            self.judges.asked.clear();
        }
        let judge = Arc::new(Judge::new(sight, names));
        self.judges.asked.insert(key, judge.clone());
        Ok(Some(judge))
    }

    /// The judge of what a class-conditional diffusion model draws: the one that a person named, else the shipped
    /// one for a data set, if there is one that knows its classes and looks at so many channels.
    ///
    /// # Errors
    /// It cannot be read, is no judge, looks at other channels, or does not know each class by itself.
    pub fn judge(
        &mut self,
        card: &Card,
        data: &str,
        channels: usize,
    ) -> Result<Option<Arc<Judge>>> {
        let Some(spec) = &card.judge else {
            let Some(shipped) = registry::judge(data) else { return Ok(None) };
            let fits = self.sight(shipped.name)?.channels == channels;
            let judge = match fits {
                true => self.judge_of(shipped.name, &card.classes, channels)?,
                false => None,
            };
            return Ok(judge.filter(|judge| unknown(judge, &card.classes).is_none()));
        };
        let judge = self.judge_of(spec, &card.classes, channels)?;
        if let Some(what) = judge.as_ref().and_then(|judge| unknown(judge, &card.classes)) {
            let drawn = listed(&card.classes);
            let known = match self.sight(spec)?.classes() {
                Some(classes) => format!("it tells {} apart, ", listed(classes)),
                None => String::new(),
            };
            let right = format!("{known}the model draws {drawn}: {what}");
            return Err(Error::argument("judge", spec, right));
        }
        Ok(judge)
    }

    /// The network of a judge, opened once, and again where its files have changed.
    fn sight(&mut self, spec: &str) -> Result<Arc<Sight>> {
        let now = stamps(spec);
        match self.judges.sights.get(spec) {
            Some((then, sight)) if *then == now => return Ok(sight.clone()),
            // What another found by this name.
            Some(_) => self.store.clear(),
            None => {}
        }
        let sight = match clip(spec, &self.device)? {
            Some(sight) => sight,
            None => Sight::of_classifier(spec, &registry::open_as_judge(spec)?, &self.device)?,
        };
        let sight = Arc::new(sight);
        if self.judges.sights.len() >= SIGHTS {
            self.judges = Judges::default();
        }
        self.judges.asked.retain(|key, _| !key.starts_with(&format!("{spec}\n")));
        self.judges.sights.insert(spec.into(), (now, sight.clone()));
        Ok(sight)
    }
}

/// The network of CLIP in the folder that a name leads to; nothing where it leads to none.
///
/// # Errors
/// The folder holds no CLIP, or it cannot be read.
#[cfg(not(target_arch = "wasm32"))]
fn clip(spec: &str, device: &Device) -> Result<Option<Sight>> {
    use crate::models::{clip::Clip, latent::OnDisk};
    let folder = crate::disk::expanded(spec);
    // A run's folder holds a classifier; what else is a folder is to be CLIP, and says what it lacks.
    let other = ["recipe.toml", "model_index.json"].iter().any(|name| folder.join(name).is_file());
    if !folder.is_dir() || other || registry::is_judge(spec) {
        return Ok(None);
    }
    let (clip, weights) = Clip::read(&OnDisk(folder), crate::platform::memory_to_be_had())?;
    Ok(Some(Sight::of_clip(spec, clip, &weights, device)))
}

/// A page has no folders.
///
/// # Errors
/// None.
#[cfg(target_arch = "wasm32")]
fn clip(_: &str, _: &Device) -> Result<Option<Sight>> {
    Ok(None)
}

/// What a judge's files are now; nothing of one that comes with the program.
#[cfg(not(target_arch = "wasm32"))]
fn stamps(spec: &str) -> Vec<registry::Stamp> {
    registry::judge_file(spec).map_or_else(Vec::new, |path| crate::disk::stamps(&path))
}

/// A page has no files.
#[cfg(target_arch = "wasm32")]
fn stamps(_: &str) -> Vec<registry::Stamp> {
    Vec::new()
}

/// What of these names a judge does not know, or cannot tell from another, in a few words; nothing where it
/// knows each by itself.
fn unknown(judge: &Judge, names: &[String]) -> Option<String> {
    let lacks = |i: &usize| judge.same(*i).is_none();
    let lacking: Vec<String> = (0..names.len()).filter(lacks).map(|i| names[i].clone()).collect();
    if !lacking.is_empty() {
        return Some(format!("it lacks {}", listed(&lacking)));
    }
    let twin =
        (0..names.len()).find_map(|i| Some((i, judge.same(i).filter(|same| *same != i)?)))?;
    Some(format!("it cannot tell {} from {}", names[twin.0], names[twin.1]))
}

impl Work<'_> {
    /// Says who judges what is drawn, and how good a judge that a person named is on real pictures, before its
    /// word counts; or that nobody does.
    ///
    /// # Errors
    /// The judge cannot be used; cancelled, or the device failed.
    pub async fn hear_judge(&mut self, of: &Setting, channels: usize) -> Result<()> {
        let (data, name) = (&of.data.test, &of.asked.recipe.data);
        let Some(judge) = self.session.judge(&of.model.card, name, channels)? else {
            self.job.note(NO_JUDGE);
            return Ok(());
        };
        let Some(file) = &of.model.card.judge else { return Ok(()) };
        let items = super::fit::looked_at(data.len());
        self.job.phase("Looking at the judge", items.len());
        let right = judge.accuracy(data, &items, self.job).await?;
        let n = items.len();
        self.job.note(format!(
            "{file} judges: it is right on {right:.1} % of {n} test pictures of {name}"
        ));
        Ok(())
    }
}
