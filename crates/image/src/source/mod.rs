//! Where an image comes from: a directory, walked in order.
