//! What a run is about, as far as its plan asks: the items of any kind of model, and what of the model and
//! its data matters.

use crate::data::{Dataset, ForgetSet};
use crate::error::{Error, Result};
use crate::models::Architecture;
use crate::subject::Sent;
use crate::train::Preset;
use crate::words::{Redirect, Task};

/// Items to forget and to keep, and what they are to a model.
pub struct Scope {
    pub task: Task,
    /// Items of the subject: of pictures their indices, of latents those of both sets together.
    pub forget: Vec<usize>,
    pub retain: Vec<usize>,
    /// How many of each are looked at, where that is not the budget's to say.
    pub each: Option<[usize; 2]>,
    /// What a diffusion model of classes is to make instead of the forgotten one.
    pub redirect: Sent,
    /// How the model is trained anew, where it can be.
    pub preset: Option<&'static Preset>,
    /// Whether what is to be forgotten is of one class.
    pub alone: bool,
    /// Whether the network normalises over the batch.
    pub normalises: bool,
}

impl Scope {
    /// A model of classes and what it is to forget of its data.
    ///
    /// # Errors
    /// A diffusion model is to forget something else than a class, or `redirect` is no target.
    pub fn of_classes(
        architecture: &Architecture,
        data: &Dataset,
        set: &ForgetSet,
        redirect: &Redirect,
    ) -> Result<Self> {
        let label = |i: &usize| data.train.labels[*i];
        Ok(Self {
            task: architecture.task(),
            forget: set.forget.clone(),
            retain: set.retain.clone(),
            each: None,
            redirect: match architecture {
                Architecture::Unet(_) => target(redirect, data, set)?,
                _ => Sent::To(None),
            },
            preset: Some(Preset::of(architecture, &data.name)),
            alone: set.forget.windows(2).all(|pair| label(&pair[0]) == label(&pair[1])),
            normalises: architecture.batch_norm(),
        })
    }

    /// A text-to-image model with as many latents to forget and to keep.
    pub fn of_prompts(items @ [forget, retain]: [usize; 2]) -> Self {
        Self {
            task: Task::TextToImage,
            forget: (0..forget).collect(),
            retain: (forget..forget + retain).collect(),
            each: Some(items),
            redirect: Sent::To(None),
            preset: None,
            alone: false,
            normalises: false,
        }
    }
}

/// What a request's redirect target is.
fn target(redirect: &Redirect, data: &Dataset, set: &ForgetSet) -> Result<Sent> {
    let Some(class) = set.class else {
        return Err(Error::argument(
            "forget set",
            &set.spec,
            "the diffusion model forgets whole classes: write class:NAME",
        ));
    };
    // A class that was forgotten before is no place to send another; the next one is first.
    let classes = data.classes.len();
    let left: Vec<usize> =
        (1..classes).map(|i| (class + i) % classes).filter(|c| !set.absent(*c)).collect();
    match redirect {
        Redirect::Next | Redirect::Random if left.is_empty() => {
            Err(Error::argument("redirect", redirect, "no class is left; write null"))
        }
        Redirect::Next => Ok(Sent::To(Some(left[0]))),
        Redirect::Random => Ok(Sent::ToAny(left)),
        Redirect::Null => Ok(Sent::To(None)),
        Redirect::Noise => Ok(Sent::ToNoise),
        Redirect::Class(name) => {
            let target = data.class(name)?;
            if set.absent(target) {
                let right = "another class than a forgotten one is needed";
                return Err(Error::argument("redirect", name, right));
            }
            Ok(Sent::To(Some(target)))
        }
    }
}
