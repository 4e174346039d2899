//! Writes a squashfs image of a directory, or of any other source: for measuring beside mksquashfs, and for trying rules. Looks for
//! secrets while it reads, as a build does, and says how many it saw.
//!
//! ```text
//! cargo run --release -p image --example squash -- SOURCE IMAGE [compression=zstd:9] [block=131072]
//!     [threads=N] [tails=yes] [verity=yes] [epoch=SECONDS] [previous=IMAGE] [trusted=FILE] [remember=FILE]
//!     [scrub=standard|required|none]
//! ```

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use image::progress::{Progress, Stage};
use image::scrub::Rules;
use image::secrets::Scan;
use image::source::{Source, SourceOptions};
use image::squash::{self, BlockSize, Compression, Options};

struct Notes;

impl Progress for Notes {
    fn stage(&self, _stage: Stage, _total: Option<u64>) {}
    fn advance(&self, _amount: u64) {}
    fn note(&self, text: &str) {
        eprintln!("note: {text}");
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let [folder, image, settings @ ..] = arguments else {
        return Err("squash SOURCE IMAGE [setting=value]…".into());
    };
    let mut options = Options::default();
    let mut rules = Rules::none();
    for setting in settings {
        match setting.split_once('=').ok_or("a setting is name=value")? {
            ("compression", value) => options.compression = compression(value)?,
            ("block", value) => {
                options.block_size = BlockSize::new(value.parse()?).ok_or("not a block size")?;
            }
            ("threads", value) => options.threads = value.parse::<NonZeroUsize>()?,
            ("tails", value) => options.tail_packing = value == "yes",
            ("verity", value) => options.verity = value == "yes",
            ("epoch", value) => options.epoch = Some(value.parse()?),
            ("previous", image) => options.previous = Some(Arc::new(File::open(image)?)),
            ("trusted", file) => options.trusted = Some(Arc::new(File::open(file)?)),
            ("remember", file) => options.remember = Some(Arc::new(File::create(file)?)),
            ("scrub", "standard") => rules = Rules::standard(),
            ("scrub", "required") => rules = Rules::required_only(),
            ("scrub", "none") => rules = Rules::none(),
            (name, _) => return Err(format!("no setting {name}").into()),
        }
    }
    let stop = AtomicBool::new(false);
    let begin = Instant::now();
    let paths = [folder.into()];
    let spool = Path::new(image).parent();
    let spool = spool.filter(|folder| !folder.as_os_str().is_empty());
    let spool = spool.unwrap_or(Path::new("."));
    let how = SourceOptions::default();
    let source = Source::open(&paths, &how, rules, spool, &Notes, &stop)?;
    println!("{}", source.description());
    let survey = source.survey(&Notes, &stop)?;
    print!("{}", survey.left_out);
    println!(
        "{} entries, {} bytes, counted in {:?}",
        survey.entries,
        survey.bytes,
        begin.elapsed()
    );
    let out = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(image)?;
    let everywhere = ["*", "**"].map(|pattern| pattern.parse().expect("a pattern"));
    let mut scan = Scan::new(source.entries(&Notes), source.tree(), everywhere.to_vec());
    let summary = squash::write(&mut scan, out, &options, &Notes, &stop)?;
    println!("{} secrets", scan.finish()?.allowed.len());
    let sha256: String = summary
        .digest
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    println!("{summary:?}\n{sha256}  {image}\n{:?}", begin.elapsed());
    Ok(())
}

fn compression(text: &str) -> Result<Compression, Box<dyn std::error::Error>> {
    let (name, level) = text.split_once(':').unwrap_or((text, "9"));
    let level = level.parse()?;
    Ok(match name {
        "none" => Compression::None,
        "gzip" => Compression::Gzip { level },
        "lz4" => Compression::Lz4,
        "xz" => Compression::Xz { level },
        "zstd" => Compression::Zstd { level },
        _ => return Err(format!("no compression {name}").into()),
    })
}
