//! Weights that others made forget, held against the model that they came from: whether they are of the same
//! network, and what had to be assumed.

use serde_json::Value;

use super::fit::bracketed;
use super::{PromptSetting, Request, Setting, Work};
use crate::error::{Error, Result, ensure};
use crate::models::{Architecture, HostWeights, Model, UnetConfig, registry};

/// Parts of a text-to-image model that a pair must share.
const SHARED: [&str; 3] = ["text encoder", "U-Net", "autoencoder"];

impl Work<'_> {
    /// The weights in a file, or in a text-to-image model's folder, as the end of a request's run.
    ///
    /// # Errors
    /// It cannot be read, or is of another network, other classes or other channels than the request's model; both
    /// are named.
    pub fn given(&mut self, request: &Request, file: &str) -> Result<HostWeights> {
        // It may have been written anew since it was open.
        self.session.look_again(file)?;
        let weights = match request {
            Request::Classes(of) => self.given_classes(of, file),
            Request::Prompts(of) => self.given_prompts(of, file),
        }?;
        self.job.note(format!(
            "the weights after are those of {file}: nothing was trained here, and which weights were free is not known"
        ));
        if weights.hash() == request.original().hash() {
            self.job.note(format!("{file} has the weights of before, every bit"));
        }
        Ok(weights)
    }

    fn given_classes(&mut self, of: &Setting, file: &str) -> Result<HostWeights> {
        let before = &of.asked.recipe.model;
        if registry::is_latent(file) {
            return Err(Error::file(
                file,
                format!("is a text-to-image model, and {before} is none; a pair is of one network"),
            ));
        }
        let after = self.session.model(file)?;
        self.hear_notes(file, &after);
        let other = |what: String| Error::file(file, format!("is no pair with {before}: {what}"));
        let now = as_before(&after, &of.model);
        if let Some(what) = differs(&now, &of.model.card.architecture) {
            return Err(other(what));
        }
        let [theirs, own] = [&after.card.classes, &of.model.card.classes];
        let classes = || {
            let [theirs, own] = [theirs, own].map(|names| bracketed(names, false));
            other(format!("its classes are{theirs}, there they are{own}"))
        };
        ensure(after.card.assumed.classes || theirs == own, classes)?;
        Ok(HostWeights { layout: of.model.weights.layout.clone(), ..after.weights.clone() })
    }

    fn given_prompts(&mut self, of: &PromptSetting, file: &str) -> Result<HostWeights> {
        let before = &of.asked.recipe.model;
        let other = |what: String| Error::file(file, format!("is no pair with {before}: {what}"));
        if !registry::is_latent(file) {
            // What cannot be opened says by itself what it is.
            registry::open(file)?;
            return Err(other("a text-to-image model's folder is needed".into()));
        }
        let after = self.session.latent(file)?;
        if !after.fits(&of.model) {
            return Err(other("its networks have other widths".into()));
        }
        // Only the U-Net's weights are looked at, with what is around them as it was.
        for part in [0, 2] {
            let [theirs, own] = [&after, &of.model].map(|model| model.parts()[part].hash());
            let right =
                || other(format!("its {} is another; only U-Nets may differ", SHARED[part]));
            ensure(theirs == own, right)?;
        }
        Ok(HostWeights { layout: of.model.unet.layout.clone(), ..after.unet.clone() })
    }
}

/// The form of a network, with what its file does not say taken from the model that it came from, and what only
/// training knows.
fn as_before(after: &Model, before: &Model) -> Architecture {
    let assumed = after.card.assumed;
    match (after.card.architecture.clone(), &before.card.architecture) {
        (Architecture::Unet(now), Architecture::Unet(then)) => {
            let now = if assumed.side { now.with_side(then.resolution) } else { now };
            let groups = if assumed.groups { then.groups } else { now.groups };
            Architecture::Unet(UnetConfig { groups, dropout: then.dropout, ..now })
        }
        (Architecture::Swin(mut now), Architecture::Swin(then)) => {
            now.drop_path = then.drop_path;
            normalised_as(Architecture::Swin(now), assumed.normalisation, before)
        }
        (now, _) => normalised_as(now, assumed.normalisation, before),
    }
}

/// A form with another's mean and deviation, where its own were assumed.
fn normalised_as(now: Architecture, assumed: bool, before: &Model) -> Architecture {
    match before.card.architecture.statistics().filter(|_| assumed) {
        Some([mean, std]) => now.with_statistics(mean.to_vec(), std.to_vec()),
        None => now,
    }
}

/// What is other in one form than in another: the kind of network first.
fn differs(now: &Architecture, then: &Architecture) -> Option<String> {
    // By way of the text, in which a number is as short as it was written.
    let fields = |form: &Architecture| -> Option<Value> {
        serde_json::from_str(&serde_json::to_string(form).ok()?).ok()
    };
    let (now, then) = (fields(now)?, fields(then)?);
    let fields = now.as_object()?;
    let other = |name: &&str| fields.get(*name) != then.get(name);
    let name = ["kind", "channels", "classes"].into_iter().chain(fields.keys().map(String::as_str));
    let name = name.into_iter().find(other)?;
    let said = |form: &Value| form.get(name).map_or("nothing".into(), Value::to_string);
    let (theirs, own) = (said(&now), said(&then));
    Some(match name {
        "kind" => format!("it is a network of the kind {theirs}, there it is {own}"),
        "channels" | "classes" => format!("it has {theirs} {name}, there are {own}"),
        _ => format!("its {name} is {theirs}, there it is {own}"),
    })
}
