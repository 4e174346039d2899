//! Words for the kernel command line.

use super::short;
use crate::diagnostic::{Code, Fault};

/// x86 kernels stop at 2047 bytes (`COMMAND_LINE_SIZE`), and our own words need some of them.
const LONGEST: usize = 1200;

/// Printable words that reach the kernel as they are: they stand on a line of an iPXE script first.
pub(crate) fn kernel_arguments(text: &str) -> Result<String, Fault> {
    let bad = |what: String, why: &str| Fault::new(Code::BadKernelArguments, what, why);
    if text.contains(['\n', '\r']) {
        let joined: Vec<&str> = text.split_whitespace().collect();
        return Err(bad(
            "the kernel arguments have more than one line".to_owned(),
            "a kernel command line is one line",
        )
        .help(format!("write {:?} instead", joined.join(" "))));
    }
    if let Some(odd) = text.chars().find(|c| !matches!(c, ' '..='~' | '\t')) {
        return Err(bad(
            format!("the kernel arguments hold {odd:?}"),
            "firmware and kernels agree on printable ASCII only",
        ));
    }
    if text.len() > LONGEST {
        return Err(bad(
            format!("the kernel arguments have {} characters", text.len()),
            "a kernel reads 2047, and netbootd's own words need some of them; more than 1200 are refused",
        ));
    }
    for word in text.split_whitespace() {
        if word.starts_with("netbootd.") {
            return Err(bad(
                format!("`{}` is a word of netbootd's own", short(word)),
                "netbootd writes the netbootd.* words itself for each boot; a second one would contradict it",
            )
            .help("leave the word out"));
        }
        if matches!(word, "&&" | "||" | ";") || word.contains("${") || word.starts_with('#') {
            return Err(bad(
                format!("`{}` means something to iPXE", short(word)),
                "the kernel command line is written into an iPXE script, where `${`, `#`, `&&`, `||` and `;` are not plain text",
            )
            .help("leave the word out"));
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(words.join(" "))
}
