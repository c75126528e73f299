//! Tests of the program and its library from outside, in one binary, because each links everything.

mod bad_input;
mod binary;
mod checkpoints;
mod cli;
mod common;
mod data_changes;
mod docs;
mod kernels;
mod latent;
mod limits;
mod main_job;
mod methods;
mod mia;
mod outputs;
mod own_models;
mod parity;
mod pins;
mod prompts;
mod requests;
mod saliency;
mod signals;
mod studio;
mod studio_engine;
mod table;
mod unlearn_traces;
