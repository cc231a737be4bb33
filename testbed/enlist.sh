#!/usr/bin/env bash
# What cargo starts instead of a test binary: writes into the file that ENLIST names which binary it is and where it is to run.
printf '%s\t%s\t%s\n' "$CARGO_PKG_NAME" "$PWD" "$1" >>"$ENLIST"
