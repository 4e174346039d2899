//! What is left out of an image, and why.
