//! Profile `lean`: the same names, counted events.
