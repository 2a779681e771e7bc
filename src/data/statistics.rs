//! What is in a data set, in numbers.
