//! What a kernel was built with.

use std::collections::BTreeMap;
use std::io;

use crate::tree::Tree;

/// One option of a kernel's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `=y`, or a value.
    BuiltIn,
    /// `=m`.
    Module,
    /// Not set.
    Off,
    /// The tree does not say: no configuration file came with the kernel.
    Unknown,
}

/// The configuration of a kernel, from the file that distributions install beside it. Without
/// that file every setting is [`Setting::Unknown`].
#[derive(Clone, Debug, Default)]
pub struct Config {
    symbols: Option<BTreeMap<String, Setting>>,
}

impl Config {
    /// Reads `boot/config-<version>` or `lib/modules/<version>/config`, whichever is there. The
    /// error has the path that could not be read.
    pub fn find(tree: &dyn Tree, version: &str) -> Result<Self, (String, io::Error)> {
        for path in [
            format!("boot/config-{version}"),
            format!("usr/lib/modules/{version}/config"),
            format!("lib/modules/{version}/config"),
        ] {
            match tree.text_if_there(&path, 4 << 20) {
                Ok(Some(text)) => return Ok(Self::parse(&text)),
                Ok(None) => {}
                Err(error) => return Err((path, error)),
            }
        }
        Ok(Self::default())
    }

    /// Reads the text of a `.config`. Lines that set nothing are ignored.
    pub fn parse(text: &str) -> Self {
        let mut symbols = BTreeMap::new();
        for line in text.lines() {
            let set = line.strip_prefix("CONFIG_").and_then(|l| l.split_once('='));
            if let Some((symbol, value)) = set {
                let setting = match value.trim() {
                    "m" => Setting::Module,
                    "n" => Setting::Off,
                    _ => Setting::BuiltIn,
                };
                symbols.insert(symbol.to_owned(), setting);
            }
        }
        Self {
            symbols: Some(symbols),
        }
    }

    /// The setting of `symbol`, named without `CONFIG_`.
    pub fn setting(&self, symbol: &str) -> Setting {
        match &self.symbols {
            None => Setting::Unknown,
            Some(symbols) => symbols.get(symbol).copied().unwrap_or(Setting::Off),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_a_missing_file_says_nothing() {
        let config = Config::parse(
            "# comment\nCONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=\"text\"\n",
        );
        assert_eq!(config.setting("A"), Setting::BuiltIn);
        assert_eq!(config.setting("B"), Setting::Module);
        assert_eq!(config.setting("C"), Setting::Off);
        assert_eq!(config.setting("D"), Setting::BuiltIn);
        assert_eq!(Config::default().setting("A"), Setting::Unknown);
    }
}
