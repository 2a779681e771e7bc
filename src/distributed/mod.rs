//! Training in several processes: who the others are, which images of a batch are this one's, and what is summed over all of them.
//!
//! The global batch is the unit: every process knows the order of all images, takes its rows of each batch and adds its part to the sums.
//! The processes are started by others (torchrun, srun, mpirun, `convnet train --nproc`), which tell each its rank by environment
//! variables ([`Launch`]); they meet at a store and are connected by c10d ([`crate::native::GlooGroup`]), and their GPUs by NCCL
//! ([`crate::native::Communicator`]).

mod batch;
mod gpus;
mod group;
mod launch;
mod others;
mod peers;
mod repeated;
mod rows;

pub use batch::{BatchScope, batch_sum, noise_rows, note_moved, shares_batch, sums_statistics};
pub use gpus::{Carrier, nccl};
pub use group::Group;
pub use launch::{Launch, local_environment};
pub use rows::Rows;
