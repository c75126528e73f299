//! Unlearning: a method is data plus the few hooks that it overrides; a mask is a plug-in for every
//! method.

mod distil;
mod given;
mod hooks;
mod knob;
mod method;
pub mod need;
mod plan;
mod recipe;
pub mod registry;
mod scope;
pub mod statistics;
mod unlearner;

/// Declares the methods' modules and lists their rows.
macro_rules! methods {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// Every method, in the order of the menus.
        pub const METHODS: &[method::Method] = &[$($module::METHOD),*];
    };
}

methods! {
    salun,
    salun_soft,
    rl,
    ft,
    ga,
    l1_sparse,
    iu,
    bs,
    be,
    neggrad_plus,
    scrub,
    bad_teacher,
    ssd,
    sfr_on,
    munba,
    delete,
    not,
    esd,
    uce,
    retrain,
    noop,
}

#[cfg(test)]
mod tests;

pub use distil::divergence;
pub use hooks::{Local, Update};
pub use knob::{Knob, KnobKind, Knobs};
pub use method::{Method, Rate};
pub use plan::{BatchPick, Plan};
pub use scope::Scope;
pub use unlearner::{Unlearner, UpdateLoss};

// What a method's file is written with.
use hooks::{Batch, BatchSource, ForgetNoise, MethodContext, MethodHooks, StepInfo};
use method::{Losses, Order, Treatment};
