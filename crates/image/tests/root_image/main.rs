//! What the image library promises of a root image, judged by two readers: the `squashfs` crate, which
//! shares nothing with the writer, and backhand, which shares nothing with either.

mod contents;
mod format;
mod harness;
mod refusals;
mod reuse;
mod rules;
mod times;
mod walk;
