//! Data sets by name or path: where they lie, how they are fetched.
