//! Random numbers: one seeded generator for the product, and NumPy's legacy one for index sets.

use rand::{RngExt, SeedableRng};
use sha2::Digest;

/// The product's generator: the same stream on every machine and version.
pub type Rng = rand_chacha::ChaCha8Rng;

/// A generator for one purpose of one run; different purposes never share a stream.
pub fn seeded(seed: u64, purpose: &str) -> Rng {
    let mut sha = sha2::Sha256::new();
    sha.update(seed.to_le_bytes());
    sha.update(purpose.as_bytes());
    Rng::from_seed(sha.finalize().into())
}

/// A pair of standard normal numbers (Box and Muller).
fn pair(rng: &mut Rng) -> [f32; 2] {
    let u: f32 = 1.0 - rng.random::<f32>();
    let v: f32 = rng.random();
    let r = (-2.0 * u.ln()).sqrt();
    let (sin, cos) = (std::f32::consts::TAU * v).sin_cos();
    [r * cos, r * sin]
}

/// One standard normal number, one of a pair.
pub fn normal(rng: &mut Rng) -> f32 {
    pair(rng)[0]
}

/// `n` standard normal numbers.
pub fn normals(rng: &mut Rng, n: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(n + 1);
    while out.len() < n {
        out.extend(pair(rng));
    }
    out.truncate(n);
    out
}

/// `0..n` in random order.
pub fn shuffled(rng: &mut Rng, n: usize) -> Vec<usize> {
    use rand::seq::SliceRandom;
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(rng);
    order
}

/// NumPy's `RandomState`: index sets agree with those of the field's Python code
/// (docs/methods.md#models).
pub struct RandomState {
    state: [u32; 624],
    next: usize,
}

impl RandomState {
    /// MT19937 seeded as `numpy.random.RandomState(seed)`.
    pub fn new(seed: u32) -> Self {
        let mut state = [seed; 624];
        for i in 1..624 {
            let p = state[i - 1];
            state[i] = 1_812_433_253u32.wrapping_mul(p ^ (p >> 30)).wrapping_add(i as u32);
        }
        Self { state, next: 624 }
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == 624 {
            for i in 0..624 {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % 624] & 0x7fff_ffff);
                let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + 397) % 624] ^ (y >> 1) ^ odd;
            }
            self.next = 0;
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// A number in `0..=max` by masked rejection.
    fn interval(&mut self, max: u32) -> u32 {
        let mask = u32::MAX.checked_shr(max.leading_zeros()).unwrap_or(0);
        loop {
            let v = self.next_u32() & mask;
            if v <= max {
                return v;
            }
        }
    }

    /// `choice(n, k, replace=False)`: the first `k` of a permutation of `0..n`.
    pub fn choice(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut a: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            a.swap(i, self.interval(i as u32) as usize);
        }
        a.truncate(k);
        a
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choice_agrees_with_numpy() {
        let golden = [
            (0, [44885, 10988, 26912, 7473, 32767, 7972], "73a189e09500fa0a"),
            (1, [25275, 12561, 24707, 25066, 33429, 44157], "f4e97d5d3f3fa89d"),
            (2, [29044, 5211, 31428, 32463, 14575, 19308], "5b7485d012eb26b9"),
        ];
        for (seed, first, sha) in golden {
            let mut chosen = RandomState::new(seed).choice(45_000, 4_500);
            assert_eq!(chosen[..6], first);
            chosen.sort_unstable();
            let bytes: Vec<u8> = chosen.iter().flat_map(|i| (*i as i32).to_le_bytes()).collect();
            assert!(crate::words::hex(&sha2::Sha256::digest(&bytes)).starts_with(sha));
        }
    }

    #[test]
    fn a_larger_choice_begins_with_the_same_items() {
        let many = RandomState::new(1).choice(45_000, 22_500);
        assert_eq!(many[..6], [25275, 12561, 24707, 25066, 33429, 44157]);
        let mut few = RandomState::new(1).choice(45_000, 4_500);
        assert_eq!(few, many[..4_500]);
        few.sort_unstable();
        assert_eq!(few[..5], [10, 44, 45, 69, 85]);
    }

    #[test]
    fn one_generator_serves_all_classes_of_the_validation_split() {
        let mut state = RandomState::new(1);
        assert_eq!(state.choice(5000, 500)[..6], [2764, 4767, 3814, 3499, 2735, 3922]);
        assert_eq!(state.choice(5000, 500)[..6], [473, 2932, 3982, 881, 3158, 4714]);
        let mut other = RandomState::new(2);
        assert_eq!(other.choice(5000, 500)[..6], [3566, 4252, 1918, 4111, 1471, 929]);
    }

    #[test]
    fn purposes_do_not_share_a_stream() {
        assert_ne!(normal(&mut seeded(1, "a")), normal(&mut seeded(1, "b")));
        assert_eq!(normals(&mut seeded(1, "a"), 5)[0], normal(&mut seeded(1, "a")));
    }
}
