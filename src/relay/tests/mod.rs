//! Transcripts: what the relay is told, and everything that it says.
//!
//! Outputs are shown as text, so that a test lists all of them: `1 < update 5: 0 -> e1:3 [1:3]` is sent to
//! connection 1 on subscription 5, from the start to seq 3 of epoch 1, with one block of three operations
//! that begins at seq 1.

mod delivery;
mod ending;
mod hostile;
mod opening;
mod pushing;
mod random;
mod requests;
mod show;
mod timers;
mod world;

pub(super) use show::show;
pub(super) use world::{Hello, World, block, compressed, node, push, request, subscribe, update_ack};
