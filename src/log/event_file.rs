//! One TensorBoard event file: whole records, flushed, never truncating another's.
