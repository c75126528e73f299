//! Holds a device against the CPU: a driver or a compiler that computes wrong numbers does so
//! without an error.

#[cfg(not(target_arch = "wasm32"))]
mod hold;
mod kernels;
mod operations;
#[cfg(not(target_arch = "wasm32"))]
mod updates;

#[cfg(not(target_arch = "wasm32"))]
pub use hold::{CheckPart, Found, hold};
pub use kernels::kernels;
pub use operations::operations;

/// How far a device is from the CPU in one thing.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Off {
    /// An operation, and `gradient K` for the K-th input's; a kernel, and what it was given; or a
    /// loss.
    pub what: String,
    /// How far: by difference, or by how many values have other bits where all must be the same.
    /// [`f32::MAX`], which JSON has, where something is not a number.
    pub by: f32,
    /// The most that `by` may be.
    pub limit: f32,
}

impl Off {
    /// Whether the device computes as the CPU does.
    pub fn is_near(&self) -> bool {
        self.by <= self.limit
    }

    /// `by` in units of the limit; where that is 0, of any difference.
    pub fn share(&self) -> f32 {
        match self.limit {
            0.0 if self.by > 0.0 => f32::MAX,
            0.0 => 0.0,
            limit => self.by / limit,
        }
    }
}

/// Largest difference in units of the largest value.
fn distance(seen: &[f32], right: &[f32]) -> f32 {
    let largest = right.iter().fold(1e-6f32, |most, v| most.max(v.abs()));
    furthest(seen, right, |_| largest)
}

/// Largest difference in a unit for each of the right values; [`f32::MAX`] where something is not a
/// number.
fn furthest(seen: &[f32], right: &[f32], unit: impl Fn(f32) -> f32) -> f32 {
    if seen.len() != right.len() {
        return f32::MAX;
    }
    let apart = seen.iter().zip(right).map(|(a, b)| (a - b).abs() / unit(*b));
    apart.fold(0.0, |most: f32, v| if v.is_finite() { most.max(v) } else { f32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_as_far_as_can_be_and_told_in_json() {
        let off =
            |seen: &[f32]| Off { what: "x".into(), by: distance(seen, &[1.0, 4.0]), limit: 0.1 };
        assert!(off(&[1.0, 4.0]).is_near());
        assert_eq!(off(&[1.0, 3.0]).by, 0.25);
        for seen in [&[1.0, f32::NAN][..], &[f32::INFINITY, 4.0], &[1.0]] {
            let off = off(seen);
            assert!(!off.is_near(), "{seen:?}");
            let told = serde_json::to_value(&off).unwrap();
            assert!(told["by"].as_f64().unwrap() > 1.0, "{told}");
        }
    }
}
