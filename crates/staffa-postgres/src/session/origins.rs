//! Which record of the request each sent record was, in little room.

/// How many runs are kept; what comes after them has no index.
const RUNS_MAX: usize = 1 << 20;

/// Runs of consecutive indexes.
#[derive(Debug, Default)]
pub(super) struct Origins {
    /// The number of the first record of each run, and its index in the request.
    runs: Vec<(u64, u64)>,
    len: u64,
    overflowed: bool,
}

impl Origins {
    /// Notes the index of the next record.
    pub(super) fn push(&mut self, index: u64) {
        if self.overflowed {
            return;
        }
        let expected = self.get(self.len.wrapping_sub(1)).map(|last| last + 1);
        if expected != Some(index) {
            if self.runs.len() == RUNS_MAX {
                self.overflowed = true;
                return;
            }
            self.runs.push((self.len, index));
        }
        self.len += 1;
    }

    /// The index in the request of the record with this number, from zero.
    pub(super) fn get(&self, record: u64) -> Option<u64> {
        if record >= self.len {
            return None;
        }
        let run = self.runs.partition_point(|(first, _)| *first <= record);
        let (first, index) = self.runs.get(run.checked_sub(1)?)?;
        Some(index + (record - first))
    }
}

#[cfg(test)]
mod tests {
    use super::Origins;

    #[test]
    fn gaps_in_the_request_are_kept() {
        let mut origins = Origins::default();
        let given = [0, 1, 2, 5, 6, 9, 3];
        for index in given {
            origins.push(index);
        }
        let found: Vec<_> = (0..7).filter_map(|record| origins.get(record)).collect();
        assert_eq!(found, given);
        assert_eq!(origins.get(7), None);
        assert_eq!(origins.runs.len(), 4);
    }

    #[test]
    fn more_gaps_than_are_kept_leave_the_rest_without_an_index() {
        let mut origins = Origins::default();
        let kept = super::RUNS_MAX as u64;
        for record in 0..kept + 2 {
            origins.push(record * 2);
        }
        assert_eq!(origins.get(kept - 1), Some((kept - 1) * 2));
        assert_eq!(origins.get(kept), None);
        assert_eq!(origins.runs.len(), super::RUNS_MAX);
    }
}
