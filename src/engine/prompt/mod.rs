//! A text-to-image model with a prompt that it is to forget: what is drawn, measured and attacked.

mod attack;
mod jury;
mod look;
mod setting;
mod steps;
mod survey;

pub use jury::Jury;
pub use look::{SeenPrompts, TIMES, bytes};
pub use setting::PromptSetting;
pub use survey::Survey;
