//! RMIA (Zarifzadeh et al. 2024) with a few reference models that were trained
//! without the item: an item that the model knows better than they do was trained on.

/// Interpolation towards models trained on the item, which the references are not (the paper's a).
const A: f64 = 0.3;
/// How much more likely an item must be than a population picture (the paper's gamma).
const GAMMA: f64 = 2.0;

/// p(x | model) over p(x): `own` is the model's probability of the true class, `references` that of
/// models that were not trained on x.
pub fn ratio(own: f32, references: &[f32]) -> f64 {
    let out = references.iter().map(|&p| f64::from(p)).sum::<f64>() / references.len() as f64;
    f64::from(own) / (((1.0 + A) * out + (1.0 - A)) / 2.0)
}

/// For each item the share of population pictures whose ratio it exceeds [`GAMMA`] times; ratios
/// themselves order items that the population cannot tell apart.
pub fn scores(items: &[f64], population: &[f64]) -> Vec<f64> {
    let mut sorted = population.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len().max(1) as f64;
    let score = |&r: &f64| {
        let beaten = sorted.partition_point(|&z| z * GAMMA <= r) as f64 / n;
        // The tie-break is below one population picture.
        beaten + r / (1.0 + r) * 0.5 / n
    };
    items.iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_only_the_model_knows_stands_out() {
        // Easy for everybody; hard for everybody; hard, but this model knows it.
        let [easy, hard, learnt] =
            [ratio(0.99, &[0.98, 0.97]), ratio(0.1, &[0.12, 0.1]), ratio(0.95, &[0.05, 0.1])];
        assert!(learnt > easy && easy > hard);
        let population = [easy, hard, ratio(0.9, &[0.92]), ratio(0.5, &[0.5])];
        let s = scores(&[easy, hard, learnt], &population);
        assert!(s[2] > s[0] && s[0] > s[1] && s[2] <= 1.2);
        assert_eq!(scores(&[1.0], &[]).len(), 1);
    }

    #[test]
    fn the_ratio_is_the_offline_estimate() {
        assert!((ratio(0.5, &[0.4, 0.2]) - 0.5 / ((1.3 * 0.3 + 0.7) / 2.0)).abs() < 1e-6);
    }
}
