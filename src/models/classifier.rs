//! What every image classifier offers, whatever its layers are.

use burn::tensor::Tensor;

use super::{Linear, Pass, Sketch};

/// A classifier: a trunk that makes features of a picture, and a linear head over them.
pub trait Classifier: std::fmt::Debug + Send + Sync {
    /// Penultimate features, and what each stage makes on the way, which `seen` is shown. `x` [n, c, h, w] in
    /// [0, 1] to [n, features].
    fn trunk(&self, pass: &Pass, x: Tensor<4>, seen: &mut dyn FnMut(&Tensor<4>)) -> Tensor<2>;

    /// Draws [`Classifier::forward`].
    fn sketch(&self, to: &mut Sketch);

    /// The names of [`Classifier::stages`].
    fn stage_names(&self) -> Vec<String>;

    /// The head, from features to classes. One with more rows makes as many logits.
    fn linear(&self) -> &Linear;

    /// Classes that the head tells apart.
    fn classes(&self) -> usize {
        self.linear().width
    }

    /// What a stage makes, averaged over positions, to [n, channels of the stage].
    fn average(&self, h: Tensor<4>) -> Tensor<2> {
        pooled(h)
    }

    /// Penultimate features. `x` [n, c, h, w] in [0, 1] to [n, features].
    fn features(&self, pass: &Pass, x: Tensor<4>) -> Tensor<2> {
        self.trunk(pass, x, &mut |_| {})
    }

    /// What each stage makes of the pictures, averaged over positions; the penultimate features
    /// come last. Each is [n, channels of the stage].
    fn stages(&self, pass: &Pass, x: Tensor<4>) -> Vec<Tensor<2>> {
        let mut stages = Vec::new();
        let features = self.trunk(pass, x, &mut |h| stages.push(self.average(h.clone())));
        stages.pop();
        stages.push(features);
        stages
    }

    /// The parameter indices of the head's weight [classes, features] and of its bias [classes],
    /// where it has one.
    fn head_params(&self) -> Vec<usize> {
        self.linear().params()
    }

    /// [n, features] to logits [n, classes].
    fn head(&self, pass: &Pass, features: Tensor<2>) -> Tensor<2> {
        self.linear().forward(pass, features)
    }

    /// Logits. `x` [n, c, h, w] in [0, 1] to [n, classes].
    fn forward(&self, pass: &Pass, x: Tensor<4>) -> Tensor<2> {
        self.head(pass, self.features(pass, x))
    }
}

/// The mean over positions. [n, c, h, w] to [n, c].
pub fn pooled(h: Tensor<4>) -> Tensor<2> {
    let [n, c, height, width] = h.dims();
    h.reshape([n, c, height * width]).mean_dim(2).reshape([n, c])
}

/// Pictures as a network expects them: each channel less its mean, over its deviation.
pub fn normalised(x: Tensor<4>, mean: &[f32], std: &[f32]) -> Tensor<4> {
    let device = x.device().without_autodiff();
    let per_channel = |v: &[f32]| Tensor::<1>::from_floats(v, &device).reshape([1, v.len(), 1, 1]);
    (x - per_channel(mean)) / per_channel(std)
}
