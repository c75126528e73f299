//! How much memory a gradient needs of the way forward, and when blocks are done again instead (`tape.rs`).

/// Bytes that one picture may keep for its gradient: above that, blocks are computed again. A constant, so that a
/// recipe gives the same bytes however much memory there is. Every shipped model is far below.
const HEAVY: u64 = 256 << 20;
/// Bytes that the pictures of one graph may take where blocks are computed again.
const ROOM: u64 = 1 << 30;

/// Bytes of the largest tensor that every WebGPU device binds (`maxStorageBufferBindingSize`).
const BOUND: u64 = 128 << 20;

/// Bytes of memory that a picture's gradient needs in a network of blocks, as they are counted from its shapes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activations {
    /// What all blocks keep inside for the way back.
    pub inside: u64,
    /// What goes from block to block.
    pub between: u64,
    /// What the largest block keeps inside.
    pub largest: u64,
    /// The largest tensor.
    pub widest: u64,
}

impl Activations {
    /// With a block that keeps and makes so many values, and at most so many in one tensor.
    pub fn with(self, inside: u64, made: u64, widest: u64) -> Self {
        let [inside, made, widest] = [inside, made, widest].map(|values| 4 * values);
        Self {
            inside: self.inside + inside,
            between: self.between + made,
            largest: self.largest.max(inside),
            widest: self.widest.max(widest),
        }
    }

    /// Whether blocks are computed again on the way back.
    pub fn is_heavy(&self) -> bool {
        self.inside > HEAVY
    }

    /// The most at once: all blocks, or what goes between them and one block, whose gradients are as large again.
    pub fn peak(&self) -> u64 {
        if self.is_heavy() { self.between + 2 * self.largest } else { self.inside + self.between }
    }

    /// Pictures that one graph holds at most; with guidance it holds twice as many.
    pub fn together(&self) -> usize {
        if !self.is_heavy() {
            return usize::MAX;
        }
        let fits = (ROOM / self.peak().max(1)).min(BOUND / (2 * self.widest).max(1));
        fits.max(1) as usize
    }
}
