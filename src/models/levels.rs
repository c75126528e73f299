//! Levels of blocks, from fine to coarse and back: the whole of a U-Net but for its condition, and
//! both halves of an autoencoder.

use burn::tensor::Tensor;

use super::blocks::{ResBlock, Spatial};
use super::tape::{Inputs, Taped};
use super::{Activations, Attends, Conv, GroupNorm, Groups, Pass, Scope, Sketch};
use crate::gpu::{Padding, ops};

/// What a network's parts are called in files.
#[derive(Debug)]
pub struct PartNames {
    pub down: &'static str,
    pub up: &'static str,
    /// Whether the levels on the way up are counted from the coarsest on.
    pub up_from_coarsest: bool,
    pub block: &'static str,
    pub attention: &'static str,
    pub downsample: &'static str,
    pub upsample: &'static str,
    /// Block, attention and block.
    pub middle: [&'static str; 3],
    pub norm_out: &'static str,
    /// In a residual block, what takes the embedding in.
    pub embedding: &'static str,
    pub shortcut: &'static str,
}

/// The official code's of the DDPM U-Net.
pub const DDPM: PartNames = PartNames {
    down: "down",
    up: "up",
    up_from_coarsest: false,
    block: "block",
    attention: "attn",
    downsample: "downsample.conv",
    upsample: "upsample.conv",
    middle: ["mid.block_1", "mid.attn_1", "mid.block_2"],
    norm_out: "norm_out",
    embedding: "temb_cemb_proj",
    shortcut: "nin_shortcut",
};

/// diffusers'.
pub const DIFFUSERS: PartNames = PartNames {
    down: "down_blocks",
    up: "up_blocks",
    up_from_coarsest: true,
    block: "resnets",
    attention: "attentions",
    downsample: "downsamplers.0.conv",
    upsample: "upsamplers.0.conv",
    middle: ["mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1"],
    norm_out: "conv_norm_out",
    embedding: "time_emb_proj",
    shortcut: "conv_shortcut",
};

/// How a network's levels are made.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    pub names: &'static PartNames,
    /// Channels of each level, finest first.
    pub widths: &'a [usize],
    /// Blocks of a level on the way down; on the way up there is one more.
    pub blocks: usize,
    pub groups: Groups,
    /// Width of the embedding that is added to a block's channels, where there is one.
    pub embedding: Option<usize>,
    pub dropout: f64,
    /// Of the convolutions that halve a picture.
    pub padding: Padding,
}

/// What stands beside the pictures in a pass: an embedding [n, width], after SiLU, and a prompt's vectors
/// [n, t, d].
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    pub embedding: Option<&'a Tensor<2>>,
    pub context: Option<&'a Tensor<3>>,
}

/// A residual block, and the attention after it.
#[derive(Debug, Clone)]
struct Block {
    residual: ResBlock,
    attention: Option<Spatial>,
    /// Channels that go in and that come out.
    c: [usize; 2],
    attends: Option<Attends>,
}

impl Block {
    /// [n, c_in, h, w] to [n, c_out, h, w].
    fn forward(&self, pass: &Pass, h: Tensor<4>, beside: Beside) -> Tensor<4> {
        let h = self.residual.forward(pass, h, beside);
        match &self.attention {
            Some(attention) => attention.forward(pass, h, beside),
            None => h,
        }
    }
}

impl Block {
    /// Values that a picture of so many positions leaves inside for its gradient.
    fn inside(&self, area: u64) -> u64 {
        let [c_in, c] = self.c.map(|c| c as u64);
        // What both normalisations and both convolutions take in.
        let residual = 2 * (c_in + c) * area;
        residual + self.attends.map_or(0, |attends| attends.inside(c, area))
    }

    /// Values of its largest tensor, of a picture of so many positions.
    fn widest(&self, area: u64) -> u64 {
        let [c_in, c] = self.c.map(|c| c as u64);
        (c_in.max(c) * area).max(self.attends.map_or(0, |attends| attends.widest(c, area)))
    }

    /// Draws [`Block::forward`] in blocks of these names, at a level.
    fn sketch(&self, to: &mut Sketch, x: usize, at: &At, beside: [Option<usize>; 2]) -> usize {
        let h = self.residual.sketch(to, x, beside);
        match &self.attention {
            Some(attention) => {
                to.block(format!("Attn {}", at.name), at.level);
                attention.sketch(to, h, beside)
            }
            None => h,
        }
    }
}

/// Where a block stands.
struct At {
    name: String,
    level: usize,
}

/// Blocks over pictures of one size, and the convolution that comes with halving or doubling it after them.
#[derive(Debug, Clone)]
struct Level {
    blocks: Vec<Block>,
    resample: Option<Conv>,
}

/// Which attention the blocks of a level have.
pub type OfLevel<'a> = &'a dyn Fn(usize) -> Option<Attends>;

impl Style<'_> {
    fn block(
        &self,
        level: &mut Scope,
        place: usize,
        c: [usize; 2],
        attends: Option<Attends>,
    ) -> Block {
        let residual = ResBlock::new(level.part(self.names.block).part(place), c, self);
        let mut attentions = level.part(self.names.attention);
        let attention = attends.map(|a| Spatial::new(attentions.part(place), c[1], self.groups, a));
        Block { residual, attention, c, attends }
    }

    /// The levels from the finest to the coarsest, out of `c` channels; and the channels of everything
    /// that is made on the way.
    fn down(&self, at: &mut Scope, mut c: usize, attends: OfLevel) -> (Vec<Level>, Vec<usize>) {
        let mut made = vec![c];
        let mut levels = Vec::new();
        for (level, &width) in self.widths.iter().enumerate() {
            let mut down = at.part(self.names.down);
            let mut at = down.part(level);
            let mut blocks = Vec::new();
            for place in 0..self.blocks {
                blocks.push(self.block(&mut at, place, [c, width], attends(level)));
                c = width;
                made.push(c);
            }
            let resample = (level + 1 < self.widths.len()).then(|| {
                made.push(c);
                let at = at.part(self.names.downsample);
                Conv::same(at, [c, c], 3).strided(2, self.padding)
            });
            levels.push(Level { blocks, resample });
        }
        (levels, made)
    }

    /// The levels from the coarsest to the finest, out of `c` channels; each block takes in the channels
    /// that were made last on the way down, as long as there are some in `skips`.
    fn up(
        &self,
        at: &mut Scope,
        mut c: usize,
        mut skips: Vec<usize>,
        attends: OfLevel,
    ) -> Vec<Level> {
        let mut levels = Vec::new();
        for (level, &width) in self.widths.iter().enumerate().rev() {
            let from_coarsest = self.widths.len() - 1 - level;
            let number = if self.names.up_from_coarsest { from_coarsest } else { level };
            let mut up = at.part(self.names.up);
            let mut at = up.part(number);
            let mut blocks = Vec::new();
            for place in 0..=self.blocks {
                let c_in = c + skips.pop().unwrap_or(0);
                blocks.push(self.block(&mut at, place, [c_in, width], attends(level)));
                c = width;
            }
            let at = at.part(self.names.upsample);
            let resample = (level > 0).then(|| Conv::same(at, [c, c], 3));
            levels.push(Level { blocks, resample });
        }
        levels
    }

    /// The middle, of `c` channels.
    fn middle(&self, at: &mut Scope, c: usize, attends: Attends) -> [Block; 2] {
        let [first, attention, second] = self.names.middle;
        let residual = ResBlock::new(at.part(first), [c, c], self);
        let attention = Some(Spatial::new(at.part(attention), c, self.groups, attends));
        let first = Block { residual, attention, c: [c, c], attends: Some(attends) };
        let residual = ResBlock::new(at.part(second), [c, c], self);
        [first, Block { residual, attention: None, c: [c, c], attends: None }]
    }
}

/// One way through a trunk.
#[derive(Clone, Copy)]
struct Walk<'a> {
    pass: &'a Pass<'a>,
    /// Where blocks are done on it.
    tape: Option<&'a Taped>,
    beside: Beside<'a>,
}

impl Walk<'_> {
    /// A block of pictures that are joined along their channels.
    fn block(self, block: &Block, pictures: Vec<Tensor<4>>) -> Tensor<4> {
        let block = block.clone();
        self.run(pictures, move |pass, mut inputs| {
            let h = inputs.joined();
            block.forward(pass, h, inputs.beside())
        })
    }

    /// The convolution between two levels, of pictures twice as large where it goes `up`.
    fn resample(self, conv: &Conv, h: Tensor<4>, up: bool) -> Tensor<4> {
        let conv = conv.clone();
        self.run(vec![h], move |pass, mut inputs| {
            let h = inputs.joined();
            conv.forward(pass, if up { ops::upsample(h) } else { h })
        })
    }

    fn run(
        self,
        pictures: Vec<Tensor<4>>,
        of: impl Fn(&Pass, Inputs) -> Tensor<4> + 'static,
    ) -> Tensor<4> {
        let inputs = Inputs::new(pictures, self.beside);
        match self.tape {
            None => of(self.pass, inputs),
            Some(tape) => tape.block(self.pass, inputs, of),
        }
    }
}

/// A U-Net but for what makes its condition: the way down, the way up, and skips between them; or a half of
/// an autoencoder, which goes one way.
#[derive(Debug, Clone)]
pub struct Trunk {
    conv_in: Conv,
    down: Vec<Level>,
    middle: [Block; 2],
    up: Vec<Level>,
    norm_out: GroupNorm,
    conv_out: Conv,
}

impl Trunk {
    /// Declares what follows `conv_in`, which makes `c` channels; in the end there are `c_out`. The ways down
    /// and up, as far as there are such, and the middle between them are given by their attention.
    pub fn new(
        mut at: Scope,
        style: &Style,
        (conv_in, c): (Conv, usize),
        c_out: usize,
        (down, middle, up): (Option<OfLevel>, Attends, Option<OfLevel>),
    ) -> Self {
        let coarsest = style.widths[style.widths.len() - 1];
        let last = if up.is_some() { style.widths[0] } else { coarsest };
        let (down, skips) = down.map_or_else(Default::default, |of| style.down(&mut at, c, of));
        let middle = style.middle(&mut at, coarsest, middle);
        let up = up.map_or_else(Vec::new, |of| style.up(&mut at, coarsest, skips, of));
        let norm_out = GroupNorm::new(at.part(style.names.norm_out), last, style.groups);
        let conv_out = Conv::same(at.part("conv_out"), [last, c_out], 3);
        Self { conv_in, down, middle, up, norm_out, conv_out }
    }

    /// `x` [n, c_in, h, w] to [n, c_out, h, w].
    pub fn forward(&self, pass: &Pass, x: Tensor<4>, beside: Beside) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let activations = self.activations([height, width]);
        let tape = pass.tape().filter(|taped| taped.tape().is_for(activations));
        let h = self.conv_in.forward(pass, x);
        let h = match tape {
            None => self.walk(Walk { pass, tape, beside }, h),
            Some(taped) => {
                let tape = taped.tape();
                let embedding = beside.embedding.map(|e| tape.given(e.clone()));
                let context = beside.context.map(|c| tape.given(c.clone()));
                let beside = Beside { embedding: embedding.as_ref(), context: context.as_ref() };
                self.walk(Walk { pass, tape: Some(taped), beside }, tape.given(h))
            }
        };
        self.conv_out.forward(pass, self.norm_out.forward(pass, h, true))
    }

    /// What the gradient of a picture of this size, [h, w], keeps of the way forward.
    pub fn activations(&self, [h, w]: [usize; 2]) -> Activations {
        let mut all = Activations::default();
        let mut add = |block: &Block, area: u64| {
            all = all.with(block.inside(area), block.c[1] as u64 * area, block.widest(area));
        };
        let mut area = (h * w) as u64;
        for Level { blocks, resample } in &self.down {
            blocks.iter().for_each(|block| add(block, area));
            area = if resample.is_some() { (area / 4).max(1) } else { area };
        }
        self.middle.iter().for_each(|block| add(block, area));
        for Level { blocks, resample } in &self.up {
            blocks.iter().for_each(|block| add(block, area));
            area *= if resample.is_some() { 4 } else { 1 };
        }
        all
    }

    /// What lies between the first convolution and the last normalisation.
    fn walk(&self, walk: Walk, mut h: Tensor<4>) -> Tensor<4> {
        // What nothing is joined to is not held.
        let joins = !self.down.is_empty() && !self.up.is_empty();
        let mut skips = Vec::new();
        let mut keep = |made: &Tensor<4>| skips.extend(joins.then(|| made.clone()));
        keep(&h);
        for Level { blocks, resample } in &self.down {
            for block in blocks {
                h = walk.block(block, vec![h]);
                keep(&h);
            }
            if let Some(conv) = resample {
                h = walk.resample(conv, h, false);
                keep(&h);
            }
        }
        for block in &self.middle {
            h = walk.block(block, vec![h]);
        }
        for Level { blocks, resample } in &self.up {
            for block in blocks {
                h = walk.block(block, std::iter::once(h).chain(skips.pop()).collect());
            }
            if let Some(conv) = resample {
                h = walk.resample(conv, h, true);
            }
        }
        h
    }

    /// Draws [`Trunk::forward`]; `beside`: the places of the embedding and of the prompt.
    pub fn sketch(&self, to: &mut Sketch, x: usize, beside: [Option<usize>; 2]) -> usize {
        let mut h = to.layer(&[self.conv_in.params()], &[x]);
        let mut skips = vec![h];
        for (level, Level { blocks, resample }) in self.down.iter().enumerate() {
            for (i, block) in blocks.iter().enumerate() {
                let at = At { name: format!("down {}.{}", level + 1, i + 1), level };
                to.block(format!("Down {}.{}", level + 1, i + 1), level);
                h = block.sketch(to, h, &at, beside);
                skips.push(h);
            }
            if let Some(conv) = resample {
                to.block(format!("Halve {}", level + 1), level + 1);
                h = to.layer(&[conv.params()], &[h]);
                skips.push(h);
            }
        }
        let deepest = self.down.len().max(self.up.len()) - 1;
        for (i, block) in self.middle.iter().enumerate() {
            to.block(format!("Middle {}", i + 1), deepest);
            h = block.sketch(to, h, &At { name: "middle".into(), level: deepest }, beside);
        }
        let joins = !self.down.is_empty();
        for (level, Level { blocks, resample }) in (0..self.up.len()).rev().zip(&self.up) {
            for (i, block) in blocks.iter().enumerate() {
                let at = At { name: format!("up {}.{}", level + 1, i + 1), level };
                to.block(format!("Up {}.{}", level + 1, i + 1), level);
                if let Some(skip) = skips.pop().filter(|_| joins) {
                    h = to.skip(h, skip);
                }
                h = block.sketch(to, h, &at, beside);
            }
            if let Some(conv) = resample {
                to.block(format!("Double {}", level + 1), level - 1);
                h = to.layer(&[conv.params()], &[h]);
            }
        }
        to.block("Out", if self.up.is_empty() { deepest } else { 0 });
        to.layer(&[self.conv_out.params(), self.norm_out.params()], &[h])
    }
}
