//! The test pictures whose answers changed most.

use super::Outputs;
use crate::words::Changed;

/// The `most` most changed pictures of the forgotten class and as many of the others, each list by
/// falling distance (ties in dataset order), the others first.
pub fn most_changed(
    before: &Outputs,
    after: &Outputs,
    class: Option<usize>,
    most: usize,
) -> Vec<Changed> {
    let distance = |i: usize| {
        let pairs = before.row(i).iter().zip(after.row(i));
        pairs.map(|(p, q)| (p - q).abs()).sum::<f32>() / 2.0
    };
    let mut all: Vec<Changed> = (0..before.len())
        .map(|i| Changed {
            index: before.items[i],
            label: before.labels[i],
            forgotten: Some(before.labels[i]) == class,
            before: before.top(i),
            after: after.top(i),
            distance: distance(i),
        })
        .filter(|c| c.distance > 0.0)
        .collect();
    all.sort_by(|a, b| a.forgotten.cmp(&b.forgotten).then(b.distance.total_cmp(&a.distance)));
    let (gone, mut kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|c| c.forgotten);
    kept.truncate(most);
    kept.extend(gone.into_iter().take(most));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::outputs::tests::outputs;

    #[test]
    fn the_largest_changes_come_first_and_the_forgotten_class_apart() {
        let before = outputs(&[0, 1, 0, 1], &[&[0.9f32, 0.1] as &[f32]; 4]);
        let after = outputs(&[0, 1, 0, 1], &[&[0.8, 0.2], &[0.1, 0.9], &[0.2, 0.8], &[0.9, 0.1]]);
        let found = most_changed(&before, &after, Some(1), 5);
        let places: Vec<_> = found.iter().map(|c| (c.index, c.forgotten)).collect();
        assert_eq!(places, [(2, false), (0, false), (1, true)]);
        assert_eq!((found[0].before, found[0].after), ((0, 0.9), (1, 0.8)));
        assert!((found[0].distance - 0.7).abs() < 1e-6);
        assert_eq!(most_changed(&before, &after, None, 1).len(), 1);
    }
}
