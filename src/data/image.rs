//! Image files, decoded and resized: the one decoder that every command uses.
