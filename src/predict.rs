//! From images to probabilities and labels.
