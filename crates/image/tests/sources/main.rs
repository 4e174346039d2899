//! What the image library promises of its sources: the image of a tree is the same, whatever the tree came in, and
//! a hostile source gets an error that names what is wrong with it.

mod disk;
mod harness;
mod layers;
mod mounts;
mod oci;
mod squashfs;
mod tar;
mod tar_hostile;
