//! In which order a data set's images are given out.

use std::sync::Arc;

use tch::{Device, Tensor};

/// In which order images are given out: every image once.
#[derive(Debug)]
pub struct Order {
    /// For the threads that decode.
    pub(super) numbers: Arc<Vec<i64>>,
    /// The same, `i64 [N]`.
    pub(super) on_device: Tensor,
}

impl Order {
    pub(super) fn new(numbers: Vec<i64>, device: Device) -> Self {
        let on_device = Tensor::from_slice(&numbers).to_device(device);
        Order { numbers: Arc::new(numbers), on_device }
    }

    /// The images' numbers.
    pub fn numbers(&self) -> &[i64] {
        &self.numbers
    }
}
