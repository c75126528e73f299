//! DELETE: distillation from the original with the true class struck out (Zhou et al. 2025).
//! Only the forget set is looked at.

use burn::tensor::{Int, Tensor};

use super::{Batch, Method, MethodHooks, Order, Treatment, divergence};
use crate::train::losses::column;

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
    let classes =
        Tensor::<1, Int>::arange(0..teacher.dims()[1] as i64, &teacher.device().without_autodiff());
    let own = column(&teacher, labels)
        .expand(teacher.dims())
        .equal(classes.unsqueeze::<2>().expand(teacher.dims()));
    divergence(teacher - own.float() * 1e4, student, 1.0)
}
