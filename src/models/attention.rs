//! Multi-head attention of tokens over tokens, and pictures as tokens.

use burn::tensor::{Tensor, activation};

use super::{Linear, Pass, Scope, Sketch};
use crate::gpu::attend::{attend, is_tiled};

/// The names of an attention's four maps, and which of them have a bias.
#[derive(Debug, Clone, Copy)]
pub struct AttentionNames {
    /// Queries, keys, values, output, in the order that they are stored in.
    pub parts: [&'static str; 4],
    /// Whether queries, keys and values have a bias; the output always has one.
    pub bias: bool,
}

/// Multi-head attention of tokens over tokens.
#[derive(Debug, Clone)]
pub struct Attention {
    /// Of queries, keys, values and the output.
    maps: [Linear; 4],
    heads: usize,
}

impl Attention {
    /// `width` of the queries and the output, `context` of keys and values.
    pub fn new(
        mut at: Scope,
        [width, context]: [usize; 2],
        heads: usize,
        names: AttentionNames,
    ) -> Self {
        let inputs = [width, context, context, width];
        let maps = std::array::from_fn(|i| {
            let bias = names.bias || i == 3;
            Linear::maybe_biased(at.part(names.parts[i]), [inputs[i], width], bias)
        });
        Self { maps, heads }
    }

    /// Draws [`Attention::forward`] after a normalisation of `x`.
    pub fn sketch(&self, to: &mut Sketch, norm: Vec<usize>, x: usize, context: usize) -> usize {
        let [q, k, v, out] = &self.maps;
        let q = to.layer(&[q.params(), norm], &[x]);
        let [k, v] = [k, v].map(|map| to.layer(&[map.params()], &[context]));
        to.layer(&[out.params()], &[q, k, v])
    }

    /// `x` [n, t, c] attends to `context` [n, s, d]; `mask` [1, 1, t, s] is added to the scores.
    pub fn forward(
        &self,
        pass: &Pass,
        x: Tensor<3>,
        context: Tensor<3>,
        mask: Option<&Tensor<4>>,
    ) -> Tensor<3> {
        let [n, t, c] = x.dims();
        let [q, k, v, out] = &self.maps;
        let v = self.heads(v.tokens(pass, context.clone()));
        if mask.is_none() && is_tiled(t as u64, context.dims()[1] as u64) {
            let (q, k) = (self.heads(q.tokens(pass, x)), self.heads(k.tokens(pass, context)));
            return out.tokens(pass, attend(q, k, v).swap_dims(1, 2).reshape([n, t, c]));
        }
        let mixed = self.by_rows(pass, [x, context], mask, |shares| shares.matmul(v.clone()));
        out.tokens(pass, mixed.swap_dims(1, 2).reshape([n, t, c]))
    }

    /// How much of what each of `x` [n, t, c] takes in comes from each of `context` [n, s, d]: [n, t, s], the mean
    /// over heads; a row sums to 1.
    pub fn shares(&self, pass: &Pass, x: Tensor<3>, context: Tensor<3>) -> Tensor<3> {
        let ([n, t, _], [_, s, _]) = (x.dims(), context.dims());
        self.by_rows(pass, [x, context], None, |shares| shares.mean_dim(1)).reshape([n, t, s])
    }

    /// Vectors [n, t, c] head by head: [n, heads, t, c / heads].
    fn heads(&self, y: Tensor<3>) -> Tensor<4> {
        let [n, t, c] = y.dims();
        y.reshape([n, t, self.heads, c / self.heads]).swap_dims(1, 2)
    }

    /// What is made `of` the attention's shares [n, heads, rows, s], as many rows at a time as can be held; along the
    /// rows again.
    fn by_rows(
        &self,
        pass: &Pass,
        [x, context]: [Tensor<3>; 2],
        mask: Option<&Tensor<4>>,
        of: impl Fn(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        let [q, k, ..] = &self.maps;
        let (q, k) = (self.heads(q.tokens(pass, x)), self.heads(k.tokens(pass, context)));
        let ([n, heads, t, depth], [_, _, s, _]) = (q.dims(), k.dims());
        let (k, scale) = (k.swap_dims(2, 3), (depth as f32).powf(-0.5));
        let part = |from: usize, to: usize| {
            let q = q.clone().slice([0..n, 0..heads, from..to, 0..depth]);
            let mut scores = q.matmul(k.clone()) * scale;
            if let Some(mask) = mask {
                scores = scores + mask.clone().slice([0..1, 0..1, from..to, 0..s]);
            }
            of(activation::softmax(scores, 3))
        };
        let rows = (SCORES / (n * heads * s)).max(1);
        if rows >= t {
            return part(0, t);
        }
        // Queries do not depend on each other.
        let parts = (0..t).step_by(rows).map(|from| part(from, t.min(from + rows)));
        Tensor::cat(parts.collect(), 2)
    }
}

/// Scores that an attention holds at once: as many bytes as a GPU can bind at the least.
const SCORES: usize = (128 << 20) / 4;

/// [n, c, h, w] to the tokens [n, h · w, c].
pub fn tokens(x: Tensor<4>) -> Tensor<3> {
    let [n, c, h, w] = x.dims();
    x.reshape([n, c, h * w]).swap_dims(1, 2)
}

/// The tokens [n, h · w, c] to [n, c, h, w].
pub fn picture(x: Tensor<3>, [h, w]: [usize; 2]) -> Tensor<4> {
    let [n, _, c] = x.dims();
    x.swap_dims(1, 2).reshape([n, c, h, w])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::models::{Mode, WeightLayout};

    #[test]
    fn attention_in_parts_is_the_same_attention() {
        let mut layout = WeightLayout::default();
        let names = AttentionNames { parts: ["q", "k", "v", "out"], bias: true };
        let attention = Attention::new(layout.root(), [4, 4], 2, names);
        let weights = std::sync::Arc::new(layout).init(1).upload(&Device::flex());
        let pass = Pass::new(&weights, Mode::Eval);
        // All queries go in tiles, a thousand of them at once.
        let t = 4_100;
        let values: Vec<f32> = (0..t * 4).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
        let x = Tensor::<1>::from_floats(&values[..], &Device::flex()).reshape([1, t, 4]);
        let all = attention.forward(&pass, x.clone(), x.clone(), None);
        for part in [0..1_000, 3_000..t] {
            let few = x.clone().slice([0..1, part.clone(), 0..4]);
            let alone = attention.forward(&pass, few, x.clone(), None);
            let same = all.clone().slice([0..1, part, 0..4]);
            let off: f32 = (alone - same).abs().max().into_scalar();
            assert!(off < 1e-6, "{off}");
        }
    }
}
