//! The storage ports on PostgreSQL and Citus.
//!
//! Text, binary COPY and the catalog's own tables stay behind [`open`], which hands over a
//! [`staffa_domain::ports::Storage`].

mod options;
pub use options::{Distribution, Options};

mod open;
pub use open::{Opened, open};

mod error;
pub use error::OpenError;

mod layout;
pub use layout::SharedSecret;

mod copy;
#[cfg(fuzzing)]
pub use copy::check::check_copy;

mod sql;
mod types;

mod catalog;

mod lane;
mod session;
mod transaction;

mod point;
mod reader;

mod connector;
mod inspect;
mod mend;
mod monitor;
mod pool;
