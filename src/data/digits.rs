//! The built-in data set: ten digits drawn by the program.
