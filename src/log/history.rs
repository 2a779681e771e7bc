//! history.csv: a line per epoch.
