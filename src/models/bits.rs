//! One bit a weight.

use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::numbers;

/// Bits by position, 32 in a word, the first one lowest, as the kernels' masks have them.
/// As a message they are bytes 0 and 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u32>,
    n: usize,
}

impl Bits {
    /// The bits of bytes 0 and 1.
    pub fn of(bytes: &[u8]) -> Self {
        let word =
            |bytes: &[u8]| bytes.iter().rev().fold(0, |word, b| word << 1 | u32::from(*b != 0));
        Self { words: bytes.chunks(32).map(word).collect(), n: bytes.len() }
    }

    /// Bits of which none is 1.
    pub fn zeros(n: usize) -> Self {
        Self { words: vec![0; n.div_ceil(32)], n }
    }

    /// The first `n` bits of words.
    pub fn from_words(mut words: Vec<u32>, n: usize) -> Self {
        words.truncate(n.div_ceil(32));
        if let Some(last) = words.last_mut().filter(|_| !n.is_multiple_of(32)) {
            *last &= (1 << (n % 32)) - 1;
        }
        Self { words, n }
    }

    /// A bit.
    ///
    /// # Panics
    /// There is none at this place.
    pub fn get(&self, at: usize) -> bool {
        assert!(at < self.n, "bit {at} of {}", self.n);
        self.words[at / 32] >> (at % 32) & 1 == 1
    }

    /// Makes a bit 1.
    ///
    /// # Panics
    /// There is none at this place.
    pub fn set(&mut self, at: usize) {
        assert!(at < self.n, "bit {at} of {}", self.n);
        self.words[at / 32] |= 1 << (at % 32);
    }

    /// Every bit.
    pub fn iter(&self) -> impl Iterator<Item = bool> {
        let all = self.words.iter().flat_map(|word| (0..32).map(move |i| word >> i & 1 == 1));
        all.take(self.n)
    }

    /// The bits as bytes 0 and 1.
    pub fn bytes(&self) -> Vec<u8> {
        self.iter().map(u8::from).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The words that hold them; what is beyond the last bit is 0.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// The bits of a range.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let n = range.len();
        let word = |i: usize| {
            let at = range.start + 32 * i;
            let [low, high] = [0, 1].map(|j| self.words.get(at / 32 + j).copied().unwrap_or(0));
            let both = u64::from(low) | u64::from(high) << 32;
            let left = n - 32 * i;
            let word = (both >> (at % 32)) as u32;
            if left < 32 { word & ((1 << left) - 1) } else { word }
        };
        Self { words: (0..n.div_ceil(32)).map(word).collect(), n }
    }

    /// How many are 1.
    pub fn ones(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Places of those that are 1, in order.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        set(&self.words, |word| word)
    }

    /// Places of those that are 0, in order.
    pub fn gaps(&self) -> impl Iterator<Item = usize> {
        let n = self.n;
        set(&self.words, |word| !word).take_while(move |place| *place < n)
    }
}

/// Places of the bits that are 1 in what `of` makes of words.
fn set(words: &[u32], of: impl Fn(u32) -> u32) -> impl Iterator<Item = usize> {
    words.iter().enumerate().flat_map(move |(i, word)| {
        let mut left = of(*word);
        std::iter::from_fn(move || {
            let next = (left != 0).then(|| 32 * i + left.trailing_zeros() as usize);
            left &= left.wrapping_sub(1);
            next
        })
    })
}

impl Serialize for Bits {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        numbers::serialize(&self.bytes(), to)
    }
}

impl<'de> Deserialize<'de> for Bits {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        numbers::deserialize::<Vec<u8>, u8, D>(from).map(|bytes| Self::of(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_bytes_wherever_they_are_cut() {
        let bytes: Vec<u8> = (0..203u32).map(|i| u8::from(i * i % 7 < 3)).collect();
        for range in [0..203, 0..0, 5..5, 31..33, 32..64, 1..203, 100..132, 202..203] {
            let (bytes, bits) = (&bytes[range.clone()], Bits::of(&bytes).slice(range));
            assert_eq!(bits, Bits::of(bytes));
            let of = |value| (0..bytes.len()).filter(move |i| bytes[*i] == value);
            assert!(bits.places().eq(of(1)) && bits.gaps().eq(of(0)));
            assert_eq!((bits.len(), bits.ones()), (bytes.len(), of(1).count()));
            assert_eq!(bits.bytes(), bytes);
            let mut other = Bits::zeros(bytes.len());
            bits.places().for_each(|at| other.set(at));
            assert!(other == bits && (0..bytes.len()).all(|i| bits.get(i) == (bytes[i] == 1)));
            let message = crate::wire::pack(&bits).unwrap();
            assert_eq!(crate::wire::unpack::<Bits>(&message).unwrap(), bits);
        }
    }
}
