//! Which threads give way when there is more to do than the cores can. A stream or a bulk takes
//! a core for as long as it lasts; a record by id or a commit takes it for a millisecond, and
//! should not have to wait until the others' turns are over.
//!
//! The engine's own threads are as any other: they take part in whatever is asked, records by id too.
//! Linux alone has priorities of threads that anybody may lower; elsewhere all stay equal.

/// How far a thread gives way, as a nice value: each step gives it a fifth less of a core that
/// others want as well (sched(7)), and nothing less of one that nobody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// Records by id and commits.
    Prompt = 0,
    /// Pages, counts and aggregates. And bulk writes: their commits hold what all others wait for.
    Middle = 5,
    /// Streams.
    Last = 10,
}

impl Priority {
    /// Makes the calling thread give way, and every thread that it starts from now on.
    pub(crate) fn take(self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::nice(self as i32) {
            tracing::debug!(%error, "a thread's priority stays as it is");
        }
    }
}
