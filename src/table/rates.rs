//! The settings that the tables give each method.

use super::protocol::Scale;

/// What settings depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateKey {
    /// Up to a quarter of the pictures, at random.
    Tenth,
    /// More.
    Half,
    Class,
}

impl RateKey {
    /// The kind of a forget set.
    pub fn of(forget: &str) -> Self {
        let share: Option<f64> =
            forget.strip_prefix("random:").and_then(|s| s.strip_suffix('%')?.parse().ok());
        match share {
            None => Self::Class,
            Some(share) if share > 25.0 => Self::Half,
            Some(_) => Self::Tenth,
        }
    }
}

/// Knobs and their values; knobs that are not named keep the method's default.
type Setting = &'static [(&'static str, f64)];

/// The setting of a method.
pub fn chosen(scale: Scale, kind: RateKey, method: &str) -> Setting {
    match scale {
        Scale::Tiny => &[],
        Scale::Small => small(kind, method),
        Scale::Paper => paper(kind, method),
    }
}

/// What `salun table search --scale small` finds best of each method's grid.
///
/// Methods that see nothing but the pictures of one class would shift the running statistics of
/// batch normalisation to that class; there they keep the original's.
fn small(kind: RateKey, method: &str) -> Setting {
    match kind {
        RateKey::Half => match method {
            "salun" | "salun-soft" | "rl" | "scrub" => &[("lr", 0.003)],
            "bad-teacher" | "munba" => &[("lr", 0.01)],
            "neggrad-plus" => &[("lr", 0.03)],
            "ft" | "l1-sparse" | "sfr-on" => &[("lr", 0.1)],
            "ga" => &[("lr", 1e-3)],
            "iu" => &[("alpha", 1.0)],
            "be" | "bs" => &[("lr", 1e-4)],
            "delete" => &[("lr", 3e-4)],
            "ssd" => &[("alpha", 5.0)],
            _ => &[],
        },
        RateKey::Tenth => match method {
            "salun" | "salun-soft" | "ft" | "l1-sparse" | "neggrad-plus" | "scrub" => {
                &[("lr", 0.03)]
            }
            "rl" | "ga" => &[("lr", 0.01)],
            "iu" => &[("alpha", 5.0)],
            "be" => &[("lr", 3e-4)],
            "delete" => &[("lr", 1e-4)],
            "bs" | "munba" => &[("lr", 1e-3)],
            "bad-teacher" | "sfr-on" => &[("lr", 0.1)],
            "ssd" => &[("alpha", 5.0)],
            _ => &[],
        },
        RateKey::Class => match method {
            "salun" | "rl" | "bad-teacher" => &[("lr", 0.03)],
            "salun-soft" | "ft" | "l1-sparse" => &[("lr", 0.1)],
            "ga" => &[("lr", 3e-4), ("freeze-bn", 1.0)],
            "iu" => &[("alpha", 1.0)],
            "be" => &[("lr", 1e-3), ("freeze-bn", 1.0)],
            "bs" => &[("lr", 3e-4), ("freeze-bn", 1.0)],
            "delete" => &[("lr", 1e-4), ("freeze-bn", 1.0)],
            "neggrad-plus" | "scrub" | "sfr-on" | "munba" => &[("lr", 0.003)],
            "ssd" => &[("alpha", 30.0)],
            _ => &[],
        },
    }
}

/// The paper's, its README's and its replication's (docs/methods.md#classifiers).
fn paper(kind: RateKey, method: &str) -> Setting {
    let half = kind == RateKey::Half;
    match method {
        "ft" if half => &[("lr", 0.1), ("epochs", 10.0)],
        "ft" => &[("lr", 0.01), ("epochs", 10.0)],
        "rl" if half => &[("lr", 0.01), ("epochs", 10.0)],
        "rl" => &[("lr", 0.001), ("epochs", 10.0)],
        "ga" if half => &[("lr", 1e-4), ("epochs", 5.0)],
        "ga" => &[("lr", 1e-5), ("epochs", 5.0)],
        "be" | "bs" => &[("lr", 1e-6), ("epochs", 10.0)],
        "iu" => &[("alpha", 20.0)],
        "l1-sparse" => &[("lr", 0.01), ("epochs", 10.0), ("alpha", 1e-4)],
        "salun" if half => &[("lr", 0.005), ("epochs", 10.0), ("density", 0.9)],
        "salun" => &[("lr", 0.005), ("epochs", 10.0)],
        "salun-soft" if half => &[("lr", 0.013), ("epochs", 10.0), ("share", 0.9)],
        "salun-soft" => &[("lr", 5e-4), ("epochs", 10.0), ("share", 0.1)],
        _ => &[],
    }
}

/// The knob that a search varies, and its values.
pub fn grid(kind: RateKey, method: &str) -> (&'static str, &'static [f64]) {
    match method {
        "iu" => ("alpha", &[0.3, 1.0, 5.0, 20.0]),
        "neggrad-plus" => ("lr", &[0.001, 0.003, 0.01, 0.03]),
        "be" | "bs" if kind == RateKey::Half => ("lr", &[3e-5, 1e-4, 3e-4, 1e-3]),
        "be" | "bs" => ("lr", &[3e-4, 1e-3, 3e-3, 0.01]),
        "ga" | "delete" | "munba" => ("lr", &[1e-4, 3e-4, 1e-3, 3e-3, 0.01]),
        "ssd" => ("alpha", &[5.0, 10.0, 30.0, 100.0]),
        _ if kind == RateKey::Half => ("lr", &[0.001, 0.003, 0.01, 0.03, 0.1]),
        _ => ("lr", &[0.003, 0.01, 0.03, 0.1]),
    }
}

/// Step sizes of influence unlearning for its own table.
pub fn alphas(scale: Scale) -> &'static [f64] {
    match scale {
        Scale::Tiny => &[1.0, 10.0],
        Scale::Small => &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0],
        Scale::Paper => &[1.0, 2.0, 5.0, 10.0, 15.0, 20.0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_depend_on_how_much_is_forgotten() {
        for (forget, kind) in [
            ("random:10%", RateKey::Tenth),
            ("random:20%", RateKey::Tenth),
            ("random:50%", RateKey::Half),
            ("class:Bag", RateKey::Class),
        ] {
            assert_eq!(RateKey::of(forget), kind, "{forget}");
        }
    }
}
