//! Every seed keeps what its target promises, and the targets are the same everywhere.

mod seeds;
