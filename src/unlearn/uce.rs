//! Unified concept editing (Gandikota et al. 2024; ALGORITHMS 6.11): the keys and values that make the
//! forgotten captions read as what they are sent to are solved for ([`super::prompt::uce`]).

use super::{
    hooks::{Local, MethodContext, MethodHooks},
    prompt::uce::{self, Vectors},
    registry::{Generate, Method},
};
use crate::{
    data::rng,
    error::{Error, Result},
    job_context::JobContext,
    models::weights::read,
    words::estimator::Estimator,
};

/// UCE: for prompts alone.
pub const METHOD: Method = Method {
    name: "uce",
    title: "UCE",
    paper: "Gandikota et al., WACV 2024, arXiv 2308.14761",
    knobs: &[],
    mask: Estimator::None,
    classify: None,
    generate: None,
    prompts: Some(Generate { redirects: true, ..Generate::CLOSED }),
    work: |_| Box::new(Edit),
};

/// Captions that equations are made of, at the most, forgotten and kept.
const SOLVED: usize = 256;

struct Edit;

impl MethodHooks for Edit {
    fn begin<'a>(
        &'a mut self,
        scene: &'a mut MethodContext<'_>,
        _monitor: &'a mut JobContext,
    ) -> Local<'a, Result<()>> {
        Box::pin(async move {
            let prompts = scene.subject.prompts().ok_or_else(|| {
                Error::Request("concept editing is for models that take prompts".into())
            })?;
            let mut rng = rng::seeded(scene.plan.seed, "prompt solve");
            let some = |items: &[usize]| items[..items.len().min(SOLVED)].to_vec();
            let forgotten = prompts.noised(&some(&scene.plan.forget), &mut rng);
            let kept = prompts.noised(&some(&scene.plan.retain), &mut rng);
            let mut vectors = Vec::new();
            for ids in [&forgotten.own, &forgotten.sent, &kept.own] {
                let context = prompts.contexts(ids);
                let [n, tokens, width] = context.dims();
                // The start token is the same in every prompt.
                let rest = context.slice([0..n, 1..tokens, 0..width]);
                vectors.push(Vectors { width, values: read(rest).await? });
            }
            let mut unet = scene.weights.download().await?;
            uce::edit(&mut unet, [&vectors[0], &vectors[1], &vectors[2]])?;
            *scene.weights = unet.upload(&scene.original.device());
            Ok(())
        })
    }
}
