//! DELETE: distillation from the original with the true class struck out (Zhou et al. 2025).
//! Only the forget set is looked at.

use burn::tensor::Tensor;

use super::{
    distil::{divergence, one_hot},
    hooks::{Batch, MethodHooks},
    method::{Method, Order, Treatment},
};

/// DELETE.
pub const METHOD: Method = Method {
    name: "delete",
    title: "DELETE",
    paper: "Zhou et al., CVPR 2025, arXiv 2503.23751",
    treatments: &[Treatment::classifier(Order::Forget, 10, 1e-3).quick(1e-3)],
    work: |_| Box::new(Struck),
    ..Method::PLAIN
};

struct Struck;

impl MethodHooks for Struck {
    fn loss(&self, batch: Batch) -> Tensor<1> {
        struck(batch.logits_of(batch.original), batch.logits, batch.labels)
    }
}

/// KL from the teacher without its true class to the student. Logits [n, classes].
pub fn struck(teacher: Tensor<2>, student: Tensor<2>, labels: &[usize]) -> Tensor<1> {
    // So far below the others that its probability is 0, and yet a number.
    let off = one_hot(&teacher, labels) * 1e4;
    divergence(teacher - off, student, 1.0)
}
