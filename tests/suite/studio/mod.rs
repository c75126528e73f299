//! The studio against an engine that a test plays by hand: what it asks for, what it shows.

mod actions;
mod answers;
mod leaving;
mod links;
mod mine;
mod pictures;
mod played;
mod prompts;
mod strength;
mod table;
mod timeline;
mod views;
mod window;
