//! Input saliency: which pixels a classifier's answer hangs on, by the gradient of the logarithm of a
//! class's probability.

use burn::tensor::Tensor;

use super::{Evaluator, Shown};
use crate::data::rng;
use crate::error::{Error, Result};
use crate::gpu::tensor4;
use crate::job_context::JobContext;
use crate::models::weights::read;
use crate::models::{Mode, Pass};
use crate::train::{column, log_likelihood};
use crate::words::Attribution;

/// Noisy copies of a picture that SmoothGrad takes the mean over, and the deviation of their noise as a share
/// of the range of pixels, which is 1 (Smilkov et al. 2017: 10 to 20 %, little is gained beyond 50 copies).
const COPIES: usize = 24;
const NOISE: f32 = 0.15;

impl Attribution {
    /// Copies of a picture that are looked at.
    pub fn copies(self) -> usize {
        if self == Self::SmoothGrad { COPIES } else { 1 }
    }
}

impl Evaluator<'_> {
    /// The gradient of the logarithm of each picture's probability of a class, with respect to its values in
    /// [0, 1]: `x` [n, c, h, w] to as many values.
    ///
    /// # Errors
    /// The device failed.
    pub async fn input_gradient(&self, x: Tensor<4>, classes: &[usize]) -> Result<Vec<f32>> {
        let x = x.autodiff().require_grad();
        let logits = self.net.forward(&Pass::new(self.weights, Mode::Eval), x.clone());
        let classes = column(&logits, classes);
        // Pictures do not depend on each other in evaluation mode: the sum's gradient is each one's own.
        let mut gradients = log_likelihood(logits, classes).sum().backward();
        let none = || Error::Device("no gradient came back to the pixels".into());
        read(x.grad_remove(&mut gradients).ok_or_else(none)?.without_autodiff()).await
    }

    /// How much each pixel of each picture matters for its class: [n, h, w], not below 0. Of colours the one
    /// that matters most counts (Simonyan et al. 2014); of gradient times input, all together.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn attribute(
        &self,
        Shown(data, items): Shown<'_>,
        classes: &[usize],
        way: Attribution,
        seed: u64,
        job: &mut JobContext,
    ) -> Result<Vec<f32>> {
        let s = data.shape;
        let (copies, plane) = (way.copies(), s.height * s.width);
        let mut all = Vec::with_capacity(items.len() * plane);
        for (&item, &class) in items.iter().zip(classes) {
            let picture = data.unit(&[item]);
            let mut values = picture.repeat(copies);
            if way == Attribution::SmoothGrad {
                let mut rng = rng::seeded(seed, &format!("smoothgrad {item}"));
                let noise = rng::normals(&mut rng, values.len());
                values.iter_mut().zip(noise).for_each(|(v, noise)| *v += NOISE * noise);
            }
            let shape = [copies, s.channels, s.height, s.width];
            let x = tensor4(values, shape, &self.weights.device());
            let gradients = self.input_gradient(x, &vec![class; copies]).await?;
            let mut mean = vec![0.0; s.n()];
            for gradient in gradients.chunks_exact(s.n()) {
                mean.iter_mut().zip(gradient).for_each(|(m, g)| *m += g / copies as f32);
            }
            let score = |at: usize| {
                let channels = (0..s.channels).map(|c| c * plane + at);
                match way {
                    Attribution::GradientInput => {
                        channels.map(|i| mean[i] * picture[i]).sum::<f32>().abs()
                    }
                    _ => channels.map(|i| mean[i].abs()).fold(0.0, f32::max),
                }
            };
            all.extend((0..plane).map(score));
            job.advance(1).await?;
        }
        Ok(all)
    }
}
