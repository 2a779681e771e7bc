//! The sink that writes what Keras's TensorBoard callback writes.
