//! The studio against an engine that a test plays by hand: what it asks for, what it shows.

mod actions;
mod answers;
mod away;
mod gallery;
mod inside;
mod leaving;
pub mod lessons;
mod links;
mod mine;
mod opening;
mod pictures;
mod played;
mod present;
mod prompts;
mod race;
mod seen;
mod steps;
mod strength;
mod table;
mod time;
mod timeline;
mod views;
mod window;
