//! Profile `sloth`: rules equal to those of Sloth v0.16.0.
