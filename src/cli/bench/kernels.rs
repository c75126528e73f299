//! The WGSL kernels on this GPU, each beside a plain copy of a buffer: what bounds every one of them
//! is how fast memory is read and written.

use std::{ops::Range, time::Instant};

use pollster::block_on;
use serde::Serialize;

use super::{print, spread};
use salun_studio::error::{Error, Result};
use salun_studio::gpu::kernels::{Kernels, Picture, Slice, Update, Updated};
use salun_studio::models::WeightLayout;

/// A kernel's time, and the bytes that it has to move.
#[derive(Debug, Serialize)]
pub struct Row {
    kernel: &'static str,
    values: usize,
    s: f64,
    range_s: [f64; 2],
    bytes: usize,
    gb_per_s: f64,
    /// Its bytes a second as a share of the copy's.
    of_copy: f64,
}

/// Seconds that one measurement takes at the least: a submission is too short to be timed alone.
const LEAST: f64 = 0.02;

/// Measures every kernel on as many values as a network has weights; medians of `rounds`.
///
/// # Errors
/// The device was lost.
pub fn measure(kernels: &Kernels, layout: &WeightLayout, rounds: usize) -> Result<Vec<Row>> {
    let n = layout.n();
    // Between 1 and 2, in no order.
    let bits = (0..n as u32).map(|i| i.wrapping_mul(747_796_405) >> 9 | 1f32.to_bits());
    let bits: Vec<u32> = bits.collect();
    let (scores, other) = (kernels.upload(&bits), kernels.zeros(n));
    let mask = kernels.upload(&vec![0x5555_5555; n.div_ceil(32)]);
    let layers: Vec<_> =
        layout.params.iter().map(salun_studio::models::WeightEntry::range).collect();
    let slices = |range: &Range<usize>| {
        let values = || kernels.upload(&bits[range.clone()]);
        [values(), values(), kernels.zeros(range.len())]
    };
    let slices: Vec<[Slice; 3]> = layers.iter().map(slices).collect();
    let moments = layers.iter().map(|range| [0, 1].map(|_| kernels.zeros(range.len())));
    let moments: Vec<[Slice; 2]> = moments.collect();
    let [sgd, adam] = [1, 2].map(|n| {
        let tensors = layers.iter().zip(&slices).zip(&moments);
        let updated = tensors.map(|((range, tensors), moments)| Updated {
            tensors,
            moments: &moments[..n],
            mask: (&mask, range.start),
        });
        updated.collect::<Vec<_>>()
    });
    let (lr, weight_decay, eps) = (1e-3, 5e-4, 1e-8);
    let by_sgd = Update::Sgd { lr, momentum: 0.9, weight_decay };
    let by_adam = Update::Adam { lr, beta1: 0.9, beta2: 0.999, eps, step: 1 };
    let largest = layers.iter().max_by_key(|range| range.len()).cloned().unwrap_or_default();
    let width = (largest.len() / 512).max(1);
    let canvas = kernels.canvas([width, 512]);
    let drawn = 512 * width;
    let range = largest.start..largest.start + drawn.min(largest.len());
    let (threshold, ties_end) = (1.5, 0);
    let picture = Picture { range, width, largest: 2.0, threshold, ties_end };

    let mut rows: Vec<Row> = Vec::new();
    let mut add = |kernel, values: usize, bytes: usize, run: &dyn Fn() -> Result<()>| {
        let mut seconds = timed(kernels, rounds, run)?;
        let [low, s, high] = spread(&mut seconds);
        let gb_per_s = bytes as f64 / s / 1e9;
        let of_copy = rows.first().map_or(1.0, |copy| gb_per_s / copy.gb_per_s);
        rows.push(Row { kernel, values, s, range_s: [low, high], bytes, gb_per_s, of_copy });
        Ok::<(), Error>(())
    };
    let words = n / 8;
    let copy = sure(|| {
        let mut encoder = kernels.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&scores.buffer, 0, &other.buffer, 0, 4 * n as u64);
        kernels.queue.submit([encoder.finish()]);
    });
    add("a buffer's copy", n, 8 * n, &copy)?;
    add("accumulate", n, 12 * n, &sure(|| kernels.accumulate(&other, &scores, false)))?;
    // Three digits, ties and marks; the threshold is read back.
    add("select half", n, 20 * n + words, &|| block_on(kernels.top_k(&scores, n / 2)).map(drop))?;
    add("layer_histogram", n, 4 * n, &|| {
        block_on(kernels.layer_histograms(&scores, &layers)).map(drop)
    })?;
    add("step_sgd", n, 20 * n + words, &sure(|| kernels.update(by_sgd, &sgd)))?;
    add("step_adam", n, 28 * n + words, &sure(|| kernels.update(by_adam, &adam)))?;
    add("soft_threshold", n, 12 * n, &sure(|| kernels.soft_threshold(&slices, 0.1)))?;
    if kernels.paints(&picture.range) {
        let paint = sure(|| kernels.heat_map(&scores, &picture, 0, &canvas));
        add("heat_map", drawn, 8 * drawn, &paint)?;
    }
    Ok(rows)
}

/// What cannot fail, where what can is asked for.
fn sure(run: impl Fn()) -> impl Fn() -> Result<()> {
    move || {
        run();
        Ok(())
    }
}

/// Seconds of one run, once a round: of as many runs in a row as take long enough to be timed.
fn timed(kernels: &Kernels, rounds: usize, run: &dyn Fn() -> Result<()>) -> Result<Vec<f64>> {
    let several = |times: usize| -> Result<f64> {
        let clock = Instant::now();
        (0..times).try_for_each(|_| run())?;
        let waited = kernels.device.poll(wgpu::PollType::wait_indefinitely());
        waited.map_err(|e| Error::Device(e.to_string()))?;
        Ok(clock.elapsed().as_secs_f64())
    };
    // The first compiles.
    several(1)?;
    let times = ((LEAST / several(1)?.max(1e-6)) as usize).clamp(1, 200);
    (0..rounds).map(|_| Ok(several(times)? / times as f64)).collect()
}

/// The rows as a table.
pub fn table(rows: &[Row]) -> String {
    let head = ["kernel", "values", "ms", "MB moved", "GB/s", "of a copy's"];
    let rows = rows.iter().map(|r| {
        let [s, low, high] = [r.s, r.range_s[0], r.range_s[1]].map(|s| 1e3 * s);
        [
            r.kernel.to_string(),
            print::grouped(r.values),
            format!("{s:.3} [{low:.3}, {high:.3}]"),
            format!("{:.1}", r.bytes as f64 / 1e6),
            format!("{:.1}", r.gb_per_s),
            format!("{:.0} %", 100.0 * r.of_copy),
        ]
    });
    print::columns(&head, rows)
}
