//! Attention over many tokens, a tile of queries at a time, forward and backward: the scores of all tokens to all
//! others are never held (as FlashAttention, Dao et al. 2022, whose tiles are of keys, too).
//!
//! The backward pass keeps queries, keys and values alone and makes a tile's shares again. With P = softmax(s Q Kᵀ) and
//! the output's gradient G: dV = Pᵀ G, dS = P ∘ (G Vᵀ - rows(P ∘ G Vᵀ)), dQ = s dS K, dK = s dSᵀ Q.

use burn::backend::{
    Autodiff, Backend, Cube, Dispatch, Flex,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    backend_extension,
    tensor::FloatTensor,
};
use burn::tensor::{Slice, Tensor};

/// Scores of a head from which on attention is done in tiles: those of 2,048 tokens to each other. Below, it is the same
/// operations as ever, whose bits are held.
const TILED: u64 = 1 << 22;
/// Scores that are held at once.
const SCORES: usize = (32 << 20) / 4;

/// Whether attention of so many tokens over so many others is done in tiles.
pub fn is_tiled(tokens: u64, others: u64) -> bool {
    tokens * others >= TILED
}

/// Attention of many tokens over many others. `q` [n, heads, t, d], `k` and `v` [n, heads, s, d] to
/// [n, heads, t, d].
pub fn attend(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    let [n, heads, t, _] = q.dims();
    let rows = (SCORES / (n * heads * k.dims()[2])).clamp(1, t);
    attend_by(q, k, v, rows)
}

/// The same with so many queries in a tile.
fn attend_by(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, rows: usize) -> Tensor<4> {
    let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as AttendOps>::attend(q, k, v, rows))
}

/// Attention in tiles of every backend.
#[backend_extension(Flex, Cube, Autodiff)]
pub trait AttendOps: Backend {
    fn attend(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        rows: usize,
    ) -> FloatTensor<Self>;
}

impl AttendOps for Flex {
    fn attend(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        rows: usize,
    ) -> FloatTensor<Self> {
        Tiles::<Self>::new(q, k, v, rows).forward()
    }
}

impl AttendOps for Cube {
    fn attend(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        rows: usize,
    ) -> FloatTensor<Self> {
        Tiles::<Self>::new(q, k, v, rows).forward()
    }
}

impl<B: Backend, C: CheckpointStrategy> AttendOps for Autodiff<B, C> {
    fn attend(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        rows: usize,
    ) -> FloatTensor<Self> {
        let operands = [q, k, v];
        let nodes = operands.each_ref().map(|t| t.node());
        let [q, k, v] = operands.map(|t| t.into_primitive());
        let tiles = Tiles::<B>::new(q, k, v, rows);
        let out = tiles.forward();
        match Attend.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(tiles, out),
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }
}

/// Attention in a graph.
#[derive(Debug)]
struct Attend;

impl<B: Backend> Backward<B, 3> for Attend {
    type State = Tiles<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let made = ops.state.backward(grad);
        for (node, grad) in ops.parents.into_iter().zip(made) {
            if let Some(node) = node {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

/// Queries, keys and values, and how they are cut.
#[derive(Debug, Clone)]
struct Tiles<B: Backend> {
    q: FloatTensor<B>,
    k: FloatTensor<B>,
    v: FloatTensor<B>,
    /// Queries of a tile.
    rows: usize,
}

impl<B: Backend> Tiles<B> {
    fn new(q: FloatTensor<B>, k: FloatTensor<B>, v: FloatTensor<B>, rows: usize) -> Self {
        Self { q, k, v, rows }
    }

    /// [n, heads, t, d].
    fn dims(&self) -> [usize; 4] {
        use burn::backend::TensorMetadata;
        self.q.shape().dims()
    }

    /// What there is of each tile, [n, heads, rows, ..], along the queries again.
    fn by_tiles(&self, mut one: impl FnMut(&[Slice; 4]) -> FloatTensor<B>) -> FloatTensor<B> {
        let [n, heads, t, d] = self.dims();
        let tile = |from: usize| {
            let to = t.min(from + self.rows);
            [(0..n).into(), (0..heads).into(), (from..to).into(), (0..d).into()]
        };
        let parts = (0..t).step_by(self.rows).map(|from| one(&tile(from))).collect();
        B::float_cat(parts, 2)
    }

    /// A tile's queries, scaled, [n, heads, rows, d].
    fn queries(&self, tile: &[Slice; 4]) -> FloatTensor<B> {
        self.scaled(B::float_slice(self.q.clone(), tile))
    }

    fn scaled(&self, t: FloatTensor<B>) -> FloatTensor<B> {
        let scale = (self.dims()[3] as f32).powf(-0.5);
        B::float_mul_scalar(t, scale.into())
    }

    /// The shares of scaled queries, [n, heads, rows, s].
    fn shares(&self, q: FloatTensor<B>) -> FloatTensor<B> {
        B::softmax(B::float_matmul(q, B::float_swap_dims(self.k.clone(), 2, 3)), 3)
    }

    fn forward(&self) -> FloatTensor<B> {
        self.by_tiles(|tile| B::float_matmul(self.shares(self.queries(tile)), self.v.clone()))
    }

    /// The gradients of queries, keys and values.
    fn backward(&self, grad: FloatTensor<B>) -> [FloatTensor<B>; 3] {
        let plus = |sum: Option<FloatTensor<B>>, more| match sum {
            Some(sum) => B::float_add(sum, more),
            None => more,
        };
        let turned = |t: FloatTensor<B>| B::float_swap_dims(t, 2, 3);
        let (mut dk, mut dv) = (None, None);
        let dq = self.by_tiles(|tile| {
            let q = self.queries(tile);
            let grad = B::float_slice(grad.clone(), tile);
            let shares = self.shares(q.clone());
            dv = Some(plus(dv.take(), B::float_matmul(turned(shares.clone()), grad.clone())));
            let by_shares = B::float_matmul(grad, turned(self.v.clone()));
            let mean = B::float_sum_dim(B::float_mul(shares.clone(), by_shares.clone()), 3);
            let by_scores = B::float_mul(shares, B::float_sub(by_shares, mean));
            dk = Some(plus(dk.take(), B::float_matmul(turned(by_scores.clone()), q)));
            self.scaled(B::float_matmul(by_scores, self.k.clone()))
        });
        let none = || unreachable!("there is a tile");
        [dq, dk.unwrap_or_else(none), dv.unwrap_or_else(none)]
    }
}
