//! The binary records of CIFAR, in which every stored data set is kept: label bytes, then the
//! planes of one 32 x 32 colour picture.

use super::{PictureShape, Pictures, Set};
use crate::error::ensure;

/// Class names of CIFAR-10 in label order.
pub const CIFAR10: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Fine class names of CIFAR-100 in label order.
#[rustfmt::skip]
pub const CIFAR100: [&str; 100] = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
    "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
    "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
    "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox",
    "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom",
    "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
    "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake",
    "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle",
    "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
];

/// Class names of SVHN in label order.
pub const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// A picture of every stored data set.
pub const SHAPE: PictureShape = PictureShape { channels: 3, height: 32, width: 32 };

impl Set {
    /// Bytes of a stored picture's record.
    pub fn record(&self) -> usize {
        self.labels + SHAPE.n()
    }

    /// Adds the pictures of a file to `into`.
    ///
    /// # Errors
    /// It is not whole records, or a label is none of the classes; the reason as a text.
    pub fn read(&self, bytes: &[u8], into: &mut Pictures) -> Result<(), String> {
        let record = self.record();
        let (n, classes) = (bytes.len(), self.classes.len());
        let whole = n > 0 && n.is_multiple_of(record);
        ensure(whole, || format!("{n} bytes are not whole records of {record}"))?;
        into.pixels.reserve(bytes.len());
        for (i, part) in bytes.chunks_exact(record).enumerate() {
            let label = part[self.labels - 1];
            let known = usize::from(label) < classes;
            ensure(known, || format!("picture {i} has label {label} of {classes} classes"))?;
            into.labels.push(label);
            into.pixels.extend(&part[self.labels..]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::sets;

    #[test]
    fn records_give_labels_and_planes_and_broken_ones_are_refused() {
        let form = sets::find("cifar100").unwrap();
        let record = |coarse: u8, fine: u8, shade: u8| {
            [&[coarse, fine][..], &vec![shade; SHAPE.n()]].concat()
        };
        let mut pictures = Pictures { shape: SHAPE, ..Pictures::default() };
        let two = [record(1, 99, 7), record(2, 0, 9)].concat();
        form.read(&two, &mut pictures).unwrap();
        assert_eq!(pictures.labels, [99, 0]);
        assert!(pictures.picture(1).iter().all(|&b| b == 9));
        for broken in [&two[..two.len() - 1], &[], &record(1, 100, 0)] {
            assert!(form.read(broken, &mut pictures).is_err());
        }
    }

    #[test]
    fn class_names_are_distinct() {
        let mut names = CIFAR100.to_vec();
        names.sort_unstable();
        assert_eq!(names, CIFAR100);
        names.dedup();
        assert_eq!(names.len(), 100);
    }
}
