//! Writing a squashfs 4.0 image.
