//! A labelled grid of sample images, as PNG.
