//! What a source holds: one value for each name in it.
