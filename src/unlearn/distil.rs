//! Divergences between a teacher and a student, and per-picture losses.

use burn::tensor::{Tensor, activation};

use crate::train::log_likelihood;
use crate::train::losses::column;

/// Mean over the batch of KL(teacher || student) at temperature `t`, times `t`² (Hinton et al.
/// 2015). Both are logits [n, classes]; the gradient goes to the student alone.
pub fn divergence(teacher: Tensor<2>, student: Tensor<2>, t: f64) -> Tensor<1> {
    let n = teacher.dims()[0] as f64;
    let teacher = activation::log_softmax(teacher.without_autodiff() / t, 1);
    let student = activation::log_softmax(student / t, 1);
    (teacher.clone().exp() * (teacher - student)).sum() * (t * t / n)
}

/// Cross-entropy of every picture, [n]. `logits` [n, classes], one label each.
pub fn each_cross_entropy(logits: Tensor<2>, labels: &[usize]) -> Tensor<1> {
    let labels = column(&logits, labels);
    log_likelihood(logits, labels).neg().flatten(0, 1)
}
