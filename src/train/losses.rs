//! The losses of both tasks and the batches they are taken over.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation};
use rand::RngExt;

pub use crate::data::Augment;
use crate::data::{Pictures, Rng, normals};
use crate::diffusion::Schedule;
use crate::gpu::tensor4;

/// Mean cross-entropy. `logits` [n, k], one label each.
pub fn cross_entropy(logits: Tensor<2>, labels: &[usize]) -> Tensor<1> {
    let labels = column(&logits, labels);
    log_likelihood(logits, labels).mean().neg()
}

/// The logarithm of each picture's probability of a class, [n, 1]. `logits` [n, k], `classes` [n, 1].
pub fn log_likelihood(logits: Tensor<2>, classes: Tensor<2, Int>) -> Tensor<2> {
    activation::log_softmax(logits, 1).gather(1, classes)
}

/// Labels as a column beside logits, [n, 1].
pub fn column(logits: &Tensor<2>, labels: &[usize]) -> Tensor<2, Int> {
    let n = labels.len();
    let labels: Vec<i32> = labels.iter().map(|&l| l as i32).collect();
    Tensor::from_data(TensorData::new(labels, [n, 1]), &logits.device().without_autodiff())
}

/// Mean squared error over all elements.
pub fn mse(a: Tensor<4>, b: Tensor<4>) -> Tensor<1> {
    (a - b).square().mean()
}

/// A batch of pictures [n, c, h, w] in [0, 1].
pub fn pictures(
    data: &Pictures,
    indices: &[usize],
    augment: Augment,
    rng: &mut Rng,
    device: &Device,
) -> Tensor<4> {
    let s = data.shape;
    let values = varied(data, indices, augment, rng);
    tensor4(values, [indices.len(), s.channels, s.height, s.width], device)
}

/// The pictures `indices` as values in [0, 1], varied.
fn varied(data: &Pictures, indices: &[usize], augment: Augment, rng: &mut Rng) -> Vec<f32> {
    let s = data.shape;
    let mut values = data.unit(indices);
    if augment != Augment::None {
        for picture in values.chunks_exact_mut(s.n()) {
            let reach = augment.reach();
            let (dy, dx) = (rng.random_range(-reach..=reach), rng.random_range(-reach..=reach));
            let flip = rng.random::<bool>();
            vary(picture, [s.height, s.width], dy, dx, flip);
        }
    }
    values
}

fn vary(picture: &mut [f32], [h, w]: [usize; 2], dy: i32, dx: i32, flip: bool) {
    for plane in picture.chunks_exact_mut(h * w) {
        let source = plane.to_vec();
        for y in 0..h {
            for x in 0..w {
                let from_x = if flip { w - 1 - x } else { x } as i32 + dx;
                let from_y = y as i32 + dy;
                let inside = (0..h as i32).contains(&from_y) && (0..w as i32).contains(&from_x);
                plane[y * w + x] =
                    if inside { source[from_y as usize * w + from_x as usize] } else { 0.0 };
            }
        }
    }
}

/// A noised batch for the diffusion loss, and its conditions: classes, or the tokens of captions.
pub struct Noised<C> {
    /// x_t and what the network should predict of it, [n, c, h, w].
    pub x: Tensor<4>,
    pub target: Tensor<4>,
    /// Time steps.
    pub t: Vec<f32>,
    pub own: Vec<C>,
    /// The condition that each is redirected to.
    pub sent: Vec<C>,
}

/// A batch of pictures of classes, whose noise is to be predicted.
pub type NoisedClasses = Noised<Option<usize>>;

impl NoisedClasses {
    /// The same times, noise and classes, with noise in the place of the pictures.
    pub fn of_noise(self, schedule: &Schedule, rng: &mut Rng) -> Self {
        let (shape, device) = (self.target.dims(), self.target.device());
        let (signal, sigma): (Vec<f32>, Vec<f32>) =
            self.t.iter().map(|t| schedule.mix(*t as usize)).unzip();
        let each = |values| tensor4(values, [shape[0], 1, 1, 1], &device);
        let pictures = tensor4(normals(rng, shape.iter().product()), shape, &device);
        let x = pictures * each(signal) + self.target.clone() * each(sigma);
        Self { x, ..self }
    }
}

impl<C: Clone> Noised<C> {
    /// The same items in batches of `size`.
    pub fn split(self, size: usize) -> Vec<Self> {
        let tensors = self.x.split(size, 0).into_iter().zip(self.target.split(size, 0));
        let conditions = self.own.chunks(size).zip(self.sent.chunks(size));
        let parts = tensors.zip(self.t.chunks(size)).zip(conditions);
        parts
            .map(|(((x, target), t), (own, sent))| {
                let (t, own, sent) = (t.to_vec(), own.to_vec(), sent.to_vec());
                Self { x, target, t, own, sent }
            })
            .collect()
    }
}

/// x_t of the pictures `indices`, varied first, at antithetic random times: half of the times are
/// drawn, the other half are T - 1 minus those (docs/methods.md#models).
pub fn noised(
    data: &Pictures,
    indices: &[usize],
    augment: Augment,
    schedule: &Schedule,
    rng: &mut Rng,
    device: &Device,
) -> NoisedClasses {
    let n = indices.len();
    let s = data.shape;
    let last = schedule.steps() - 1;
    let drawn: Vec<usize> = (0..n / 2 + 1).map(|_| rng.random_range(0..=last)).collect();
    let t: Vec<usize> =
        drawn.iter().copied().chain(drawn.iter().map(|t| last - t)).take(n).collect();
    let eps = normals(rng, n * s.n());
    let mut x = varied(data, indices, augment, rng);
    for ((picture, noise), &t) in x.chunks_exact_mut(s.n()).zip(eps.chunks_exact(s.n())).zip(&t) {
        let (signal, sigma) = schedule.mix(t);
        for (v, e) in picture.iter_mut().zip(noise) {
            *v = signal * (2.0 * *v - 1.0) + sigma * e;
        }
    }
    let shape = [n, s.channels, s.height, s.width];
    let class: Vec<_> = data.labels(indices).into_iter().map(Some).collect();
    let (x, target) = (tensor4(x, shape, device), tensor4(eps, shape, device));
    let t = t.into_iter().map(|t| t as f32).collect();
    Noised { x, target, t, sent: class.clone(), own: class }
}

/// Replaces each class by the null condition with probability `p`.
pub fn drop_condition(class: &mut [Option<usize>], p: f64, rng: &mut Rng) {
    for c in class {
        if rng.random::<f64>() < p {
            *c = None;
        }
    }
}

/// A boolean vector on a device from bytes 0 and 1.
pub fn flags(bits: &[u8], device: &Device) -> Tensor<1, Bool> {
    let bits: Vec<bool> = bits.iter().map(|b| *b != 0).collect();
    let n = bits.len();
    Tensor::from_data(TensorData::new(bits, [n]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{PictureShape, rng};

    /// A picture of one bright pixel in the middle of 9 x 9.
    fn dot() -> Pictures {
        let shape = PictureShape { channels: 1, height: 9, width: 9 };
        let mut pixels = vec![0; 81];
        pixels[40] = 255;
        Pictures { pixels, labels: vec![0], shape }
    }

    #[test]
    fn a_crop_shifts_by_up_to_four_and_every_shift_comes_up() {
        let data = dot();
        for (augment, reach) in [(Augment::CropFlip, 4i32), (Augment::ShiftFlip, 2)] {
            let mut rng = rng::seeded(1, "crops");
            let mut seen = std::collections::HashSet::new();
            for _ in 0..4000 {
                let values = varied(&data, &[0], augment, &mut rng);
                let at = values.iter().position(|v| *v == 1.0).expect("it stays within reach");
                seen.insert((at / 9, at % 9));
                assert!([at / 9, at % 9].iter().all(|p| (*p as i32 - 4).abs() <= reach));
            }
            assert_eq!(seen.len(), (2 * reach as usize + 1).pow(2));
        }
    }
}
