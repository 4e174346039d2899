//! Templates in the operator's files, in the language of Jinja.

use minijinja::{Environment, UndefinedBehavior, context};

/// What a template may use.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The client's name, one label.
    pub hostname: &'a str,
    /// The same with the domain.
    pub fqdn: &'a str,
    /// DNS domain.
    pub domain: &'a str,
    /// Address of the card that it booted from, with colons.
    pub mac: String,
    /// Its address, where it is known.
    pub address: Option<String>,
    /// The image that it boots; empty where none is known.
    pub image: &'a str,
    /// The image's generation.
    pub generation: String,
    /// Its groups, the lowest rank first.
    pub groups: Vec<&'a str>,
}

/// Steps of one rendering; a template that needs more runs in a circle.
const FUEL: u64 = 200_000;
/// The longest text that comes out, in bytes.
const MAX_LEN: usize = 4 << 20;

/// The text of a template. An unknown name is an error, since the file would silently lack what it
/// stands for.
///
/// # Errors
/// What is wrong, and in which line.
pub fn render(source: &str, facts: &Facts<'_>) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    let names = context! {
        hostname => facts.hostname.to_owned(),
        fqdn => facts.fqdn.to_owned(),
        domain => facts.domain.to_owned(),
        mac => facts.mac.clone(),
        address => facts.address.clone(),
        image => facts.image.to_owned(),
        generation => facts.generation.clone(),
        groups => facts.groups.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(),
    };
    let text = environment
        .render_str(source, names)
        .map_err(|error| match error.line() {
            Some(line) => format!("line {line}: {error}"),
            None => error.to_string(),
        })?;
    if text.len() > MAX_LEN {
        return Err(format!("more than {} MiB came out", MAX_LEN >> 20));
    }
    Ok(text)
}
