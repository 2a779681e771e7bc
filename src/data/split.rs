//! Training images set aside for validation.
