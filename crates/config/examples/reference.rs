//! Prints a page that is written from the declared keys: `netbootd.toml` or `README`.

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("netbootd.toml") => print!("{}", config::default_file()),
        Some("keys") => print!("{}", config::key_tables()),
        Some("codes") => print!("{}", config::code_table()),
        _ => {
            eprintln!("say which page: netbootd.toml, keys or codes");
            std::process::exit(2);
        }
    }
}
