//! A text-to-image model with a prompt that it is to forget: what is drawn, measured and attacked.

mod attack;
pub(super) mod look;
pub(super) mod setting;
mod survey;

pub use look::Look;
pub use setting::PromptSetting;
pub use survey::Survey;
