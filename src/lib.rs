//! tapekey.
