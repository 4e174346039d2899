//! Tests through one door: text in, meaning or diagnostics out.

mod cases;
mod files;
mod groups;
mod layers;
mod live;

use crate::{LoadOptions, Loaded, load_text};

/// What is said about this text, errors or warnings; empty when there is nothing to say.
fn said(text: &str) -> String {
    match load_text("lab.toml", text, &LoadOptions::default()) {
        Err(diagnostics) => diagnostics.to_string(),
        Ok(loaded) => {
            let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
            warnings.join("\n\n")
        }
    }
}

/// The configuration in this text, which is good.
fn loaded(text: &str) -> Loaded {
    let loaded = load_text("lab.toml", text, &LoadOptions::default());
    loaded.unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}
