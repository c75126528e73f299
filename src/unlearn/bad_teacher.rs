//! Bad teacher (Chundawat et al. 2023): the forget set is taught by a network of
//! random weights, the retain set by the original.

use burn::tensor::{Tensor, TensorData};
use rand::RngExt;

use super::method::{Order, Treatment};
use super::{Batch, Knob, Local, Method, MethodContext, MethodHooks, Rate, divergence};
use crate::data::{Rng, rng};
use crate::error::Result;
use crate::models::Weights;

/// Bad teacher.
pub const METHOD: Method = Method {
    name: "bad-teacher",
    title: "Bad teacher",
    paper: "Chundawat et al., AAAI 2023, arXiv 2205.08096",
    knobs: &[Knob::real("temperature", 1.0, [0.5, 20.0])
        .says("Temperature", "temperature of all models' outputs")],
    treatments: &[Treatment::classifier(Order::Mixed, 10, 0.02).rate(Rate::Cosine)],
    work: |knobs| Box::new(Teachers { temperature: knobs.get("temperature"), bad: None }),
    ..Method::PLAIN
};

struct Teachers {
    temperature: f64,
    bad: Option<Weights>,
}

impl MethodHooks for Teachers {
    fn begin<'a>(&'a mut self, scene: &'a mut MethodContext<'_>) -> Local<'a, Result<()>> {
        Box::pin(async move {
            // Not the weights that a model of the same seed was trained from.
            let seed = Rng::random(&mut rng::seeded(scene.plan.seed, "bad teacher"));
            self.bad = Some(scene.original.layout.init(seed).upload(&scene.original.device()));
            Ok(())
        })
    }

    fn loss(&self, batch: Batch) -> Tensor<1> {
        let good = batch.logits_of(batch.original);
        let bad = self.bad.as_ref().map_or_else(|| good.clone(), |bad| batch.logits_of(bad));
        divergence(taught(good, bad, batch.forgotten), batch.logits, self.temperature)
    }
}

/// Each picture's teacher: the bad one's logits where it is to be forgotten. [n, classes].
pub fn taught(good: Tensor<2>, bad: Tensor<2>, forgotten: &[bool]) -> Tensor<2> {
    let of = TensorData::new(forgotten.to_vec(), [forgotten.len(), 1]);
    let of = Tensor::<2, burn::tensor::Bool>::from_data(of, &good.device());
    let shape = good.dims();
    good.mask_where(of.expand(shape), bad)
}
