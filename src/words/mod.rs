//! Plain data that everybody speaks: the request and what came of it. Nothing here knows a tensor.

mod attack;
mod attribution;
pub mod audit;
mod budget;
mod change;
mod estimator;
pub mod files;
pub mod fingerprint;
mod forget;
mod format;
mod judge;
mod piece;
mod recipe;
mod report;
mod sampling;
mod task;

pub use attack::{AttackKind, AttackReport, Try};
pub use attribution::Attribution;
pub use audit::{
    Attack, Audit, Changed, Divergence, Examination, LayerSimilarity, ProbeReport, References,
    Relearn,
};
pub use budget::{AuditSizes, Budget, Extent, Rounds, Sizes};
pub use change::{Export, LoraLayout, LoraReport, RANKS, STRENGTHS};
pub use estimator::Estimator;
pub use files::{PIPELINE, REPORT, RUN, SINGLE};
pub use fingerprint::Fingerprint;
pub use forget::ForgetKind;
pub use format::Format;
pub use judge::{JUDGE_IMAGENET, JUDGE_NONE, NO_JUDGE};
pub use piece::Piece;
pub use recipe::{Recipe, Redirect};
pub use report::{
    ChangeWithin, DeviceReport, EarlierReport, Forgotten, Frechet, Gap, LayerReport, MaskReport,
    Metrics, Report, Seconds, TrainingReport, Verdict, VerdictLabel,
};
pub use sampling::SampleOptions;
pub use task::Task;

use serde::Serialize;
use sha2::Digest;

use crate::error::{Error, Result};

/// The one of `all` that has a name.
///
/// # Errors
/// None has it; `what` they are and their names are given.
pub fn find<T: Copy + Into<&'static str>>(what: &'static str, name: &str, all: &[T]) -> Result<T> {
    let named = |one: &T| -> &'static str { (*one).into() };
    let found = all.iter().find(|one| named(one) == name);
    found.copied().ok_or_else(|| Error::unknown(what, name, all.iter().map(named)))
}

/// The first field in which two requests differ, for a person.
pub fn difference<T: Serialize>(then: &T, now: &T) -> Option<String> {
    let fields = |asked: &T| {
        let fields = serde_json::to_value(asked).ok();
        fields.and_then(|fields| fields.as_object().cloned()).unwrap_or_default()
    };
    let (then, now) = (fields(then), fields(now));
    let name = then.keys().chain(now.keys()).find(|&name| then.get(name) != now.get(name))?;
    let say = |v: Option<&serde_json::Value>| match v {
        None | Some(serde_json::Value::Null) => "not given".to_string(),
        Some(v) => v.to_string().chars().take(60).collect(),
    };
    Some(format!("{name} was {}, now {}", say(then.get(name)), say(now.get(name))))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&sha2::Sha256::digest(bytes))
}

/// 701466 as `701,466`.
pub fn grouped(n: usize) -> String {
    let digits: Vec<char> = n.to_string().chars().collect();
    let groups = digits.rchunks(3).rev().map(|group| group.iter().collect());
    groups.collect::<Vec<String>>().join(",")
}

/// Bytes in GiB.
pub fn gib(bytes: u64) -> f64 {
    bytes as f64 / (1u64 << 30) as f64
}
