//! What judges are called that are no files.

/// Nobody judges.
pub const JUDGE_NONE: &str = "none";
/// EfficientNet-lite0, which tells ImageNet's classes apart, once it is fetched.
pub const JUDGE_IMAGENET: &str = "imagenet";
/// What is said where nobody judges.
pub const NO_JUDGE: &str = "nobody judges what is drawn, so pictures are made and not counted; name a judge: --judge \
                            FILE (a classifier of these classes), a folder of CLIP, or imagenet";
