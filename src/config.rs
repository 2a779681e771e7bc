//! What a run does, resolved: defaults, a file, flags.
