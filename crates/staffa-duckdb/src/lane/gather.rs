//! How long the lane waits for company before it commits: not at all for a lonely client, and
//! for a crowd as long as it keeps coming.
//!
//! A commit costs nearly the same for one record as for a hundred. Clients that send their next
//! request when they have the answer to the last one all come back shortly after a commit; taking
//! what is there at once would commit half of them while the other half is being answered, and
//! need twice as many commits. That pays as long as they are back sooner than a commit takes. A
//! crowd that needs longer comes back while the next commit is under way, and then whoever is
//! there goes at once: two halves that take turns keep both the disk and the processors busy.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Request;
use crate::inbox::Feed;

/// How many requests one commit takes at most.
const GROUP_REQUESTS_MAX: usize = 1024;
/// How long the lane sleeps between two looks into its queue: waking up for each request would
/// take the time of the threads that bring them.
const NAP: Duration = Duration::from_micros(100);
/// Over how many naps the rate of arrivals is taken.
const NAPS_REMEMBERED: usize = 5;
/// The longest wait, whatever a commit takes.
const WAIT_MAX: Duration = Duration::from_millis(5);

/// For how many commits nobody is waited for, once that took longer than a commit.
const COMMITS_AT_ONCE: u32 = 64;

/// What the last commit tells of the next.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// How many requests were there around the last commit: nobody waits for more.
    expected: usize,
    /// How long the last commit took.
    commit: Duration,
    /// For how many commits more nobody is waited for.
    at_once: u32,
}

impl Gathering {
    /// Takes what is queued, and waits for more where that pays.
    pub(super) fn fill(&mut self, feed: &Feed<'_, Request>, waiting: &mut VecDeque<Request>) {
        take_queued(feed, waiting);
        if self.at_once > 0 {
            self.at_once -= 1;
        } else if self.wait(feed, waiting) > self.commit {
            self.at_once = COMMITS_AT_ONCE;
        }
    }

    /// Waits while more come fast enough: with `n` requests after a wait of `t` and a commit that
    /// takes `c`, waiting on pays while the rate of arrivals is above `n / (t + c)`, the rate at
    /// which the lane would answer now. Answers how long it waited.
    fn wait(&self, feed: &Feed<'_, Request>, waiting: &mut VecDeque<Request>) -> Duration {
        let started = Instant::now();
        let mut arrivals = [0; NAPS_REMEMBERED];
        let mut before = started;
        let mut naps = [Duration::ZERO; NAPS_REMEMBERED];
        for nap in 0.. {
            let waited = before - started;
            if waiting.len() >= self.expected || waited >= WAIT_MAX {
                return waited;
            }
            if nap >= NAPS_REMEMBERED {
                let arrived: u32 = arrivals.iter().sum();
                let time: Duration = naps.iter().sum();
                let pays = f64::from(arrived) * (waited + self.commit).as_secs_f64();
                #[expect(clippy::cast_precision_loss, reason = "a queue is short")]
                if pays < waiting.len() as f64 * time.as_secs_f64() {
                    return waited;
                }
            }
            std::thread::sleep(NAP);
            let had = waiting.len();
            take_queued(feed, waiting);
            let now = Instant::now();
            let slot = nap % NAPS_REMEMBERED;
            arrivals[slot] = u32::try_from(waiting.len() - had).unwrap_or(u32::MAX);
            naps[slot] = now - before;
            before = now;
        }
        before - started
    }

    /// Learns from a commit that took so long and answered so many, while others queued.
    pub(super) fn learn(&mut self, taken: Duration, answered: usize, queued: usize) {
        self.expected = (answered + queued).min(GROUP_REQUESTS_MAX);
        self.commit = taken;
    }
}

/// Takes what is queued, without waiting.
fn take_queued(feed: &Feed<'_, Request>, waiting: &mut VecDeque<Request>) {
    while waiting.len() < GROUP_REQUESTS_MAX
        && let Some(request) = feed.queued()
    {
        waiting.push_back(request);
    }
}
