//! Networks for ImageNet's pictures of 224 pixels, in the layouts that others publish: torchvision's ResNet and
//! EfficientNet-lite0.

mod efficientnet;
mod resnet;

pub use efficientnet::{EfficientNet, EfficientNetConfig};
pub use resnet::{DeepResnet, DeepResnetConfig};

use std::sync::LazyLock;

/// Side of the pictures that these networks look at.
pub const SIDE: usize = 224;
/// Mean and deviation of ImageNet's pictures, as torchvision's models have them.
pub const STATISTICS: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];

/// ImageNet's 1,000 classes in the order of the networks' outputs, in the words that torchvision's weights have
/// for them.
pub static CLASSES: LazyLock<Vec<String>> =
    LazyLock::new(|| include_str!("classes.txt").lines().map(String::from).collect());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_a_thousand_classes() {
        assert_eq!(CLASSES.len(), 1000);
        assert_eq!(
            [&CLASSES[0], &CLASSES[207], &CLASSES[999]],
            ["tench", "golden retriever", "toilet tissue"]
        );
    }
}
