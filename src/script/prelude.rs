//! Pure functions every script may call, one family per file.
