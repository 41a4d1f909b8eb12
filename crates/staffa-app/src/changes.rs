//! Requests that begin under one version of a schema and meet another: they are done again.

use std::sync::Arc;

use crate::catalog::{Catalog, Current};
use crate::error::Error;

/// The changes of schemas that a request meets.
#[derive(Debug)]
pub struct Changes<'c> {
    catalog: &'c Catalog,
    /// What was served when the request began, last.
    served: Arc<Current>,
    /// How many more it follows: each further one has to come while it is on its way.
    left: usize,
}

impl<'c> Changes<'c> {
    /// Watches the schemas from now on, for a request that is about to begin.
    pub(crate) fn new(catalog: &'c Catalog, retries_max: usize) -> Self {
        Self {
            catalog,
            served: catalog.all(),
            left: retries_max,
        }
    }

    /// Does a request, and does it again where its schema moved meanwhile, as `is_moved` tells of
    /// its error. So nothing of it may be stored then.
    pub async fn follow<T, E, W>(
        mut self,
        mut work: impl FnMut() -> W + Send,
        is_moved: impl Fn(&E) -> bool + Send,
    ) -> Result<T, E>
    where
        T: Send,
        E: From<Error> + Send,
        W: Future<Output = Result<T, E>> + Send,
    {
        loop {
            let done = work().await;
            if !self.concern(&done, &is_moved) {
                return done;
            }
            self.catch_up().await?;
        }
    }

    /// Whether a request ended since its schema moved, and is to be done again.
    pub(crate) fn concern<T, E>(&self, done: &Result<T, E>, is_moved: impl Fn(&E) -> bool) -> bool {
        self.left > 0 && done.as_ref().is_err_and(is_moved)
    }

    /// Sees to it that the version is served which the schema has moved to.
    pub(crate) async fn catch_up(&mut self) -> Result<(), Error> {
        self.left -= 1;
        self.catalog.reload_since(&self.served).await?;
        self.served = self.catalog.all();
        Ok(())
    }
}
