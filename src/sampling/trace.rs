//! What happens between noise and pictures: x_t, the predicted x_0 and the cross-attention of every step.

use super::Denoising;
use super::sampler::Denoiser;
use crate::error::Result;
use crate::job_context::JobContext;
use crate::models::weights::read_all;
use burn::tensor::Tensor;

/// Calls of the network that are recorded, at the most; of more, every so many.
const MOST: usize = 50;

/// What some pictures are at a call of the network, or at the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The time step of the call; `None` of the finished pictures.
    pub time: Option<f32>,
    /// Share of the noise in the standard deviation of what the network is shown, 0..=1.
    pub noise: f32,
    /// What it is shown, as pictures: values in [0, 1], [n, c, h, w] flat.
    pub noisy: Vec<f32>,
    /// The pictures that it predicts there, the same way; at the end the finished ones.
    pub predicted: Vec<f32>,
    /// The share of each token in what each place of a picture takes in, mean over heads and layers:
    /// [n, tokens, h, w] flat, on a raster of the latents' size. A place's tokens sum to 1. Empty of a network
    /// without cross-attention, and at the end.
    pub attention: Vec<f32>,
    /// Height and width of the raster.
    pub raster: [usize; 2],
}

impl Recorded {
    /// Adds other pictures at the same call.
    pub fn join(&mut self, other: Self) {
        self.noisy.extend(other.noisy);
        self.predicted.extend(other.predicted);
        self.attention.extend(other.attention);
    }
}

/// How often somebody must look at pictures with so many calls of the network.
fn every(calls: usize) -> usize {
    calls.div_ceil(MOST).max(1)
}

/// Looks at pictures that take so many calls, beside the last one.
pub fn looks(calls: usize) -> usize {
    calls.div_ceil(every(calls))
}

/// Records pictures on their way; `show` makes values of them. The job's phase counts each picture at every call, and
/// again at every look and at the end.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn record<N: Denoiser>(
    mut pictures: Denoising<'_, N>,
    show: impl AsyncFn(Vec<Tensor<4>>) -> Result<Vec<f32>>,
    job: &mut JobContext,
) -> Result<Vec<Recorded>> {
    let (calls, n) = (pictures.calls(), pictures.n());
    let mut all = Vec::with_capacity(looks(calls) + 1);
    for i in 0..calls {
        let watched = i.is_multiple_of(every(calls));
        let told = pictures.solver().map(|s| (s.times[i], (1.0 - s.signal(i)).sqrt() as f32));
        let frames = pictures.call(i, watched, job).await?;
        let Some((time, noise)) = told.filter(|_| watched) else { continue };
        let mut attention = Vec::new();
        let (mut noisy, mut predicted, mut raster) = (Vec::new(), Vec::new(), [0; 2]);
        for frame in frames {
            let [.., h, w] = frame.noisy.dims();
            raster = [h, w];
            noisy.push(frame.noisy);
            predicted.push(frame.predicted);
            attention.extend(mean(frame.attention, raster).await?);
        }
        // Both at once, for all cores.
        noisy.extend(predicted);
        let mut noisy = show(noisy).await?;
        let predicted = noisy.split_off(noisy.len() / 2);
        let time = Some(time);
        all.push(Recorded { time, noise, noisy, predicted, attention, raster });
        job.advance(n).await?;
    }
    let finished = show(pictures.pictures()).await?;
    job.advance(n).await?;
    all.push(Recorded {
        time: None,
        noise: 0.0,
        noisy: finished.clone(),
        predicted: finished,
        attention: Vec::new(),
        raster: [0; 2],
    });
    Ok(all)
}

/// The mean of maps [n, tokens, h, w] of several sizes on one raster, flat.
///
/// # Errors
/// The device failed.
pub async fn mean(maps: Vec<Tensor<4>>, to: [usize; 2]) -> Result<Vec<f32>> {
    let layers = maps.len() as f32;
    let sizes: Vec<[usize; 4]> = maps.iter().map(|map| map.dims()).collect();
    let flat = |(map, size): (Tensor<4>, &[usize; 4])| -> Tensor<1> {
        map.reshape([size.iter().product::<usize>()])
    };
    let flat: Vec<Tensor<1>> = maps.into_iter().zip(&sizes).map(flat).collect();
    // All at once: each read is a wait of its own.
    let all = read_all(&flat).await?;
    let mut rest = &all[..];
    let mut sum: Vec<f32> = Vec::new();
    for [n, tokens, h, w] in sizes {
        let (values, others) = rest.split_at(n * tokens * h * w);
        rest = others;
        let each = values.chunks_exact(h * w).flat_map(|map| enlarged(map, [h, w], to));
        if sum.is_empty() {
            sum = each.map(|v| v / layers).collect();
        } else {
            sum.iter_mut().zip(each).for_each(|(sum, v)| *sum += v / layers);
        }
    }
    Ok(sum)
}

/// A map on a finer raster, linear between the middles of its places (PyTorch's `bilinear` without aligned corners).
fn enlarged(map: &[f32], [h, w]: [usize; 2], [height, width]: [usize; 2]) -> Vec<f32> {
    // The two places beside a place of the finer raster, and the share of the second.
    let beside = |at: usize, from: usize, to: usize| {
        let x = ((at as f32 + 0.5) * from as f32 / to as f32 - 0.5).max(0.0);
        let low = (x as usize).min(from - 1);
        (low, (low + 1).min(from - 1), x - low as f32)
    };
    let mut out = Vec::with_capacity(height * width);
    for y in 0..height {
        let (top, bottom, down) = beside(y, h, height);
        for x in 0..width {
            let (left, right, across) = beside(x, w, width);
            let row = |y: usize| map[y * w + left] * (1.0 - across) + map[y * w + right] * across;
            out.push(row(top) * (1.0 - down) + row(bottom) * down);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_enlarged_as_pytorch_does() {
        // torch.nn.functional.interpolate(torch.tensor([[[[0., 1.], [2., 4.]]]]), size=(4, 4), mode="bilinear")
        let expected = [
            0.0, 0.25, 0.75, 1.0, 0.5, 0.8125, 1.4375, 1.75, 1.5, 1.9375, 2.8125, 3.25, 2.0, 2.5,
            3.5, 4.0,
        ];
        assert_eq!(enlarged(&[0.0, 1.0, 2.0, 4.0], [2, 2], [4, 4]), expected);
        assert_eq!(enlarged(&[3.0], [1, 1], [2, 3]), [3.0; 6]);
    }

    #[test]
    fn long_runs_are_looked_at_now_and_then() {
        assert_eq!([1, 20, 50, 51, 1000].map(looks), [1, 20, 50, 26, 50]);
    }
}
