//! Values that are taken: the way that new records go fastest ends at the first, so that what
//! follows is looked at by a session that stores nothing.

use staffa_domain::error::UniqueViolation;
use staffa_domain::{OnRefusal, Refusal, RefusalReason, WriteReceipt};

use super::Sink;
use crate::context::Stage;
use crate::error::Error;

impl Sink<'_> {
    /// Whether the session is one that ends at the first value that is taken.
    pub(super) fn ends_at_one(&self) -> bool {
        self.taken.is_none()
            && self.on_refusal() == OnRefusal::Fail
            && !self.schema.schema().unique_groups().is_empty()
    }

    /// Goes on, with a session that stores nothing, to learn what else is taken.
    pub(super) async fn look_again(&mut self, violation: UniqueViolation) -> Result<(), Error> {
        let told_max = self.options.errors_max;
        let mut session = self.begin(OnRefusal::Undo { told_max }).await?;
        for batch in std::mem::take(&mut self.recent) {
            let append = session.append(batch);
            self.ctx.time_async(Stage::Engine, append).await?;
        }
        self.taken = Some(violation);
        self.session = Some(session);
        Ok(())
    }

    /// Which values are taken, and what else is wrong.
    pub(super) async fn refused(&mut self) -> Error {
        let mut receipt = WriteReceipt::default();
        if let Some(mut session) = self.session.take() {
            let settled = self.ctx.time_async(Stage::Engine, session.settle()).await;
            match settled {
                Ok(settled) => receipt = settled,
                Err(error) => return error.into(),
            }
        }
        if let Some(violation) = self.taken.take() {
            let is_told = |refusal: &Refusal| Some(refusal.index) == violation.index;
            match violation.index {
                // Its value was that of a record of this body which was looked at before.
                Some(index) if !receipt.refusals.iter().any(is_told) => {
                    let reason = RefusalReason::Taken(violation.properties.clone());
                    let line = violation.line;
                    receipt.refused += 1;
                    receipt.refusals.push(Refusal {
                        index,
                        line,
                        reason,
                    });
                }
                None if receipt.refusals.is_empty() => return Error::UniqueViolation(violation),
                _ => {}
            }
        }
        let report = std::mem::take(&mut self.report);
        match self.settle(report, receipt) {
            Err(error) => error,
            Ok(report) => Error::Invalid {
                errors: report.errors,
            },
        }
    }
}
