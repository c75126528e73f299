//! The studio against an engine that a test plays by hand: what it asks for, what it shows.

mod actions;
mod leaving;
mod played;
mod prompts;
mod views;
mod window;
