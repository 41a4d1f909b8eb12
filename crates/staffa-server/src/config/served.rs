//! What a configuration must be like for a server to start on it, beyond what each value is.

use std::net::SocketAddr;

use crate::config::{Config, ConfigProblems};

impl Config {
    /// Finds what a server would not start on, as long as nothing is opened.
    pub(crate) fn check_served(&self) -> Result<(), ConfigProblems> {
        let addresses = [("listen", self.listen), ("admin_listen", self.admin_listen)];
        let is_refused =
            |address: &SocketAddr| !self.allow_unauthenticated && !address.ip().is_loopback();
        let open = addresses.iter().filter(|(_, address)| is_refused(address));
        // There is no access control yet, so only this machine may be let in.
        let problems: Vec<_> = open
            .map(|(name, address)| {
                format!(
                    "{name}: {address} can be reached from other machines and there is no access \
                     control yet; give --allow-unauthenticated to serve it all the same"
                )
            })
            .collect();
        match problems.is_empty() {
            true => Ok(()),
            false => Err(ConfigProblems(problems)),
        }
    }
}
