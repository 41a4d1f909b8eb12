//! What the checks found: failures break the build, warnings are only shown.

#[derive(Debug, Default)]
pub(crate) struct Report {
    failures: Vec<String>,
    warnings: Vec<String>,
}

impl Report {
    /// Adds a broken rule, in the form `place: what is wrong and what to do`.
    pub(crate) fn fail(&mut self, message: String) {
        self.failures.push(message);
    }

    pub(crate) fn warn(&mut self, message: String) {
        self.warnings.push(message);
    }

    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
