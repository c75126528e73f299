//! Dropout's mask from a counter: the same on every device, in parts or whole.

use super::{Kernels, Shader, Slice, Work, shader};

const KEEP: Shader = shader!("keep");

/// Which values of which stream are drawn, and how many of them are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keep {
    pub stream: u32,
    /// Place in the stream of the first value.
    pub first: usize,
    /// Share of values that are kept, above 0.
    pub share: f64,
}

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Draw {
    start: u32,
    n: u32,
    stream: u32,
    below: u32,
    scale: f32,
}

impl Keep {
    fn draw(&self, at: u32, n: u32) -> Draw {
        Draw {
            start: (self.first as u32).wrapping_add(at),
            n,
            stream: self.stream,
            below: (self.share * f64::from(u32::MAX)) as u32,
            scale: (1.0 / self.share) as f32,
        }
    }

    /// `n` values on the CPU.
    pub fn values(&self, n: usize) -> Vec<f32> {
        let draw = self.draw(0, n as u32);
        let kept = |i: u32| pcg(pcg(draw.start.wrapping_add(i)) ^ draw.stream) < draw.below;
        (0..n as u32).map(|i| if kept(i) { draw.scale } else { 0.0 }).collect()
    }
}

/// A number from a number (PCG-RXS-M-XS; Jarzynski and Olano 2020).
fn pcg(value: u32) -> u32 {
    let state = value.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

impl Kernels {
    /// Fills `mask` with the values that [`Keep::values`] has.
    pub fn keep(&self, keep: &Keep, mask: &Slice) {
        let work = Work { parts: vec![mask], whole: vec![], start: 0 };
        self.walk_over(KEEP, &[work], |start, n| keep.draw(start, n));
    }
}
