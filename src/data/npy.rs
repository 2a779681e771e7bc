//! NumPy's .npy arrays of images.
