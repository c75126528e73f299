//! Divergences between a teacher and a student, and per-picture losses.

use burn::tensor::{Int, Tensor, TensorData, activation};

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
    activation::log_softmax(logits.clone(), 1)
        .gather(1, column(&logits, labels))
        .neg()
        .flatten(0, 1)
}

/// One at each picture's label, [n, classes].
pub fn one_hot(logits: &Tensor<2>, labels: &[usize]) -> Tensor<2> {
    let [n, classes] = logits.dims();
    let mut values = vec![0.0f32; n * classes];
    for (row, &label) in values.chunks_exact_mut(classes).zip(labels) {
        row[label] = 1.0;
    }
    let device = logits.device().without_autodiff();
    Tensor::from_data(TensorData::new(values, [n, classes]), &device)
}

/// Labels as a column beside logits, [n, 1].
fn column(logits: &Tensor<2>, labels: &[usize]) -> Tensor<2, Int> {
    let labels: Vec<i32> = labels.iter().map(|&l| l as i32).collect();
    let n = labels.len();
    let device = logits.device().without_autodiff();
    Tensor::from_data(TensorData::new(labels, [n, 1]), &device)
}
