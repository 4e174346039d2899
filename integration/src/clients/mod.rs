//! Clients that nobody here wrote, as the tests use them.
